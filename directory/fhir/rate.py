"""What one key may take: calls in a second, from a bucket that fills up again; and threads at once.

Invariants: memory is bounded by the keys in use; only the loop's thread asks; a turn is over when its thread is done,
whoever still waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 4096


class Rate:
    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left: dict[str, tuple[float, float]] = {}  # calls left, when

    def take(self, key: str) -> bool:
        """Whether this call is within bounds."""
        now = time.monotonic()
        left, at = self._left.get(key, (float(self._per_second), now))
        left = min(float(self._per_second), left + (now - at) * self._per_second)
        if len(self._left) >= _MOST and key not in self._left:
            self._left.clear()
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1


@dataclass(slots=True)
class _Turn:
    free: asyncio.Semaphore
    asked: int = 0  # who has it, or waits for it


class Turns:
    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, _Turn] = {}

    async def begun(self, pool: Executor, work: Callable[[], T], key: str) -> asyncio.Future[T]:
        """`work`, in a thread, when the key's turn comes."""
        turn = self._of.setdefault(key, _Turn(asyncio.Semaphore(self._most)))
        turn.asked += 1
        try:
            await turn.free.acquire()
        except BaseException:
            self._gone(key, turn)
            raise
        running = asyncio.get_running_loop().run_in_executor(pool, work)

        def ended(done: asyncio.Future[Any]) -> None:
            turn.free.release()
            self._gone(key, turn)
            if not done.cancelled():
                done.exception()  # looked at, where nobody waits any more

        running.add_done_callback(ended)
        return running

    def _gone(self, key: str, turn: _Turn) -> None:
        turn.asked -= 1
        if not turn.asked:
            del self._of[key]
