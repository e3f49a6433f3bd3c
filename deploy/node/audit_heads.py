"""Keeps the trace provable from outside: signs its heads, and notes them in a file that does not lie in the home.

Invariants: the signing key is made once for a chain and lies in the database under the KEK alone; a head is noted at
the start, by the clock, when a day ends and at the end; a file that cannot be written stops nothing, and is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import Sql, Store, StoreError
from policies.audit.entry import DAY_MS
from policies.audit.heads import HeadsFile
from policies.audit.trail import heads_of

_log = logging.getLogger("vaguemestre.audit")
_PURPOSE = b"audit heads: "
_LEAST_SLEEP = 1.0


class HeadsWriter:
    def __init__(
        self,
        store: Store,
        chain: str,
        keys: KeyWrapper,
        path: Path | None,
        every: int,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._chain = chain
        self._keys = keys
        self._path = path
        self._every = every
        self._clock = clock
        self._file: HeadsFile | None = None
        self._task: asyncio.Task[None] | None = None
        self.failures = 0
        self.noted_at = 0
        self.public = ""

    async def open(self) -> None:
        """Make or load the key. Raises KeyUnavailable when the KEK does not fit it."""
        key = await self._key()
        self.public = key.public_key().public_bytes_raw().hex()
        if self._path is not None:
            self._file = HeadsFile(self._path, self._chain, key)
            await self.note("start")

    def keep_noting(self) -> None:
        """For a node that serves: go on by the clock."""
        if self._file is not None:
            self._task = asyncio.create_task(self._by_the_clock())

    async def note(self, why: str) -> None:
        file = self._file
        if file is None:
            return
        try:
            heads = await self._store.read(lambda reader: heads_of(reader.sql, self._chain))
            await asyncio.to_thread(file.note, heads, self._clock(), why)
        except (OSError, StoreError) as failure:
            self.failures += 1
            _log.error("the heads of the trace cannot be noted outside (%s)", type(failure).__name__)
        else:
            self.noted_at = self._clock()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.note("stop")

    async def _by_the_clock(self) -> None:
        while True:
            now = self._clock()
            left = (DAY_MS - now % DAY_MS) / 1000
            await asyncio.sleep(max(_LEAST_SLEEP, min(self._every, left)))
            ended = self._clock() // DAY_MS > now // DAY_MS
            await self.note("day" if ended else "interval")

    async def _key(self) -> Ed25519PrivateKey:
        purpose = _PURPOSE + self._chain.encode()

        def load(sql: Sql) -> bytes | None:
            row = sql.one("SELECT wrapped FROM audit_key WHERE chain = ?", (self._chain,))
            return bytes(row[0]) if row else None

        wrapped = await self._store.read(lambda reader: load(reader.sql))
        if wrapped is None:
            made = Ed25519PrivateKey.generate()
            row = (
                self._chain,
                made.public_key().public_bytes_raw(),
                self._keys.wrap(made.private_bytes_raw(), purpose),
                self._clock(),
            )
            insert = "INSERT INTO audit_key (chain, public, wrapped, made) VALUES (?, ?, ?, ?)"
            await self._store.write(lambda transaction: transaction.sql.run(insert, row))
            return made
        return Ed25519PrivateKey.from_private_bytes(self._keys.unwrap(wrapped, purpose))
