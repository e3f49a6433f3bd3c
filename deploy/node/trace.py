"""Events that have no transaction of their own (refusals, logins, reads) on their way into the audit chain.

Invariants: events are written in the order they were noted, several in one commit; `stop` writes what is left;
below the free-space floor they are kept in memory up to a bound. Before it is reached the trace is `full`: doors
refuse logins and reads, which would go untold; what is lost all the same is logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mail_server.store.interface import Store, StoreError, Transaction
from policies.interface import AuditTrail, Event

_log = logging.getLogger("vaguemestre.audit")
_MOST_WAITING = 100_000
_FULL = 90_000  # the rest is for what is under way
_RETRY_SECONDS = 1.0


class Trace:
    def __init__(self, store: Store, trail: AuditTrail) -> None:
        self._store = store
        self._trail = trail
        self._waiting: list[Event] = []
        self._writer: asyncio.Task[None] | None = None
        self.lost = 0

    def full(self) -> bool:
        """Whether nothing more may be done that must be traced, until the store takes entries again."""
        return len(self._waiting) >= _FULL

    def note(self, events: Sequence[Event]) -> None:
        """Take events for the next commit; returns at once. For the event loop's thread."""
        if len(self._waiting) + len(events) > _MOST_WAITING:
            self.lost += len(events)
            _log.error("audit entries lost: the store has not taken any for too long")
            return
        self._waiting += events
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting
            self._waiting = []
            try:
                await self._store.write(lambda transaction, batch=batch: self._append(transaction, batch))
            except StoreError as failure:
                _log.error("audit entries wait (%s)", type(failure).__name__)
                self._waiting = batch + self._waiting
                await asyncio.sleep(_RETRY_SECONDS)

    def _append(self, transaction: Transaction, batch: Sequence[Event]) -> None:
        self._trail.append(transaction.sql, batch)

    async def settle(self) -> None:
        """Wait until what was noted so far lies in the chain; a store that takes nothing is waited for 10 s."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=10)

    async def stop(self) -> None:
        await self.settle()
