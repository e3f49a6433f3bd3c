"""Operators that an administrator of this node blocked: whatever the trust list says, they hand nothing over.

Invariants: a block counts from the next MAIL FROM on, also in connections already open; it has a reason and the
name of who set it; two spellings of one name are one operator (`names.key`). Memory answers, the table remembers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from policies.interface import SqlConnection
from policies.trust_list import names

metadata = sa.MetaData()

operator_block = sa.Table(
    "operator_block",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # names.key of the operator's subject
    sa.Column("dn", sa.Text, nullable=False),  # as it was given
    sa.Column("since", sa.BigInteger, nullable=False),  # ms UTC
    sa.Column("reason", sa.Text, nullable=False),  # a sentence, for administrators
    sa.Column("set_by", sa.Text, nullable=False),  # "console:<user>"
)


@dataclass(frozen=True, slots=True)
class Block:
    dn: str
    since: int  # ms UTC
    reason: str
    by: str


def read(sql: SqlConnection) -> list[Block]:
    rows = sql.all("SELECT dn, since, reason, set_by FROM operator_block ORDER BY since, name")
    return [Block(str(dn), int(since), str(reason), str(by)) for dn, since, reason, by in rows]


def write(sql: SqlConnection, block: Block) -> None:
    """Raises NameRefused for a name that cannot be compared."""
    sql.run(
        "INSERT INTO operator_block (name, dn, since, reason, set_by) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, set_by = excluded.set_by",
        (names.key(block.dn), block.dn, block.since, block.reason, block.by),
    )


def remove(sql: SqlConnection, dn: str) -> bool:
    """Whether there was one. Raises NameRefused."""
    return bool(sql.run("DELETE FROM operator_block WHERE name = ?", (names.key(dn),)))


class OperatorBlocks:
    """The blocks in force, answered from memory."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._blocked = {names.key(block.dn): block for block in blocks}

    def use(self, blocks: Iterable[Block]) -> None:
        self._blocked = {names.key(block.dn): block for block in blocks}

    def blocked(self, dn: str) -> bool:
        """Whether this operator (canonical subject) hands nothing over here."""
        return bool(self._blocked) and names.key(dn) in self._blocked

    def all(self) -> list[Block]:
        return list(self._blocked.values())
