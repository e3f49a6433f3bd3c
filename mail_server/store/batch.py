"""What one commit carries besides its rows: segment bytes, fresh keys, accounts to announce.

Invariants: `seal` makes the segment bytes durable before the caller commits; fresh keys enter the ring, and
octets their mirror, only after the commit; forgetting old submissions rides in commits that happen anyway.
"""

from __future__ import annotations

from mail_server.store.at_rest import Cipher
from mail_server.store.driver import Driver
from mail_server.store.filing import Laid, now_ms
from mail_server.store.model import AccountId
from mail_server.store.octets import Used
from mail_server.store.reader import Shared
from mail_server.store.transaction import RESENT_WITHIN, StoreTransaction

_PRUNE_EVERY = 3600 * 1000
Mark = tuple[dict[AccountId, Cipher], dict[AccountId, Used]]


class Batch:
    """One commit, or one try at it."""

    def __init__(self, driver: Driver, shared: Shared, laid: Laid) -> None:
        self._driver = driver
        self._shared = shared
        self._laid = laid
        self.transaction = StoreTransaction(driver, shared, laid)
        self._pruned_at: int | None = None

    def mark(self) -> Mark:
        """Where an operation begins: what it does outside the database can be taken back to here."""
        return dict(self.transaction.fresh_keys), dict(self.transaction.used)

    def return_to(self, mark: Mark) -> None:
        self.transaction.fresh_keys, self.transaction.used = mark

    def seal(self) -> None:
        """Everything but COMMIT."""
        laid = self._laid
        if laid.grown:
            for segment, length in laid.grown.items():
                self._driver.run("UPDATE segment SET length = ? WHERE id = ?", (length, segment))
            try:
                laid.writer.sync()
            except OSError:
                laid.forget()
                raise
        now = now_ms()
        if now - laid.pruned_at > _PRUNE_EVERY:
            self._driver.run("DELETE FROM submission WHERE at < ?", (now - RESENT_WITHIN,))
            self._pruned_at = now

    def committed(self) -> set[AccountId]:
        self._laid.grown.clear()
        self._laid.places.clear()
        if self._pruned_at is not None:
            self._laid.pruned_at = self._pruned_at
        if self.transaction.fresh_keys:
            self._shared.keyring.adopt(self.transaction.fresh_keys)
        self._shared.octets.adopt(self.transaction.used)
        return self.transaction.touched
