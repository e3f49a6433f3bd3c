"""Work on the database, in threads of the FHIR door: a bounded number at a time, each for a bounded time.

Invariants: no key has all of the threads; what cannot be done in time is refused as 503, and its thread is waited for
by nobody; what writes is waited for to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from directory.fhir.counters import Counters
from directory.fhir.outcome import FhirRefusal, too_many
from directory.fhir.selection import TookTooLong
from directory.listings.database import cut_short
from directory.turns import Turns

T = TypeVar("T")
_THREADS = 3  # they share one interpreter with the loop
_MOST_WAITING = 64
_MOST_OF_KEY = 2  # threads; others of the same key wait
_GRACE = 1.0  # seconds more for a thread to see that its time is over, and say so itself


class Threads:
    def __init__(self, longest: float, counters: Counters) -> None:
        self._longest = longest
        self._counters = counters
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fhir")
        self._turns = Turns(_MOST_OF_KEY, pool=self._pool)
        self._waiting = 0

    async def stop(self) -> None:
        """Wait for what is under way; what waits is not begun any more."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def run(self, work: Callable[[], T], key: str = "", *, patient: bool = False) -> T:
        """`patient`: it writes, and is waited for to its end, so that what was done is told."""
        if self._waiting >= _MOST_WAITING:
            raise too_many()
        self._waiting += 1
        try:
            task = await asyncio.wait_for(self._turns.begun(key, work), self._longest)
            if patient:
                return await asyncio.shield(task)
            return await asyncio.wait_for(asyncio.shield(task), self._longest + _GRACE)
        except Exception as fault:
            costly = isinstance(fault, TookTooLong) or cut_short(fault)
            if costly or isinstance(fault, TimeoutError):
                self._counters.cut_short += 1
                words = f"This took longer than {self._longest:g} seconds; ask for less."
                code = "too-costly" if costly else "timeout"  # the others had the threads
                raise FhirRefusal(503, code, words, headers={"Retry-After": "5"}) from None
            raise
        finally:
            self._waiting -= 1
