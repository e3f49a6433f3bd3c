"""Our own accounts in the directory: whoever may be found is listed, whoever may not is not, within the same minute.

Invariants: patients are never listed; who is suspended, closed or has no right to practise is not; `sync` is a
difference, so that asking for it costs nothing when nothing changed, and several nodes that do it come to the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from deploy.node import logs
from directory.listings.database import ListingsDatabase
from directory.service import DirectoryService
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import in_service
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService

_log = logging.getLogger("vaguemestre.directory")
_EVERY = 30.0  # seconds


class OwnListings:
    def __init__(
        self,
        *,
        accounts: AccountService,
        profiles: ProfileBook,
        directory: DirectoryService,
        database: ListingsDatabase,
        clock: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._profiles = profiles
        self._directory = directory
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._ending = False

    async def sync(self) -> None:
        """List what is to be listed and nothing else; durable when it returns."""
        async with self._turn:
            told = [(each.address, _listed(each)) for each in self._accounts.all()]
            await asyncio.to_thread(
                self._show, [one for one in told if self._directory.is_listed(one[0]) != one[1]]
            )

    def soon(self) -> None:
        """Something changed: `sync` follows behind the answer, once for all that changes together."""
        self._wanted.set()

    def start(self) -> None:
        """Keep in step while the node runs."""
        self._accounts.changed.append(lambda _change: self.soon())
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """What is being written is written to its end."""
        if self._keeper is not None:
            self._ending = True
            self._wanted.set()
            await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        while not self._ending:
            self._wanted.clear()
            try:
                await self.sync()
            except Exception as failure:  # what is listed would stand still for good
                _log.error("own listings not brought up to date (%s); tried again", logs.told(failure))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _EVERY)

    def _show(self, changes: Sequence[tuple[str, bool]]) -> None:
        for address, listed in changes:
            if listed:
                self._directory.show(address, self._clock())
            else:
                self._directory.hide(address)


def _listed(account: Account) -> bool:
    return account.kind is not Kind.PATIENT and in_service(account)
