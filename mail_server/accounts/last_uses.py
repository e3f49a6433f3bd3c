"""When each app password last served, without a disk sync at each login.

Invariants: a use is known at once in memory; it is written within a minute, at most once an hour for a password.
"""

from __future__ import annotations

import asyncio
import logging

from mail_server.accounts.app_passwords import AppPassword
from mail_server.store.interface import Store, StoreError, Transaction

_WRITTEN_EVERY = 3_600_000  # ms
_WRITTEN_AFTER = 60.0  # seconds

_log = logging.getLogger("vaguemestre.accounts")


class LastUses:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, int] = {}  # app password id -> ms
        self._written: dict[str, int] = {}
        self._soon: asyncio.Task[None] | None = None

    def of(self, password: AppPassword) -> int | None:
        return self._last.get(password.id, password.last_used)

    def note(self, password: AppPassword, at: int) -> None:
        self._last[password.id] = at
        written = self._written.get(password.id, password.last_used)
        if written is not None and at - written < _WRITTEN_EVERY:
            return
        if self._soon is None or self._soon.done():
            self._soon = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Write what is not written yet. To be called before the store stops."""
        if self._soon is not None and self._soon is not asyncio.current_task():
            self._soon.cancel()
        due = {key: at for key, at in self._last.items() if self._written.get(key) != at}
        if not due:
            return

        def write(tx: Transaction) -> None:
            tx.sql.many(
                "UPDATE app_password SET last_used = ? WHERE id = ?", [(at, key) for key, at in due.items()]
            )

        await self._store.write(write)
        self._written |= due

    async def _write_soon(self) -> None:
        await asyncio.sleep(_WRITTEN_AFTER)
        try:
            await self.flush()
        except StoreError as error:  # the next login tries again
            _log.warning("last uses of passwords were not written (%s)", type(error).__name__)
