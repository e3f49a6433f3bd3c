"""PostgreSQL between nodes: NOTIFY after the commit, on a connection of its own, as a hint to read modseqs again.

Invariants: a notification carries account ids and nothing else; a lost one costs time, never data; after a
reconnection every watch is woken, for something may have been missed.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from mail_server.store.futures import hand_back
from mail_server.store.model import AccountId
from mail_server.store.postgresql import PostgresqlConnector

_CHANNEL = "vaguemestre_changes"
_PAYLOAD = 7000  # PostgreSQL takes 8000 bytes
_RETRY_SECONDS = 2.0


class Wakeup:
    """Two threads: one tells, one listens."""

    def __init__(
        self,
        connector: PostgresqlConnector,
        announce: Callable[[Iterable[AccountId]], None],
        announce_all: Callable[[], None],
    ) -> None:
        self._connector = connector
        self._announce = announce
        self._announce_all = announce_all
        self._self = secrets.token_hex(4)  # so that a node does not wake itself
        self._queue: queue.SimpleQueue[frozenset[AccountId] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        listening = threading.Event()
        for name, target, arguments in (
            ("store-notify", self._tell, ()),
            ("store-listen", self._listen, (loop, listening)),
        ):
            thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        listening.wait(10)

    def tell(self, accounts: frozenset[AccountId]) -> None:
        self._queue.put(accounts)

    def stop(self) -> None:
        self._stop.set()
        self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _tell(self) -> None:
        connection: psycopg.Connection[tuple[Any, ...]] | None = None
        while (first := self._queue.get()) is not None:
            accounts = set(first)
            ended = False
            while not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    ended = True
                    break
                accounts |= more
            try:
                if connection is None or connection.closed:
                    connection = self._connector.raw()
                for payload in self._payloads(sorted(accounts)):
                    connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, payload))
            except psycopg.Error:
                connection = None  # a hint is lost; the next one opens a new connection
            if ended:
                break
        if connection is not None:
            connection.close()
        self._end_listening()

    def _end_listening(self) -> None:
        """The listener sleeps on its socket: a hint to nobody wakes it, and it sees that it is to end."""
        try:
            with self._connector.raw() as connection:
                connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, self._self))
        except psycopg.Error:
            return  # then it ends at its next timeout

    def _payloads(self, accounts: list[AccountId]) -> Iterable[str]:
        payload = self._self
        for account in accounts:
            if len(payload) + len(account) + 1 > _PAYLOAD:
                yield payload
                payload = self._self
            payload += "," + account
        yield payload

    def _listen(self, loop: asyncio.AbstractEventLoop, listening: threading.Event) -> None:
        while not self._stop.is_set():
            try:
                with self._connector.raw() as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    if listening.is_set():
                        hand_back(loop, self._announce_all)
                    listening.set()
                    while not self._stop.is_set():
                        for notification in connection.notifies(timeout=5.0, stop_after=1):
                            self._heard(loop, notification.payload)
            except psycopg.Error:
                self._stop.wait(_RETRY_SECONDS)

    def _heard(self, loop: asyncio.AbstractEventLoop, payload: str) -> None:
        sender, *accounts = payload.split(",")
        if sender != self._self:
            hand_back(loop, self._announce, [AccountId(account) for account in accounts])
