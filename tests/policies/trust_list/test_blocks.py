"""Blocked operators: by name in any spelling, durable, with who and why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from policies.trust_list import blocks
from policies.trust_list.blocks import Block, OperatorBlocks
from policies.trust_list.names import NameRefused

from .conftest import MemorySql

NEIGHBOUR = Block("CN=smtp.voisin.test,O=CHU Voisin,C=FR", 1000, "sends spam", "console:eve")


@pytest.fixture
def table() -> Iterator[MemorySql]:
    sql = MemorySql(blocks.metadata)
    yield sql
    sql.connection.close()


def test_a_block_is_remembered_with_who_set_it_and_why(table: MemorySql) -> None:
    blocks.write(table, NEIGHBOUR)
    assert blocks.read(table) == [NEIGHBOUR]


def test_two_spellings_are_one_operator(table: MemorySql) -> None:
    blocks.write(table, NEIGHBOUR)
    blocks.write(table, Block("cn=SMTP.voisin.test, o=chu  voisin, c=fr", 2000, "still does", "console:bob"))
    (kept,) = blocks.read(table)
    assert (kept.since, kept.reason, kept.by) == (1000, "still does", "console:bob")
    held = OperatorBlocks([kept])
    assert held.blocked("CN=smtp.voisin.test,O=CHU Voisin,C=FR")
    assert not held.blocked("CN=smtp.autre.test,O=CHU Voisin,C=FR")


def test_an_end_is_an_end(table: MemorySql) -> None:
    blocks.write(table, NEIGHBOUR)
    assert blocks.remove(table, NEIGHBOUR.dn)
    assert not blocks.remove(table, NEIGHBOUR.dn)
    assert not OperatorBlocks(blocks.read(table)).blocked(NEIGHBOUR.dn)


def test_a_name_that_cannot_be_compared_is_refused(table: MemorySql) -> None:
    with pytest.raises(NameRefused):
        blocks.write(table, Block("not a name", 1, "x", "y"))
