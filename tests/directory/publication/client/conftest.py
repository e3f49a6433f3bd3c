from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from directory.certificates import tables
from directory.certificates.service import open_database
from directory.model import Kind
from directory.publication.client.publisher import Publisher
from directory.publication.client.queue import PublicationQueue
from directory.publication.client.remote import NationalDirectory
from directory.publication.client.states import Entry, Standing
from tests.directory.publication.client.national import KEY, National, Wire

BASE = "https://national.example/fhir/v2"
ZOE, PAUL = "zoe.martin@cabinet.mss.example", "paul.lenoir@cabinet.mss.example"
RPPS, OTHER_RPPS = "899700218896", "899700245667"


def entry(address: str = ZOE, holder: str = RPPS, **more: object) -> Entry:
    return Entry(address, Kind.PER, holder, **more)  # type: ignore[arg-type]


@dataclass
class Desk:
    """A queue, who empties it, and the national directory at the other end; the clock moves when it is told to."""

    queue: PublicationQueue
    national: National
    publisher: Publisher
    time: list[int]
    noted: list[tuple[str, str, str, str]]

    def want(self, *entries: Entry) -> None:
        self.queue.want({one.address: one.as_text() for one in entries}, self.time[0])

    def forget(self, address: str = ZOE) -> None:
        self.queue.want({address: ""}, self.time[0])

    def later(self, minutes: float) -> None:
        self.time[0] += round(minutes * 60_000)

    async def round(self) -> list[tuple[str, str]]:
        """What was asked meanwhile."""
        before = len(self.national.asked)
        await self.publisher.round()
        return self.national.asked[before:]

    def standing(self, address: str = ZOE) -> Standing:
        found = self.queue.one(address)
        assert found is not None
        return found


@pytest.fixture
def place(tmp_path: Path) -> str:
    """On SQLite."""
    where = f"sqlite:///{tmp_path / 'directory.db'}"
    _create(where)
    return where


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> str:
    """On both databases."""
    if request.param == "sqlite":
        return request.getfixturevalue("place")
    where: str = request.getfixturevalue("make_postgresql_database")()
    _create(where)
    return where


def _create(where: str) -> None:
    engine = open_database(where)
    tables.create(engine)
    engine.dispose()


@pytest.fixture
def open_queue(place: str) -> Iterator[Callable[..., PublicationQueue]]:
    opened: list[PublicationQueue] = []

    def make(node: str = "one", base: str = BASE) -> PublicationQueue:
        opened.append(PublicationQueue(open_database(place), node, base))
        return opened[-1]

    yield make
    for queue in opened:
        queue.close()


@pytest.fixture
async def desk(
    open_queue: Callable[..., PublicationQueue], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    monkeypatch.setattr("directory.publication.client.publisher._PACE", 0)
    national = National({RPPS, OTHER_RPPS})
    time, noted = [1_800_000_000_000], list[tuple[str, str, str, str]]()
    remote = NationalDirectory(BASE, KEY, ssl.create_default_context(), 60, Wire(national))
    queue = open_queue()
    publisher = Publisher(
        queue,
        remote,
        retry_minutes=(1, 5, 30),
        seconds=5,
        clock=lambda: time[0],
        noted=lambda address, action, result, slug: noted.append((address, action, result, slug)),
    )
    yield Desk(queue, national, publisher, time, noted)
    await publisher.stop()
