"""Connections kept for the next letter to the same server.

Invariants: a connection serves one letter at a time; one that is idle too long, said something unasked, or carried
its share of letters is closed with QUIT; what is kept is bounded; trust is not kept: who uses a connection has its
certificate judged again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

from mail_server.outbound.client.connection import PeerConnection

Key = tuple[str, int]
_CLOSE_SECONDS = 10.0


class Pool:
    def __init__(self, *, idle_seconds: float, letters: int, most: int) -> None:
        self._idle_seconds = idle_seconds
        self._letters = letters
        self._most = most
        self._idle: dict[Key, deque[PeerConnection]] = {}
        self._count = 0
        self._busy: set[PeerConnection] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    @property
    def open_now(self) -> Collection[Key]:
        return self._idle.keys()

    def take(self, key: Key) -> PeerConnection | None:
        """One that is still good, the one used last: it is the least likely to have been closed meanwhile."""
        waiting = self._idle.get(key)
        while waiting:
            connection = waiting.pop()
            self._count -= 1
            if not waiting:
                del self._idle[key]
            if connection.usable:
                self._busy.add(connection)
                return connection
            connection.cut()
        return None

    def enter(self, connection: PeerConnection) -> None:
        """A new one is in use. An idle one makes room for it, where there would be too many."""
        self._busy.add(connection)
        self._make_room()

    def give_back(self, key: Key, connection: PeerConnection, *, current: bool) -> None:
        """Its letter is done. `current`: made with the certificate and authorities in force."""
        self._busy.discard(connection)
        most = min(self._letters, connection.offers.letters or self._letters)
        if not connection.usable:
            connection.cut()
        elif self.closed or not current or self._idle_seconds <= 0 or connection.letters >= most:
            self._leave(connection)
        else:
            loop = asyncio.get_running_loop()
            connection.idle_until = loop.time() + self._idle_seconds
            self._idle.setdefault(key, deque()).append(connection)
            self._count += 1
            self._make_room()
            if self._timer is None:
                self._timer = loop.call_later(self._idle_seconds, self._sweep)

    def drop(self, connection: PeerConnection) -> None:
        """Its letter could not be ended in good order."""
        self._busy.discard(connection)
        connection.cut()

    def retire(self) -> None:
        """Let go of all that is idle: the certificates were renewed."""
        waiting, self._idle, self._count = self._idle, {}, 0
        for connections in waiting.values():
            for connection in connections:
                self._leave(connection)

    async def close(self) -> None:
        """QUIT what is idle, cut what is not."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in tuple(self._busy):
            connection.cut()
        self.retire()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_CLOSE_SECONDS)

    def _make_room(self) -> None:
        while self._idle and self._count + len(self._busy) > self._most:
            key = next(iter(self._idle))
            self._count -= 1
            self._leave(self._idle[key].popleft())
            if not self._idle[key]:
                del self._idle[key]

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        next_at = 0.0
        for key, waiting in list(self._idle.items()):
            while waiting and (waiting[0].idle_until <= now or not waiting[0].usable):
                self._count -= 1
                self._leave(waiting.popleft())
            if waiting:
                next_at = min(next_at or waiting[0].idle_until, waiting[0].idle_until)
            else:
                del self._idle[key]
        if next_at:
            self._timer = asyncio.get_running_loop().call_later(max(0.05, next_at - now), self._sweep)

    def _leave(self, connection: PeerConnection) -> None:
        task = asyncio.get_running_loop().create_task(connection.leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
