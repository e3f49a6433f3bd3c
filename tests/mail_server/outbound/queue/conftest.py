"""A queue on a real store, on both databases, with a clock that the test moves and other operators that do as told."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.outbound.dispatch import Dependencies, Dispatcher
from mail_server.outbound.interface import (
    Form,
    Notify,
    NotOpened,
    Outcome,
    Outgoing,
    OutgoingRecipient,
    Phase,
    Readable,
    Verdict,
)
from mail_server.outbound.queue import Queue
from mail_server.outbound.rows import Wraps, fates_of, letter, recipients
from mail_server.outbound.schedule import Schedule
from mail_server.outbound.settings import OutboundSettings
from mail_server.outbound.settling import Settling
from mail_server.store.model import AccountId
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from policies.audit.trail import ChainedTrail

KEK = b"k" * 32
NOON = 1_800_000_000_000
ACCOUNT = AccountId("a" * 20)

TAKEN = Outcome(Verdict.DELIVERED, Phase.CONTENT, "taken", 250, "2.0.0", "Ok", "mx.b.test")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


class Operators:
    """`Handover`: what each domain does, letter by letter; what it took, and how it was asked."""

    def __init__(self) -> None:
        self.does: dict[
            str, Any
        ] = {}  # domain: an outcome, or a callable of (letter) -> outcomes, sync or not
        self.took: list[tuple[str, str, bytes]] = []  # domain, address, bytes
        self.asked: list[tuple[str, int]] = []  # domain, letter
        self.open_now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.closed = False

    async def hand_over(self, domain, leaving, content):
        self.asked.append((domain, leaving.id))
        self.open_now[domain] += 1
        self.most[domain] = max(self.most[domain], self.open_now[domain])
        try:
            does = self.does.get(domain, TAKEN)
            answer = does(leaving) if callable(does) else does
            if asyncio.iscoroutine(answer):
                answer = await answer
            outcomes = [answer] * len(leaving.recipients) if isinstance(answer, Outcome) else answer
            if any(each.verdict is Verdict.DELIVERED or each.unsure for each in outcomes):
                try:
                    data = await content()
                except NotOpened as failure:
                    verdict = Verdict.FAILED if failure.lasting else Verdict.LATER
                    return [Outcome(verdict, Phase.OPEN, failure.slug)] * len(leaving.recipients)
                for each, outcome in zip(leaving.recipients, outcomes, strict=True):
                    if outcome.verdict is Verdict.DELIVERED:
                        self.took.append((domain, each.address, data))
            return outcomes
        finally:
            self.open_now[domain] -= 1

    async def close(self):
        self.closed = True


class Told:
    """`Owing`: what would be told to senders."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.letters: list[Any] = []
        self.woken = 0
        self.fails = False

    def owe(self, transaction, letter, settled, at):
        if self.fails:
            raise RuntimeError("a fault of who tells")
        self.letters.append(letter)
        self.rows += [(letter.reference, each.recipient.address, each.fate, each.last) for each in settled]

    def wake(self):
        self.woken += 1

    @property
    def fates(self):
        return [(address, fate) for _, address, fate, _ in self.rows]


