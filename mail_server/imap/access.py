"""What a session may do in a mailbox, and whose \\Seen it shows (RFC 4314 §4).

Invariants: rights are asked anew at each command, never kept; a right that is missing is `NO [NOPERM]` and a line of
the trace; flags a person may not set are left alone, and a STORE fails only when none of them may be set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mail_server.imap.session import Refused, Session
from mail_server.store.interface import Reader, Transaction
from mail_server.store.model import AccountId, Flag
from policies.interface import Event

T = TypeVar("T")
# RFC 4314 §4: which right lets a flag be set.
_OF_FLAG = {
    "s": Flag.SEEN,
    "t": Flag.DELETED,
    "w": Flag.ANSWERED | Flag.FLAGGED | Flag.DRAFT,
}
WORDS = {
    "l": "see this mailbox",
    "r": "read here",
    "s": "mark as seen here",
    "w": "change flags here",
    "i": "put messages here",
    "k": "make mailboxes here",
    "x": "delete or rename mailboxes here",
    "t": "mark as deleted here",
    "e": "expunge here",
    "a": "say who reads here",
}


def rights(session: Session, account: AccountId) -> str:
    return session.access.rights(session.person.account, account)


def may(session: Session, account: AccountId, needed: str) -> bool:
    return session.access.may(session.person.account, account, needed)


def require(session: Session, account: AccountId, needed: str) -> None:
    """Raises Refused, and traces it."""
    for letter in needed:
        if not may(session, account, letter):
            trace_refusal(session, account, f"right-{letter}-missing")
            raise Refused(f"[NOPERM] You may not {WORDS[letter]}")


def trace_refusal(session: Session, account: AccountId, reason: str) -> None:
    person, peer = session.person, session.peer
    session.services.audit(
        [
            Event(
                "refuse", int(time.time() * 1000), person.account, subject=account, outcome=reason,
                session=peer.session, network=peer.address,
            )
        ]
    )  # fmt: skip


# ── flags ──


def settable(letters: str) -> Flag:
    """The system flags that these rights let one set."""
    found = Flag.NONE
    for letter, flags in _OF_FLAG.items():
        if letter in letters:
            found |= flags
    return found


# ── whose view ──


async def read(session: Session, account: AccountId, query: Callable[[Reader], T]) -> T:
    """Read an account as this person sees it."""
    person = session.seer(account)
    if person is None:
        return await session.services.store.read(query)

    def as_person(reader: Reader) -> T:
        with reader.as_person(account, person):
            return query(reader)

    return await session.services.store.read(as_person)


async def write(session: Session, account: AccountId, operation: Callable[[Transaction], T]) -> T:
    person = session.seer(account)
    if person is None:
        return await session.services.store.write(operation)

    def as_person(transaction: Transaction) -> T:
        with transaction.as_person(account, person):
            return operation(transaction)

    return await session.services.store.write(as_person)
