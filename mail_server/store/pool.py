"""The reading threads, each with its own connection; every query sees one state from its begin to its end."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from mail_server.store.commit import translated
from mail_server.store.driver import Connector, Driver
from mail_server.store.emails import EmailReader
from mail_server.store.futures import Job, hand_back, settle
from mail_server.store.interface import StoreUnavailable


class ReaderPool:
    """Takes queries from the loop, gives results back to it."""

    def __init__(
        self, connector: Connector, open_reader: Callable[[Driver], EmailReader], threads: int
    ) -> None:
        self._connector = connector
        self._open_reader = open_reader
        self._count = threads
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._left: queue.SimpleQueue[Driver] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        for number in range(self._count):
            thread = threading.Thread(
                target=self._run, args=(loop,), name=f"store-reader-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def submit(self, query: Callable[[EmailReader], Any]) -> asyncio.Future[Any]:
        if self._loop is None:
            raise StoreUnavailable("the store is not running")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Job(query, future))
        return future

    def stop(self) -> None:
        """Blocks until the threads are through; then closes their connections.

        One after the other: SQLite's last connection takes the log away as it closes, but of two that close at
        once each sees the other, and the log stays, with what was purged from the pages.
        """
        self._loop = None
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while not self._left.empty():
            self._left.get().close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        driver: Driver | None = None
        while (job := self._queue.get()) is not None:
            if not job.future.cancelled():
                try:
                    driver = self._begun(driver)
                    job.result = self._answer(driver, job)
                except BaseException as error:
                    job.error = translated(self._connector, error)
                hand_back(loop, settle, [job])
        if driver is not None:
            self._left.put(driver)

    def _begun(self, driver: Driver | None) -> Driver:
        """A connection with its transaction open; one that went while nothing happened is made again."""
        if driver is not None:
            try:
                driver.begin_read()
            except self._connector.errors:
                driver.close()
            else:
                return driver
        driver = self._connector.connect()
        driver.begin_read()
        return driver

    def _answer(self, driver: Driver, job: Job) -> Any:
        try:
            return job.work(self._open_reader(driver))
        finally:
            driver.rollback()
