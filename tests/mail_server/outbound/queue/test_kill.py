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

# A node that hands letters over to the test: one line per letter, answered by one. Its clock runs from a moment on, so
# many times as fast as ours: leases last a minute at least.
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
    home, _, database, since, speed = sys.argv[1:]
    moment = int(since)
    keys = AesKeyWrapper(b"k" * 32)
    settings = OutboundSettings(first_retry_seconds=0.05, lease_seconds=60, connections_of_domain=2)
    chosen = StoreSettings(database=database, free_space_floor=0, inline_limit=1024)
    store = LocalStore(chosen, Path(home), keys)
    await store.start()
    schedule = Schedule.of(settings)
    queue = Queue(keys, schedule)
    def clock():
        return moment + int(int(speed) * (time.time() * 1000 - moment))
    needs = Dependencies(store, queue, Settling(keys, schedule, ChainedTrail(Path(home).name)), Client(), None,
                         clock, several_nodes=bool(database))
    await Dispatcher(settings, needs).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def serving(home: Path, port: str, database: str = "", since: int = 0, speed: int = 1):
    told = [str(home), port, database, str(since), str(speed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", NODE, *told, cwd=ROOT, env=environment)


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
        node = await serving(tmp_path / "home", port)
        try:
            before = arrived.total()
            async with asyncio.timeout(120):
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


async def test_beside_another_node_what_a_killed_one_had_in_hand_leaves_by_the_other(
    postgresql_database, make_post, tmp_path
):
    post = await make_post(postgresql_database)
    since = post.clock.now = time.time_ns() // 1_000_000
    bodies = {}
    for count in range(LETTERS // 2):
        name = f"letter {count}".encode()
        bodies[await post.lay(f"p{count}@d{count % 3}.test", data=name)] = name
    arrived: Counter[bytes] = Counter()
    chance = random.Random(7)

    async def receive(reader, writer):
        while line := await reader.readline():
            arrived[line.strip()] += 1
            await asyncio.sleep(chance.choice([0, 0.01, 0.05]))
            try:
                writer.write(b"250\n")
                await writer.drain()
            except ConnectionError:
                break
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    nodes = [await serving(home, port, postgresql_database, since, 40) for home in homes]
    try:
        for kill in range(3):
            before = arrived.total()
            async with asyncio.timeout(120):
                while arrived.total() < before + 20 and len(arrived) < len(bodies):
                    await asyncio.sleep(0.001)
            await asyncio.sleep(chance.uniform(0, 0.05))
            nodes[kill % 2].kill()
            await nodes[kill % 2].wait()
            if kill < 2:  # the third time it stays away: all that is left leaves by the other
                nodes[kill % 2] = await serving(homes[kill % 2], port, postgresql_database, since, 40)
        async with asyncio.timeout(120):
            while await post.count("SELECT count(*) FROM outbound_letter WHERE state <> 2"):
                await asyncio.sleep(0.05)
    finally:
        for node in nodes:
            if node.returncode is None:
                node.kill()
                await node.wait()
        server.close()
    assert set(arrived) == set(bodies.values())
    named = {name: (await post.recipients(number))[0].unsure for number, name in bodies.items()}
    twice = {name: many - 1 for name, many in arrived.items() if many > 1}
    assert all(more <= named[name] for name, more in twice.items())
    assert await post.count("SELECT count(*) FROM queued") == 0
    print(f"3 kills of two nodes: {sum(map(bool, named.values()))} in the window, {len(twice)} arrived twice")
