"""Turns at work in threads: shares, turns given back, and what is left behind by who gives up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from directory.turns import Turns


class Work:
    """Held until it is let go; counts how much of it goes on at once."""

    def __init__(self) -> None:
        self.at_once = 0
        self.most = 0
        self._lock = threading.Lock()
        self._go = threading.Event()

    def __call__(self) -> str:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self._go.wait(60)
        with self._lock:
            self.at_once -= 1
        return "done"

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.let_go()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not so():
            await asyncio.sleep(0.005)


async def ended(turns: Turns, asker: str, work: Callable[[], str]) -> str:
    return await asyncio.shield(await turns.begun(asker, work))


async def test_nobody_has_more_than_their_share(work: Work, pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, pool=pool)
    greedy = [asyncio.create_task(ended(turns, "greedy", work)) for _ in range(6)]
    await until(lambda: work.at_once == 2)
    async with asyncio.timeout(60):
        assert await ended(turns, "other", lambda: "at once") == "at once"
    work.let_go()
    assert await asyncio.gather(*greedy) == ["done"] * 6
    assert work.most == 2


async def test_all_together_have_no_more_than_there_are(work: Work, pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, of_all=3, pool=pool)
    many = [asyncio.create_task(ended(turns, f"asker {number}", work)) for number in range(6)]
    await until(lambda: work.at_once == 3)
    work.let_go()
    await asyncio.gather(*many)
    assert work.most == 3


async def test_what_nobody_waits_for_keeps_its_turn_until_its_thread_is_done(
    work: Work, pool: ThreadPoolExecutor
) -> None:
    turns = Turns(1, pool=pool)
    left = asyncio.create_task(ended(turns, "asker", work))
    await until(lambda: work.at_once == 1)
    left.cancel()
    next_one = asyncio.create_task(ended(turns, "asker", lambda: "next"))
    await asyncio.wait([left])
    assert not (await asyncio.wait([next_one], timeout=0.05))[0]
    work.let_go()
    assert await next_one == "next"


async def test_who_gives_up_waiting_leaves_the_turn_to_others(work: Work, pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, of_all=1, pool=pool)
    first = asyncio.create_task(ended(turns, "first", work))
    await until(lambda: work.at_once == 1)
    waiting = [asyncio.create_task(ended(turns, "second", work)) for _ in range(3)]
    await asyncio.sleep(0)  # two wait for a thread, the third for its share
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    work.let_go()
    await first
    async with asyncio.timeout(60):
        assert await ended(turns, "second", lambda: "mine") == "mine"


async def test_a_turn_is_given_back_by_work_that_fails_and_by_a_pool_that_is_closed() -> None:
    def broken() -> str:
        raise ValueError

    with ThreadPoolExecutor(1) as pool:
        turns = Turns(1, of_all=1, pool=pool)
        for _ in range(2):
            with pytest.raises(ValueError):  # noqa: PT011
                await ended(turns, "asker", broken)
    async with asyncio.timeout(60):
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await turns.begun("asker", broken)


async def test_who_wants_no_more_is_forgotten(pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, pool=pool)
    await asyncio.gather(*(ended(turns, f"asker {number}", lambda: "") for number in range(50)))
    await until(lambda: not turns._shares)
