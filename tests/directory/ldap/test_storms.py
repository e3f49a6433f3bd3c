"""Programs that ask at each keystroke and abandon what they asked: work does not pile up, others are answered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.directory.ldap import asking
from tests.directory.ldap.asking import Caller
from tests.directory.ldap.listed import Listed, many

KEYSTROKES = 1_000
PAIRS_AT_ONCE = 50


async def storm(caller: Caller, keystrokes: int) -> None:
    """A search for each keystroke, abandoned by the next."""
    for begin in range(0, keystrokes, PAIRS_AT_ONCE):
        data = b""
        for number in range(begin + 1, begin + PAIRS_AT_ONCE + 1):
            data += asking.search(2 * number, "(|(cn=*durand*)(mail=*durand*)(sn=*durand*))")
            data += asking.abandon(2 * number + 1, 2 * number)
        caller.send(data)
        await caller.writer.drain()
    caller.send(asking.extended(1, "1.3.6.1.4.1.4203.1.11.3"))
    answer = await caller.answer(timeout=120)
    assert answer is not None
    assert answer.number == 1  # nothing that was abandoned was answered before it


def resident() -> int:
    """Octets."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_abandoned_searches_do_not_pile_up(opening: Any) -> None:
    listed = Listed(many(300), takes=0.01)
    async with opening(listed, searches=2) as door:
        callers = [await door.call() for _ in range(4)]
        bystander = await door.call()
        await bystander.look("(mail=nobody@x.fr)")
        before, highest = resident(), 0
        storms = [asyncio.create_task(storm(caller, KEYSTROKES)) for caller in callers]
        served_first: list[int] = []  # searches of others, while the bystander waits for the answer
        while not all(each.done() for each in storms):
            began = len(listed.asked)
            assert (await bystander.look("(mail=nobody@x.fr)"))[1].code == 0
            served_first.append(len(listed.asked) - began - 1)
            highest = max(highest, resident())
        await asyncio.gather(*storms)
        counters = door.door.counters
        assert counters.abandoned == 4 * KEYSTROKES
        assert listed.most_at_once <= 2
        assert len(listed.asked) - len(served_first) < 2 * KEYSTROKES  # most were abandoned before their turn
        assert highest - before < 50_000_000
        assert max(served_first) < 100
        async with asyncio.timeout(60):
            while counters.searching:
                await asyncio.sleep(0.01)
        assert (await bystander.look("(sn=durand01)"))[1].code == 0


async def test_connections_that_come_and_go_leave_nothing_behind(opening: Any) -> None:
    """As a program does that opens one for each keystroke, and leaves without a word."""
    async with opening(Listed(takes=0.002), connections_of_place=1000) as door:
        for _ in range(10):
            callers = [await door.call() for _ in range(20)]
            for caller in callers:
                caller.send(asking.bind(1) + asking.search(2, "(sn=martin)"))
                caller.writer.transport.abort()
        async with asyncio.timeout(60):
            while door.door.counters.open or door.door.counters.searching:
                await asyncio.sleep(0.01)
        assert door.door.counters.failures == 0
        caller = await door.call()
        assert (await caller.look("(sn=martin)"))[1].code == 0
