"""The `state` strings (RFC 8620 §5.1): where a client stands in an account's history.

Invariants: a state names the history it belongs to (INBOX's UIDVALIDITY, which a restore renews), so that no
client of after a backup is told too little; what is not a state of ours is `cannotCalculateChanges`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from mail_server.jmap.interface import MethodError
from mail_server.store.interface import Reader
from mail_server.store.model import AccountId, Mailbox, SpecialUse

_STATE = re.compile(r"([0-9]{1,12})\.([0-9]{1,18})(?:\.([0-9a-f]{12}))?")


def email_state(reader: Reader, account: AccountId) -> str:
    return state_at(reader, account, reader.modseq(account))


def state_at(reader: Reader, account: AccountId, modseq: int) -> str:
    return f"{reader.mailbox_by_use(account, SpecialUse.INBOX).uidvalidity}.{modseq}"


def mailbox_state(reader: Reader, account: AccountId, mailboxes: Sequence[Mailbox]) -> str:
    """A modseq tells of the letters in the folders, a digest of the folders themselves."""
    return f"{email_state(reader, account)}.{_digest(mailboxes)}"


def since(
    reader: Reader, account: AccountId, state: str, *, digest: str | None = None, highest: int | None = None
) -> int:
    """The modseq a client's state stands for. Raises MethodError cannotCalculateChanges.

    `highest`: the newest number there is, where it is not the account's modseq.
    """
    match = _STATE.fullmatch(state)
    if match is None or match[3] != digest:
        raise MethodError("cannotCalculateChanges")
    newest = reader.modseq(account) if highest is None else highest
    epoch = reader.mailbox_by_use(account, SpecialUse.INBOX).uidvalidity
    if int(match[1]) != epoch or int(match[2]) > newest:
        raise MethodError("cannotCalculateChanges")
    return int(match[2])


def mailboxes_since(reader: Reader, account: AccountId, state: str, mailboxes: Sequence[Mailbox]) -> int:
    return since(reader, account, state, digest=_digest(mailboxes))


def _digest(mailboxes: Sequence[Mailbox]) -> str:
    """Changes with what a Mailbox says of itself, and not with what lies in it."""
    told = sorted((each.object_id, each.name, bool(each.subscribed)) for each in mailboxes)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