@dataclass
class Post:
    """A node's queue, and short ways to use it."""

    store: LocalStore
    settings: OutboundSettings
    clock: Clock
    operators: Operators
    told: Told
    several_nodes: bool
    chain: str = "node"
    egress: Any = None
    blocked: set[str] = field(default_factory=set)
    keys: AesKeyWrapper = field(default_factory=lambda: AesKeyWrapper(KEK))
    dispatcher: Dispatcher | None = None
    numbers: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.schedule = Schedule.of(self.settings)
        self.queue = Queue(self.keys, self.schedule)
        self.settling = Settling(self.keys, self.schedule, ChainedTrail(self.chain), [self.told])
        self.wraps = Wraps(self.keys)

    def dispatching(self) -> Dispatcher:
        needs = Dependencies(
            store=self.store,
            queue=self.queue,
            settling=self.settling,
            handover=self.operators,
            egress=self.egress,
            clock=self.clock,
            owing=[self.told],
            blocked=self.blocked.__contains__,
            several_nodes=self.several_nodes,
            home=self.chain,
        )
        return Dispatcher(self.settings, needs, random.Random(1))

    async def start(self) -> None:
        self.dispatcher = self.dispatching()
        await self.dispatcher.start()

    async def stop(self, grace: float = 2.0) -> None:
        if self.dispatcher is not None:
            await self.dispatcher.stop(grace)
            self.dispatcher = None

    async def outgoing(self, *addresses: str, data: bytes = b"sealed", **more: Any) -> Outgoing:
        addresses = addresses or ("bob@b.test",)
        notify = more.pop("notify", Notify.NONE)
        staged = await self.store.stage(None, data, compress=False)
        values: dict[str, Any] = {
            "account": ACCOUNT,
            "mail_from": "alice@a.test",
            "domain": addresses[0].rpartition("@")[2],
            "recipients": tuple(OutgoingRecipient(each, notify) for each in addresses),
            "content": staged,
            "form": Form.WIRE,
            "egress": "",
            "readable": Readable.SEALED,
            "size": len(data),
            "head": b"From: alice@a.test\r\n",
            "reference": f"r{next(self.numbers)}",
            "accepted_at": self.clock.now,
        }
        return Outgoing(**(values | more))

    async def lay(self, *addresses: str, data: bytes = b"sealed", **more: Any) -> int:
        outgoing = await self.outgoing(*addresses, data=data, **more)
        number = await self.store.write(lambda tx: self.queue.lay(tx, outgoing))
        self.queue.wake()
        return number

    async def until(self, what: Callable[[], Any], seconds: float = 120) -> None:
        async with asyncio.timeout(seconds):
            while True:
                found = what()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.002)

    async def quiet(self) -> None:
        """Until nothing is handed over and nothing due is left."""
        assert self.dispatcher is not None
        calm = 0
        async with asyncio.timeout(120):
            while calm < 3:
                await asyncio.sleep(0.003)
                calm = calm + 1 if self.dispatcher.idle else 0

    async def quiet_for(self, seconds: float) -> None:
        """Where something stays due: nothing may happen for so long."""
        await asyncio.sleep(seconds)

    async def passes(self, ms: int) -> None:
        """Time passes, and whatever is due then is done."""
        self.clock.now += ms
        assert self.dispatcher is not None
        self.dispatcher.wake()
        await self.quiet()

    async def letter(self, number: int):
        return await self.store.read(lambda r: letter(r.sql, self.wraps, number))

    async def recipients(self, number: int):
        def read(reader):
            found = letter(reader.sql, self.wraps, number)
            return recipients(reader.sql, self.wraps, found)

        return await self.store.read(read)

    async def states(self, number: int) -> list[str]:
        return [each.state.name for each in await self.recipients(number)]

    async def fates(self, reference: str):
        return await self.store.read(lambda r: fates_of(r.sql, self.keys, reference))

    async def count(self, statement: str, *parameters: Any) -> int:
        return await self.store.read(lambda reader: (reader.sql.one(statement, parameters) or (0,))[0])


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> str:
    (tmp_path / "home").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "home" / "mail.db")
    return ""


@pytest.fixture
def postgresql_database(
    make_postgresql_database: Callable[..., str], migrated_postgresql: str, tmp_path: Path
) -> str:
    (tmp_path / "home").mkdir()
    return make_postgresql_database(migrated_postgresql)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def outbound_settings() -> OutboundSettings:
    return OutboundSettings()


@pytest.fixture
async def make_post(tmp_path: Path, outbound_settings: OutboundSettings) -> AsyncIterator[Any]:
    """Another node on a database."""
    made: list[Post] = []

    async def make(database: str, name: str = "home", **more: Any) -> Post:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        store = LocalStore(
            StoreSettings(database=database, free_space_floor=0, inline_limit=1024), home, AesKeyWrapper(KEK)
        )
        await store.start()
        values: dict[str, Any] = {
            "clock": Clock(),
            "operators": Operators(),
            "told": Told(),
            "several_nodes": bool(database),
            "settings": outbound_settings,
        }
        post = Post(store, **(values | more))
        made.append(post)
        return post

    yield make
    for post in made:
        await post.stop()
        await post.store.stop()


@pytest.fixture
async def post(database: str, make_post: Any) -> Post:
    return await make_post(database)


@pytest.fixture
async def local(sqlite_database: str, make_post: Any) -> Post:
    """On SQLite alone: what does not depend on the database."""
    return await make_post(sqlite_database)
