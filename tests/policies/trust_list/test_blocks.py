"""Blocked operators: by name in any spelling, durable, with who and why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from policies.trust_list import blocks
from policies.trust_list.blocks import Block, OperatorBlocks
from policies.trust_list.names import NameRefused

NEIGHBOUR = Block("CN=smtp.voisin.test,O=CHU Voisin,C=FR", 1000, "sends spam", "console:eve")


class Sql:
    dialect = "sqlite"

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        engine = sa.create_engine("sqlite://", creator=lambda: self.connection, poolclass=sa.StaticPool)
        blocks.metadata.create_all(engine)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.connection.execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return self.connection.execute(statement, parameters).fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, parameters).fetchall()


@pytest.fixture
def table() -> Iterator[Sql]:
    sql = Sql()
    yield sql
    sql.connection.close()


def test_a_block_is_remembered_with_who_set_it_and_why(table: Sql) -> None:
    blocks.write(table, NEIGHBOUR)
    assert blocks.read(table) == [NEIGHBOUR]


def test_two_spellings_are_one_operator(table: Sql) -> None:
    blocks.write(table, NEIGHBOUR)
    blocks.write(table, Block("cn=SMTP.voisin.test, o=chu  voisin, c=fr", 2000, "still does", "console:bob"))
    (kept,) = blocks.read(table)
    assert (kept.since, kept.reason, kept.by) == (1000, "still does", "console:bob")
    held = OperatorBlocks([kept])
    assert held.blocked("CN=smtp.voisin.test,O=CHU Voisin,C=FR")
    assert not held.blocked("CN=smtp.autre.test,O=CHU Voisin,C=FR")


def test_an_end_is_an_end(table: Sql) -> None:
    blocks.write(table, NEIGHBOUR)
    assert blocks.remove(table, NEIGHBOUR.dn)
    assert not blocks.remove(table, NEIGHBOUR.dn)
    assert not OperatorBlocks(blocks.read(table)).blocked(NEIGHBOUR.dn)


def test_a_name_that_cannot_be_compared_is_refused(table: Sql) -> None:
    with pytest.raises(NameRefused):
        blocks.write(table, Block("not a name", 1, "x", "y"))
