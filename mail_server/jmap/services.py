"""What the methods work with, the same for every request; and what the door counted.

Invariants: nothing here belongs to one speaker; a read of content is noted for the trace before it is answered,
once per letter and session, and refused while the trace takes no more.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.delivery.interface import Delivery
from mail_server.jmap.exchanges import Exchanges
from mail_server.jmap.interface import MethodError, Turn
from mail_server.jmap.settings import JmapSettings
from mail_server.store.interface import Reader, Store, Transaction
from mail_server.store.model import AccountId, MessageId
from policies.interface import Event
from policies.limits.limits import Limits, unlimited

T = TypeVar("T")
_SESSIONS = 20_000
Audit = Callable[[Sequence[Event]], None]


@dataclass(slots=True)
class Counters:
    """What the door counted since it started; the node's metrics read it."""

    requests: int = 0
    refused_requests: int = 0
    calls: int = 0
    method_errors: int = 0
    server_bugs: int = 0
    logins: int = 0
    login_failures: int = 0
    uploads: int = 0
    downloads: int = 0
    submissions: int = 0
    submissions_failed: int = 0
    crowded_requests: int = 0  # beyond what one account may ask at one time
    crowded_uploads: int = 0
    crowded_listeners: int = 0
    listeners: int = 0  # open at this moment
    upload_octets: int = 0  # held at this moment


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Services:
    settings: JmapSettings
    store: Store
    delivery: Delivery
    accounts: Accounts
    audit: Audit
    trace_full: Callable[[], bool] = lambda: False
    display_name: Callable[[Account], str] = lambda _: ""
    limits: Limits = field(default_factory=unlimited)
    exchanges: Exchanges | None = None
    clock: Callable[[], int] = now_ms
    submissions_changed: Callable[[AccountId], None] = lambda _: None
    counters: Counters = field(default_factory=Counters)
    _reads: OrderedDict[str, set[MessageId]] = field(
        default_factory=OrderedDict[str, set[MessageId]], repr=False
    )

    _summaries: OrderedDict[str, set[str]] = field(default_factory=OrderedDict[str, set[str]], repr=False)

    def require_trace(self) -> None:
        """Nothing is read that could not be told."""
        if self.trace_full():
            raise MethodError("serverUnavailable", "Temporarily out of order, try again later")

    async def opened(self, account: AccountId, email_ids: Sequence[str]) -> None:
        """A patient's first opening of a letter whose sender asked to know. Raises StoreError."""
        if self.exchanges is not None:
            await self.exchanges.opened(self.store, self.accounts.by_id(account), email_ids)

    def trace_reads(
        self,
        turn: Turn,
        account: AccountId,
        read: Iterable[tuple[MessageId, str]],
        action: str = "read",
        kind: str = "message",
    ) -> None:
        """To be called before the content is answered; what the session read already is in the trace."""
        events: list[Event] = []
        seen = self._seen_by(turn.peer.session if action == "read" else f"{turn.peer.session} {action}")
        for message, email_id in read:
            if message in seen:
                continue
            seen.add(message)
            events.append(
                Event(
                    action=action,
                    at=self.clock(),
                    actor=turn.identity.account,
                    subject=account,
                    reference=email_id,
                    session=turn.peer.session,
                    network=turn.peer.address,
                    kind=kind,
                    door=turn.peer.protocol,
                )
            )
        if events:
            self.audit(events)

    def trace_summaries(self, turn: Turn, account: AccountId, shown: Sequence[str]) -> None:
        """Sealed summaries that a list showed: one entry for those that the session had not yet."""
        seen = self._summaries.setdefault(turn.peer.session, set())
        self._summaries.move_to_end(turn.peer.session)
        if len(self._summaries) > _SESSIONS:
            self._summaries.popitem(last=False)
        new = set(shown) - seen
        if not new:
            return
        seen |= new
        event = Event(
            "summary",
            self.clock(),
            turn.identity.account,
            account,
            session=turn.peer.session,
            network=turn.peer.address,
            detail={"count": str(len(new))},
            kind="message",
            door=turn.peer.protocol,
        )
        self.audit([event])

    def _seen_by(self, session: str) -> set[MessageId]:
        """Forgotten sessions cost a second entry in the trace, never a missing one."""
        seen = self._reads.setdefault(session, set())
        self._reads.move_to_end(session)
        if len(self._reads) > _SESSIONS:
            self._reads.popitem(last=False)
        return seen

    def seer(self, turn: Turn, account: Account) -> AccountId | None:
        """The person whose own $seen counts there; None where it is common, which costs nothing."""
        return turn.identity.account if account.seen_per_person else None

    async def read(self, turn: Turn, account: Account, query: Callable[[Reader], T]) -> T:
        """Read an account as who speaks sees it."""
        person = self.seer(turn, account)
        if person is None:
            return await self.store.read(query)

        def as_person(reader: Reader) -> T:
            with reader.as_person(account.id, person):
                return query(reader)

        return await self.store.read(as_person)

    async def write(self, turn: Turn, account: Account, operation: Callable[[Transaction], T]) -> T:
        person = self.seer(turn, account)
        if person is None:
            return await self.store.write(operation)

        def as_person(transaction: Transaction) -> T:
            with transaction.as_person(account.id, person):
                return operation(transaction)

        return await self.store.write(as_person)

    def sealed_only(self, account: AccountId) -> bool:
        """A patient's space: nothing in clear is ever laid down in it."""
        found = self.accounts.by_id(account)
        return found is None or found.kind is Kind.PATIENT
