"""Turns of domains, places, and memory: no letter, no clock, no disk."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.outbound.lanes import Found, Lanes
from mail_server.outbound.memory import Memory


def taking(lanes: Lanes, now: int = 0) -> list[str]:
    return [lane.domain for lane in lanes.turns(now)]


def test_domains_take_turns_in_the_order_in_which_they_came_back() -> None:
    lanes = Lanes(1, 1)
    for name in ("a", "b"):
        lanes.due(name, 0)
    seen = ""
    for _ in range(6):
        (lane,) = lanes.turns(0)
        seen += lane.domain
        lanes.leave(lane)
        lanes.due(lane.domain, 0)
    assert seen == "ababab"


def test_a_domain_that_failed_gets_one_place_until_it_answers() -> None:
    lanes = Lanes(10, 5)
    lanes.lane("a").failures = 1
    for _ in range(3):
        lanes.due("a", 0)
        taking(lanes)
    assert lanes.lane("a").busy == 1


def test_domains_that_fail_leave_half_of_the_places_to_those_that_answer() -> None:
    lanes = Lanes(10, 5)
    for count in range(20):
        lanes.lane(f"dead{count}").failures = 1
        lanes.due(f"dead{count}", 0)
    assert len(taking(lanes)) == 5
    lanes.due("good", 0)
    assert taking(lanes) == ["good"]


def test_the_last_quarter_of_the_places_is_for_domains_that_have_none() -> None:
    lanes = Lanes(8, 8)
    for _ in range(8):
        lanes.due("large", 0)
        taking(lanes)
    assert lanes.lane("large").busy == 6
    lanes.due("small", 0)
    assert taking(lanes) == ["small"]


def test_a_domain_waits_for_its_time_and_for_its_release() -> None:
    lanes = Lanes(4, 4)
    lanes.learn([Found("a", 0, 500, False, 0), Found("b", 0, 0, True, 0), Found("c", 0, 0, False, None)])
    assert taking(lanes, 499) == []
    assert lanes.until_next(100) == 400
    assert taking(lanes, 500) == ["a"]
    lanes.learn([])  # nothing is said of a domain that is held no more
    lanes.due("b", 0)
    assert taking(lanes, 500) == ["b"]


def test_what_another_node_says_late_takes_back_no_due_that_is_known_here() -> None:
    lanes = Lanes(4, 4)
    lanes.due("a", 10)
    lanes.learn([Found("a", 0, 0, False, None)])
    assert taking(lanes, 10) == ["a"]


async def test_a_large_letter_waits_for_its_memory_and_is_not_passed_by_small_ones() -> None:
    memory = Memory(100)
    order: list[str] = []
    go = asyncio.Event()

    async def carry(name: str, octets: int) -> None:
        async with memory.taken(octets):
            order.append(name)
            await go.wait()

    tasks = []
    for name, octets in (("first", 60), ("large", 90), ("small", 10)):
        tasks.append(asyncio.create_task(carry(name, octets)))
        await asyncio.sleep(0)
    assert order == ["first"]
    go.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "large", "small"]
    assert memory.used == 0


async def test_a_letter_larger_than_all_memory_goes_alone() -> None:
    memory = Memory(100)
    async with memory.taken(1000):
        assert memory.used == 100
        waiting = asyncio.create_task(memory.taken(1).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 60)


async def test_who_is_cut_off_while_waiting_takes_no_memory() -> None:
    memory = Memory(100)
    async with memory.taken(100):
        waiting = asyncio.create_task(memory.taken(50).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert memory.used == 0
    async with memory.taken(100):
        assert memory.used == 100


async def test_who_is_cut_off_at_the_moment_of_their_turn_gives_it_back() -> None:
    memory = Memory(100)
    taken = memory.taken(100)
    await taken.__aenter__()
    waiting = asyncio.create_task(memory.taken(50).__aenter__())
    await asyncio.sleep(0)
    await taken.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert memory.used == 0
