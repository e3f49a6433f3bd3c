"""What the tests of policies share: a SQLite connection with the trace's table, in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from policies.audit.tables import metadata


class MemorySql:
    """The part of the store's `Sql` that the trail writes through."""

    dialect = "sqlite"

    def __init__(self) -> None:
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
def new_sql() -> Callable[[], MemorySql]:
    return MemorySql


@pytest.fixture
def sql() -> Iterator[MemorySql]:
    memory = MemorySql()
    yield memory
    memory.connection.close()
