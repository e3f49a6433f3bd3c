"""Who waits for changes in which accounts. Everything here happens on the loop.

Invariant: a change announced while nobody waits is not lost: the next `wait` returns at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from mail_server.store.model import AccountId


class AccountWatch:
    """Several changes before a `wait` wake it once: the caller reads modseqs again anyway."""

    def __init__(self, board: Watches, accounts: Sequence[AccountId]) -> None:
        self._board = board
        self.accounts = tuple(dict.fromkeys(accounts))
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def close(self) -> None:
        """Forget it; whoever still waits is woken."""
        self._board.remove(self)
        self._changed.set()

    def wake(self) -> None:
        self._changed.set()


class Watches:
    """All watches of one store."""

    def __init__(self) -> None:
        self._by_account: dict[AccountId, set[AccountWatch]] = {}

    def add(self, accounts: Sequence[AccountId]) -> AccountWatch:
        watch = AccountWatch(self, accounts)
        for account in watch.accounts:
            self._by_account.setdefault(account, set()).add(watch)
        return watch

    def remove(self, watch: AccountWatch) -> None:
        for account in watch.accounts:
            watching = self._by_account.get(account)
            if watching is not None:
                watching.discard(watch)
                if not watching:
                    del self._by_account[account]

    def announce(self, accounts: Iterable[AccountId]) -> None:
        for account in accounts:
            for watch in self._by_account.get(account, ()):
                watch.wake()

    def announce_all(self) -> None:
        """Something may have been missed: let everyone look."""
        self.announce(list(self._by_account))
