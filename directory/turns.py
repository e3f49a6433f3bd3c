"""Turns at work in threads: of all who ask at once, nobody has more than a share.

Invariants: a turn is over when its thread is done, whoever still waits for it, so that what was abandoned cannot pile
up; each is given back exactly once; who has none, and waits for none, is forgotten; used on the loop alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Share:
    """Of one asker."""

    turns: asyncio.Semaphore
    asked: int = 0  # turns had, or waited for


class Turns:
    def __init__(self, of_one: int, *, of_all: int | None = None, pool: Executor | None = None) -> None:
        """`of_one`: of one asker at a time; `of_all`: of everybody, where the pool itself does not say how many."""
        self._of_one = of_one
        self._of_all = (asyncio.Semaphore(of_all),) if of_all is not None else ()
        self._pool = pool
        self._shares: dict[str, _Share] = {}

    async def begun(self, asker: str, work: Callable[[], T]) -> asyncio.Future[T]:
        """`work`, in a thread, when its turn has come. Shield it: cancelling would end the turn, and not the thread."""
        with ExitStack() as held:
            share = self._shares.setdefault(asker, _Share(asyncio.Semaphore(self._of_one)))
            share.asked += 1
            held.callback(self._gone, asker, share)
            for turns in (share.turns, *self._of_all):
                await turns.acquire()
                held.callback(turns.release)
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
            turn = held.pop_all()

        def ended(done: asyncio.Future[Any]) -> None:
            turn.close()
            if not done.cancelled():
                done.exception()  # looked at, where nobody waits any more

        running.add_done_callback(ended)
        return running

    def _gone(self, asker: str, share: _Share) -> None:
        share.asked -= 1
        if not share.asked:
            del self._shares[asker]
