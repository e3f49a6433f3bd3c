"""A trust space whose clock, file and server the tests move."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.demo.pki import Leaf, Organisation, TestAuthority
from policies.interface import Event
from policies.settings import PoliciesSettings
from policies.trust_list import listing
from policies.trust_list.kept import Folder
from policies.trust_list.listing import ListRefused, Row
from policies.trust_list.space import Fetched, TrustSpace
from policies.trust_list.standing import HOUR_MS

OPERATOR = Organisation.with_finess("CHU VOISIN", 3, "Loire (42)")
OUR_DOMAIN = "chez-nous.test"
START = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)


class MemorySql:
    """The part of the store's `Sql` that is written through, with these tables."""

    dialect = "sqlite"

    def __init__(self, metadata: sa.MetaData) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        engine = sa.create_engine("sqlite://", creator=lambda: self.connection, poolclass=sa.StaticPool)
        metadata.create_all(engine)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.connection.execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return self.connection.execute(statement, parameters).fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, parameters).fetchall()


@pytest.fixture(scope="session")
def authority() -> TestAuthority:
    return TestAuthority.create()


@pytest.fixture(scope="session")
def leaf(authority: TestAuthority) -> Leaf:
    return authority.issue_operator("mx.voisin.test", OPERATOR)


@dataclass
class Authority:
    """The server of the list, without a wire: what it answers next."""

    document: bytes = b""
    etag: str = ""
    failure: ListRefused | None = None
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, etag: str) -> Fetched:
        self.asked.append(etag)
        if self.failure is not None:
            raise self.failure
        if etag and etag == self.etag:
            return Fetched(None, etag)
        return Fetched(self.document, self.etag)


@dataclass
class World:
    folder: Path
    now: int = int(START.timestamp() * 1000)
    events: list[Event] = field(default_factory=list[Event])
    authority: Authority = field(default_factory=Authority)

    @property
    def file(self) -> Path:
        return self.folder / "list.xml"

    def clock(self) -> int:
        return self.now

    def pass_hours(self, hours: float) -> None:
        self.now += int(hours * HOUR_MS)

    def note(self, events: Sequence[Event]) -> None:
        self.events += events

    def told(self, action: str) -> list[str]:
        """The outcomes of what was noted in the trace."""
        return [event.outcome for event in self.events if event.action == action]

    def write(self, *rows: Row) -> bytes:
        """A list generated now, in the file and at the authority."""
        listing.write(self.file, rows, dt.datetime.fromtimestamp(self.now / 1000, dt.UTC))
        self.authority.document = self.file.read_bytes()
        return self.authority.document

    async def open(self, *, fetched: bool = False, **settings: object) -> TrustSpace:
        """A node that starts: with a file, or with the authority's server."""
        source: dict[str, object] = (
            {"trust_list_url": "https://liste.test/", "trust_list_dn": ["CN=liste.test"]}
            if fetched
            else {"trust_list": self.file}
        )
        space = TrustSpace(
            PoliciesSettings.model_validate(source | settings),
            Folder(self.folder / "trust-list"),
            ours=lambda domain: domain == OUR_DOMAIN,
            audit=self.note,
            clock=self.clock,
            fetch=self.authority if fetched else None,
        )
        await space.open()
        return space


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
