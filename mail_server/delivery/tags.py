"""The four letters of a conversation: those it has, else four that none of its accounts uses yet.

Invariants: a conversation keeps its letters in every account that knows it; two conversations of one account never
share them (the store has the last word: `TagTaken`, then `choose` again with `fresh`). What is kept in memory only
spares a look at the store; a wrong memory costs one more round, never a wrong answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from mail_server.delivery.outer import new_tag
from mail_server.store.interface import Reader, Store
from mail_server.store.model import AccountId

_REMEMBERED = 20_000


class ConversationTags:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: OrderedDict[tuple[AccountId, bytes], str] = OrderedDict()

    async def choose(
        self, accounts: Sequence[AccountId], message_ids: Sequence[bytes], *, fresh: bool = False
    ) -> str:
        """`fresh`: trust nothing remembered."""
        remembered = None if fresh else self._remembered(accounts, message_ids)
        if remembered is not None:
            return remembered
        drawn = [new_tag() for _ in range(3)]
        tag, known = await self._store.read(lambda reader: _look(reader, accounts, message_ids, drawn))
        if known:
            self._remember(accounts, message_ids, tag)
        return tag

    def _remembered(self, accounts: Sequence[AccountId], message_ids: Sequence[bytes]) -> str | None:
        """The letters that every one of these accounts is known to have for one of these ids."""
        common: set[str] | None = None
        for account in accounts:
            here = {self._seen[account, one] for one in message_ids if (account, one) in self._seen}
            common = here if common is None else common & here
            if not common:
                return None
        return min(common) if common else None

    def _remember(self, accounts: Sequence[AccountId], message_ids: Sequence[bytes], tag: str) -> None:
        # The first id is the letter's own, which will not come again; the others are what answers name.
        for key in ((account, one) for account in accounts for one in message_ids[1:]):
            self._seen[key] = tag
            self._seen.move_to_end(key)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def _look(
    reader: Reader, accounts: Sequence[AccountId], message_ids: Sequence[bytes], drawn: Sequence[str]
) -> tuple[str, bool]:
    """The letters to use, and whether every account has them already.

    Letters a conversation has in one account may be another conversation's in the next: then it gets new ones.
    """
    known = reader.conversations(accounts, message_ids)
    for tag in {found.tag: None for found in known.values() if found.tag is not None}:
        others = [one for one in accounts if one not in known or known[one].tag != tag]
        if not others or not reader.tags_taken(others, [tag]):
            return tag, not others
    taken = reader.tags_taken(accounts, drawn)
    return next((tag for tag in drawn if tag not in taken), drawn[0]), False
