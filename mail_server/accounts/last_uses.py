"""When and where from each app password last served, without a disk sync at each login.

Invariants: a use is known at once in memory; it is written within a minute, at most once an hour for a password
that serves from one place.
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
        self._last: dict[str, tuple[int, str]] = {}  # app password id -> ms, place on the network
        self._written: dict[str, tuple[int, str]] = {}
        self._soon: asyncio.Task[None] | None = None

    def of(self, password: AppPassword) -> int | None:
        return self._last[password.id][0] if password.id in self._last else password.last_used

    def place_of(self, password: AppPassword) -> str:
        return self._last[password.id][1] if password.id in self._last else password.last_place

    def note(self, password: AppPassword, at: int, place: str) -> None:
        self._last[password.id] = (at, place)
        written, where = self._written.get(password.id, (password.last_used or 0, password.last_place))
        if at - written < _WRITTEN_EVERY and where == place:
            return
        if self._soon is None or self._soon.done():
            self._soon = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Write what is not written yet. To be called before the store stops."""
        if self._soon is not None and self._soon is not asyncio.current_task():
            self._soon.cancel()
        due = {key: used for key, used in self._last.items() if self._written.get(key) != used}
        if not due:
            return

        def write(tx: Transaction) -> None:
            tx.sql.many(
                "UPDATE app_password SET last_used = ?, last_place = ? WHERE id = ?",
                [(*used, key) for key, used in due.items()],
            )

        await self._store.write(write)
        self._written |= due

    async def _write_soon(self) -> None:
        await asyncio.sleep(_WRITTEN_AFTER)
        try:
            await self.flush()
        except StoreError as error:  # the next login tries again
            _log.warning("last uses of passwords were not written (%s)", type(error).__name__)
