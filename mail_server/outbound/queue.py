"""The queue as delivery sees it: a letter laid in the transaction that is answered 250.

Invariants: what is laid is durable with the answer; `lay` writes rows and nothing else, so that it may be run again;
that something is due is learnt after the commit (`wake`), and a wake that is lost costs time alone.
"""

from __future__ import annotations

from collections.abc import Callable

from mail_server.keys.interface import KeyWrapper
from mail_server.outbound.interface import Outgoing
from mail_server.outbound.rows import Wraps, insert
from mail_server.outbound.schedule import Schedule
from mail_server.store.interface import StoreError, Transaction


class Queue:
    """`OutboundQueue`."""

    def __init__(self, keys: KeyWrapper, schedule: Schedule) -> None:
        self._wraps = Wraps(keys)
        self._schedule = schedule
        self._laid: set[str] = set()  # domains; written by the store's thread, emptied by the loop
        self.on_wake: Callable[[], None] = _nobody

    def lay(self, transaction: Transaction, letter: Outgoing) -> int:
        if not letter.recipients:
            raise StoreError("a letter without recipients does not leave")
        content = transaction.keep_queued(letter.content)
        number = insert(transaction.sql, self._wraps, self._schedule, letter, content)
        # Said before the commit, and to nobody yet: whoever looks at the domain does so in the same thread, later.
        self._laid.add(letter.domain)
        return number

    def wake(self) -> None:
        self.on_wake()

    def laid(self) -> set[str]:
        """Domains for which something was laid since this was asked last."""
        found: set[str] = set()
        while self._laid:
            found.add(self._laid.pop())
        return found


def _nobody() -> None:
    """Nothing hands over in this process: a console command."""
