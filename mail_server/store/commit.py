"""Group commit: one thread writes; whatever waits shares one transaction and one trip to the disk.

Invariants: an outcome, good or bad, leaves only after the commit it saw is durable (fdatasync of the segments and
of a new file's folder, then COMMIT); an operation that raises never takes a neighbour with it: the batch is rolled
back and run again with a savepoint around each; what cannot be known (a connection lost during COMMIT) is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from mail_server.store.batch import Batch
from mail_server.store.driver import Connector, Driver
from mail_server.store.futures import Job, hand_back, settle
from mail_server.store.interface import NoSpace, StoreError, StoreUnavailable
from mail_server.store.model import AccountId
from mail_server.store.transaction import StoreTransaction

_CONFLICT_TRIES = 5
_GATHER_SECONDS = 0.001


class GroupCommit:
    """The writer thread."""

    def __init__(
        self,
        connector: Connector,
        open_batch: Callable[[Driver], Batch],
        announce: Callable[[frozenset[AccountId]], None],
        *,
        operations: int,
        volume: int,
    ) -> None:
        self._connector = connector
        self._open_batch = open_batch
        self._announce = announce
        self._operations = operations
        self._volume = volume
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._stopping = False
        self._closed = True
        self._usual = 1  # operations of the last batch

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._stopping, self._closed = loop, False, False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[StoreTransaction], Any]) -> asyncio.Future[Any]:
        if self._closed or self._loop is None:
            raise StoreUnavailable("the store is not running")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Job(operation, future))
        return future

    def stop(self) -> None:
        """Blocks until everything handed in is committed."""
        self._closed = True
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            job = self._queue.get()
            if job is None:
                break
            jobs = [job]
            touched: set[AccountId] = set()
            try:
                touched = self._write(jobs)
            except BaseException as error:
                for one in jobs:
                    one.error = self._translated(error)
                self._start_afresh()
            self._hand_back(jobs, touched)
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def _write(self, jobs: list[Job]) -> set[AccountId]:
        """First try: all in one transaction, taking along what arrives meanwhile."""
        driver = self._begun()
        batch = self._open_batch(driver)
        try:
            transaction = batch.transaction
            at = 0
            until = time.monotonic() + _GATHER_SECONDS
            while True:
                job = jobs[at]
                job.result = job.work(transaction)
                at += 1
                if at >= self._operations or transaction.volume >= self._volume:
                    break
                try:
                    following = self._next(at, until)
                except queue.Empty:
                    break
                if following is None:
                    self._stopping = True
                    break
                jobs.append(following)
            batch.seal()
        except BaseException:
            self._rolled_back(driver)
            return self._write_again(jobs)
        driver.commit()
        self._usual = at
        return batch.committed()

    def _next(self, taken: int, until: float) -> Job | None:
        """The next operation. Where several clients are at work, those of the last batch are waited for briefly:
        a commit costs the same for one letter as for ten. Raises queue.Empty."""
        if taken >= self._usual:
            return self._queue.get_nowait()
        return self._queue.get(timeout=max(0.0, until - time.monotonic()))

    def _write_again(self, jobs: list[Job]) -> set[AccountId]:
        """An operation failed: the same batch with a savepoint around each, so that each fails alone."""
        for tries_left in reversed(range(_CONFLICT_TRIES)):
            driver = self._begun()
            batch = self._open_batch(driver)
            try:
                for job in jobs:
                    self._attempt(driver, batch, job)
                batch.seal()
            except BaseException as error:
                self._rolled_back(driver)
                if tries_left and isinstance(error, Exception) and self._connector.is_conflict(error):
                    continue
                raise
            driver.commit()
            return batch.committed()
        raise AssertionError

    def _attempt(self, driver: Driver, batch: Batch, job: Job) -> None:
        driver.savepoint()
        mark = batch.mark()
        try:
            job.result, job.error = job.work(batch.transaction), None
        except BaseException as error:
            if isinstance(error, Exception) and self._connector.is_conflict(error):
                raise
            driver.rollback_to()
            batch.return_to(mark)
            job.result, job.error = None, self._translated(error)
        else:
            driver.release()

    def _begun(self) -> Driver:
        """A connection with its transaction open; one that went while nothing happened is made again."""
        if self._driver is not None:
            try:
                self._driver.begin_write()
            except self._connector.errors:
                if self._driver.usable:
                    raise
                self._start_afresh()
            else:
                return self._driver
        self._driver = self._connector.connect()
        self._driver.begin_write()
        return self._driver

    def _rolled_back(self, driver: Driver) -> None:
        try:
            driver.rollback()
        except self._connector.errors:
            self._start_afresh()
        else:
            if not driver.usable:
                self._start_afresh()

    def _start_afresh(self) -> None:
        """Whatever state the connection is in (a COMMIT that failed, a lost server), leave it behind."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with contextlib.suppress(*self._connector.errors):
                driver.close()

    def _translated(self, error: BaseException) -> BaseException:
        return translated(self._connector, error)

    def _hand_back(self, jobs: list[Job], touched: set[AccountId]) -> None:
        assert self._loop is not None
        hand_back(self._loop, self._settle, jobs, frozenset(touched))

    def _settle(self, jobs: list[Job], touched: frozenset[AccountId]) -> None:
        settle(jobs)
        if touched:
            self._announce(touched)


def translated(connector: Connector, error: BaseException) -> BaseException:
    """Driver and file errors in the store's own words; what operations raise themselves goes through."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("the disk is full")
    if isinstance(error, Exception) and connector.is_full(error):
        return NoSpace("the disk is full")
    if isinstance(error, (*connector.errors, OSError)):
        unavailable = StoreUnavailable("the database or a segment file failed")
        unavailable.__cause__ = error
        return unavailable
    return error
