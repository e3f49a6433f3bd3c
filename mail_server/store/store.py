"""The store put together: threads, connections, keys, segment files, watches.

Invariants: it runs only while it holds the home's lock; it refuses to start when the schema is not there or the
KEK does not open the node's secret; `stop` commits what was handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mail_server.keys.interface import KeyWrapper
from mail_server.store.batch import Batch
from mail_server.store.commit import GroupCommit, translated
from mail_server.store.driver import Connector
from mail_server.store.emails import EmailReader
from mail_server.store.filing import Laid
from mail_server.store.home_lock import HomeLock
from mail_server.store.interface import NoSpace, Reader, Store, StoreUnavailable, Transaction
from mail_server.store.keyring import Keyring, load_node_secret
from mail_server.store.model import AccountId, StagedBlob
from mail_server.store.octets import Octets
from mail_server.store.pool import ReaderPool
from mail_server.store.postgresql import PostgresqlConnector
from mail_server.store.reader import Shared
from mail_server.store.row_cache import RowCache
from mail_server.store.segments import SegmentReader, SegmentWriter
from mail_server.store.settings import StoreSettings
from mail_server.store.space import FreeSpace
from mail_server.store.sqlite import SqliteConnector
from mail_server.store.staging import stage_blob
from mail_server.store.wakeup import Wakeup
from mail_server.store.watches import AccountWatch, Watches

T = TypeVar("T")
_STAGE_INLINE = 64 * 1024  # larger bodies are compressed and encrypted in a thread


def connector_for(settings: StoreSettings, home: Path, *, read_only: bool = False) -> Connector:
    if settings.is_postgresql():
        return PostgresqlConnector(settings.database)
    return SqliteConnector(home / "mail.db", read_only=read_only)


def segments_folder(home: Path) -> Path:
    return home / "segments"


def open_store(settings: StoreSettings, home: Path, keys: KeyWrapper) -> Store:
    """Not started yet. The database is migrated by then (deploy.node.migrations)."""
    return LocalStore(settings, home, keys)


class LocalStore:
    """See `mail_server.store.interface.Store`."""

    def __init__(self, settings: StoreSettings, home: Path, keys: KeyWrapper) -> None:
        self._settings = settings
        self._home = home
        self._keys = keys
        self._connector = connector_for(settings, home)
        self._space = FreeSpace(home, settings.free_space_floor)
        self._lock = HomeLock(home)
        self._watches = Watches()
        self._shared: Shared | None = None
        self._writer: SegmentWriter | None = None
        self._commits: GroupCommit | None = None
        self._readers: ReaderPool | None = None
        self._wakeup: Wakeup | None = None
        self._stagers: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._lock.acquire()
        try:
            await loop.run_in_executor(None, self._prepare)
        except BaseException:
            self._lock.release()
            raise
        shared, writer = self._running
        laid = Laid(writer)
        self._commits = GroupCommit(
            self._connector,
            lambda driver: Batch(driver, shared, laid),
            self._announce,
            operations=self._settings.batch_operations,
            volume=self._settings.batch_bytes,
        )
        self._readers = ReaderPool(
            self._connector, lambda driver: EmailReader(driver, shared), self._settings.readers
        )
        self._stagers = ThreadPoolExecutor(self._settings.staging_threads, "store-stage")
        self._commits.start(loop)
        self._readers.start(loop)
        if isinstance(self._connector, PostgresqlConnector):
            self._wakeup = Wakeup(self._connector, self._changed_elsewhere, self._maybe_changed)
            await loop.run_in_executor(None, self._wakeup.start, loop)

    async def stop(self) -> None:
        loop = asyncio.get_running_loop()
        for part in (self._commits, self._readers, self._wakeup):
            if part is not None:
                await loop.run_in_executor(None, part.stop)
        if self._stagers is not None:
            self._stagers.shutdown(wait=True)
        if self._writer is not None:
            self._writer.close()
        if self._shared is not None:
            self._shared.segments.close()
        self._commits = self._readers = self._wakeup = self._stagers = None
        self._writer = self._shared = None
        # Outcomes of the last commits were queued on the loop: let them arrive before the caller goes on.
        await asyncio.sleep(0)
        self._lock.release()

    async def read(self, query: Callable[[Reader], T]) -> T:
        if self._readers is None:
            raise StoreUnavailable("the store is not running")
        return await self._readers.submit(query)

    async def write(self, operation: Callable[[Transaction], T]) -> T:
        if self._commits is None:
            raise StoreUnavailable("the store is not running")
        return await self._commits.submit(operation)

    async def stage(self, owner: AccountId | None, clear: bytes, *, compress: bool) -> StagedBlob:
        shared, _ = self._running
        if not self._space.enough:
            raise NoSpace("free space is below the floor")
        cipher = shared.keyring.peek(owner)
        if cipher is None:
            assert owner is not None
            account = owner
            cipher = await self.read(lambda reader: shared.keyring.load(reader.sql, account))
        blob_id, levels = shared.keyring.new_blob_id(), self._settings.compression_levels()
        if len(clear) <= _STAGE_INLINE:
            return stage_blob(cipher, owner, blob_id, clear, compress=compress, levels=levels)
        assert self._stagers is not None
        known = cipher
        return await asyncio.get_running_loop().run_in_executor(
            self._stagers,
            lambda: stage_blob(known, owner, blob_id, clear, compress=compress, levels=levels),
        )

    def submission_fingerprint(self, *parts: bytes) -> bytes:
        return self._running[0].keyring.submission_hmac(parts)

    def watch(self, accounts: Sequence[AccountId]) -> AccountWatch:
        return self._watches.add(accounts)

    def used(self, account: AccountId) -> int:
        return 0 if self._shared is None else self._shared.octets.of(account)

    @property
    def writable(self) -> bool:
        return self._space.enough

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _running(self) -> tuple[Shared, SegmentWriter]:
        if self._shared is None or self._writer is None:
            raise StoreUnavailable("the store is not running")
        return self._shared, self._writer

    def _announce(self, accounts: frozenset[AccountId]) -> None:
        self._watches.announce(accounts)
        if self._wakeup is not None:
            self._wakeup.tell(accounts)

    def _changed_elsewhere(self, accounts: Iterable[AccountId]) -> None:
        """Another node wrote in these accounts."""
        named = list(accounts)
        self._watches.announce(named)
        self._load_octets(named)

    def _maybe_changed(self) -> None:
        """Notices of other nodes may have been lost."""
        self._watches.announce_all()
        self._load_octets(None)

    def _load_octets(self, accounts: list[AccountId] | None) -> None:
        shared, readers = self._shared, self._readers
        if shared is not None and readers is not None:
            try:
                loading = readers.submit(lambda reader: shared.octets.load(reader.sql, accounts))
            except StoreUnavailable:  # it is being stopped
                return
            loading.add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # the next notice, or change, mends it

    def _prepare(self) -> None:
        """In a thread: the node's secret, octets per account, the segment file to go on with."""
        octets = Octets()
        folder = segments_folder(self._home)
        folder.mkdir(mode=0o700, exist_ok=True)
        writer = SegmentWriter(folder, self._settings.segment_bytes)
        try:
            driver = self._connector.connect()
            try:
                driver.begin_write()
                secret = load_node_secret(driver, self._keys)
                octets.load(driver)
                open_segments = driver.all("SELECT id, length FROM segment ORDER BY created DESC")
                driver.commit()
            finally:
                driver.close()
        except self._connector.errors as error:
            raise translated(self._connector, error) from error
        for segment, length in open_segments:
            if writer.resume(segment, length):
                break
        self._writer = writer
        self._shared = Shared(
            settings=self._settings,
            keyring=Keyring(self._keys, secret),
            segments=SegmentReader(folder),
            cache=RowCache(self._settings.row_cache_bytes),
            space=self._space,
            octets=octets,
        )
