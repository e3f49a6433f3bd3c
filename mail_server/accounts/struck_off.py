"""Professionals of ours whom the national directory no longer has: out at once, and back when it has them again.

Invariants: what is undone here is only what was done here: whoever lost the right to practise by other means keeps
having lost it; an administrator who gives it back, knowing better, is not contradicted by the same word of the
directory again.
"""

from __future__ import annotations

from collections.abc import Mapping

from mail_server.accounts.changes import What
from mail_server.accounts.interface import Kind
from mail_server.accounts.life import AccountLife, Act
from mail_server.store.model import AccountId

_REASON = "no longer in the national directory"
_BACK = "in the national directory again"


class StruckOff(AccountLife):
    """The part of the accounts that follows the national directory's word."""

    async def struck_off(self) -> Mapping[AccountId, int]:
        """Whom its word was acted on for, and of when (ms) that word is."""
        rows = await self._store.read(
            lambda reader: reader.sql.all(
                "SELECT id, struck_off_at FROM account WHERE struck_off_at IS NOT NULL"
            )
        )
        return {AccountId(row[0]): int(row[1]) for row in rows}

    async def strike_off(self, account: AccountId, at: int) -> None:
        """Every way in ends and the address receives no more, as by `practice_set`. `at`: when the word was said."""
        known = self._known(account)
        if known.kind is not Kind.PER or not known.practising:
            return
        await self._live(
            account,
            "UPDATE account SET practising = 0, struck_off_at = ? WHERE id = ?",
            (at, account),
            "practice-lost",
            Act(reason=_REASON, means="directory"),
            What.PRACTICE_LOST,
        )

    async def take_back(self, account: AccountId) -> None:
        """The directory has them again. What an administrator did meanwhile stays."""
        if self._known(account).practising:
            await self._live(
                account,
                "UPDATE account SET struck_off_at = NULL WHERE id = ?",
                (account,),
                "listing-struck-off",
                Act(reason=_BACK, means="directory"),
                What.CHANGED,
                outcome="withdrawn",
            )
            return
        await self._live(
            account,
            "UPDATE account SET practising = 1, struck_off_at = NULL"
            " WHERE id = ? AND struck_off_at IS NOT NULL",
            (account,),
            "practice-regained",
            Act(reason=_BACK, means="directory"),
            What.PRACTICE_REGAINED,
        )
