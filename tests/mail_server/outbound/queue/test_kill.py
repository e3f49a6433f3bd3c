"""Kill -9 while letters leave: none is lost, and one that arrives twice is one that the rows name as possibly twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from mail_server.store.check import check_store

ROOT = Path(__file__).parents[4]
KILLS, LETTERS = 6, 400

# A node that hands letters over to the test: one line per letter, answered by one line.
NODE = """
import asyncio, sys
from pathlib import Path
import time
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.outbound.dispatch import Dependencies, Dispatcher
from mail_server.outbound.interface import *
from mail_server.outbound.queue import Queue
from mail_server.outbound.schedule import Schedule
from mail_server.outbound.settings import OutboundSettings
from mail_server.outbound.settling import Settling
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from policies.audit.trail import ChainedTrail

class Client:
    def __init__(self):
        self.open = []
    async def hand_over(self, domain, letter, content):
        reader, writer = self.open.pop() if self.open else await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
        writer.write(await content() + b"\\n")
        answer = await reader.readline()
        self.open.append((reader, writer))
        verdict = Verdict.DELIVERED if answer else Verdict.LATER
        return [Outcome(verdict, Phase.CONTENT, "taken", unsure=not answer)] * len(letter.recipients)
    async def close(self):
        pass

async def main():
    keys, settings = AesKeyWrapper(b"k" * 32), OutboundSettings(first_retry_seconds=0.05)
    store = LocalStore(StoreSettings(free_space_floor=0, inline_limit=1024), Path(sys.argv[1]), keys)
    await store.start()
    schedule = Schedule.of(settings)
    queue = Queue(keys, schedule)
    needs = Dependencies(store, queue, Settling(keys, schedule, ChainedTrail("node")), Client(), None,
                         lambda: time.time_ns() // 1_000_000)
    await Dispatcher(settings, needs).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_nothing_is_lost_and_what_comes_twice_is_named(local, tmp_path):
    local.clock.now = time.time_ns() // 1_000_000
    bodies = {}
    for count in range(LETTERS):
        name = f"letter {count}".encode()
        bodies[await local.lay(f"p{count}@d{count % 3}.test", data=name)] = name
    settings = local.store._settings
    await local.store.stop()
    arrived: Counter[bytes] = Counter()
    chance = random.Random(6)

    async def receive(reader, writer):
        while line := await reader.readline():
            arrived[line.strip()] += 1
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
            try:
                writer.write(b"250\n")
                await writer.drain()
            except ConnectionError:
                break
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    for round_ in range(KILLS + 1):
        node = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            NODE,
            str(tmp_path / "home"),
            port,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            before = arrived.total()
            async with asyncio.timeout(30):
                while round_ < KILLS and arrived.total() == before and len(arrived) < LETTERS:
                    await asyncio.sleep(0.001)
                if round_ < KILLS:
                    await asyncio.sleep(chance.uniform(0, 0.08))
                while round_ == KILLS and len(arrived) < LETTERS:
                    await asyncio.sleep(0.01)
            if round_ == KILLS:
                await asyncio.sleep(0.3)
        finally:
            node.send_signal(signal.SIGKILL)
            await node.wait()
    server.close()
    await local.store.start()
    await local.start()  # what the last kill left in hand; nothing is there to take it up but this node
    await local.quiet()
    again = Counter(data for _, _, data in local.operators.took)
    assert set(arrived) == set(bodies.values())
    assert await local.count("SELECT count(*) FROM outbound_letter WHERE state <> 2") == 0
    twice = {name for name, many in (arrived + again).items() if many > 1}
    named = set()
    for number, name in bodies.items():
        if (await local.recipients(number))[0].unsure:
            named.add(name)
    assert twice <= named
    print(f"{KILLS + 1} kills: {len(named)} letters in the window, {len(twice)} arrived twice")
    await local.stop()
    assert [one for one in check_store(settings, tmp_path / "home", local.keys) if not one.harmless] == []
