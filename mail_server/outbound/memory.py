"""How many octets of letters may be in memory at once, on their way out.

Invariants: who came first is served first, so that a large letter is not passed by small ones for ever; a letter larger
than all there is takes all of it, alone; what was taken is given back however the attempt ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Memory:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        return self._used

    @asynccontextmanager
    async def taken(self, octets: int) -> AsyncGenerator[None]:
        octets = min(octets, self._limit)
        await self._take(octets)
        try:
            yield
        finally:
            self._give(octets)

    async def _take(self, octets: int) -> None:
        if not self._waiting and self._used + octets <= self._limit:
            self._used += octets
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(octets)  # it was served at the moment it was cut off
            raise

    def _give(self, octets: int) -> None:
        self._used -= octets
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()  # whoever waited was cut off
                continue
            if self._used + wanted > self._limit:
                return
            self._waiting.popleft()
            self._used += wanted
            turn.set_result(None)
