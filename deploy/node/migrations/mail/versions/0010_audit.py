"""The trace by node, day and retention class, its links over salted leaves; what was written before is written anew.

The chain of before is checked on the way: the last entry of each converted chain tells its head, and whether it held.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from policies.audit.trail import ChainedTrail
from policies.interface import Event

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BEFORE = "audit_entry_before"
_BATCH = 1000
_MARK = b"vaguemestre audit 1\n"
_COLUMNS = (
    "chain, seq, at, action, actor, subject, outcome, reference, session, network, detail, previous, hash"
)


class _Sql:
    """What the trail writes through, over the migration's own connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._marks = "%s" if connection.dialect.name == "postgresql" else "?"

    @property
    def dialect(self) -> str:
        return self._connection.dialect.name

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        row = self._execute(statement, parameters).fetchone()
        return tuple(row) if row is not None else None

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._execute(statement, parameters).fetchall()]

    def _execute(self, statement: str, parameters: Sequence[Any]) -> sa.CursorResult[Any]:
        return self._connection.exec_driver_sql(statement.replace("?", self._marks), tuple(parameters))


def upgrade() -> None:
    op.rename_table("audit_entry", _BEFORE)
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # the name of its key stays with the old table otherwise
        op.execute(f"ALTER INDEX audit_entry_pkey RENAME TO {_BEFORE}_pkey")
    _make_tables()
    sql = _Sql(connection)
    for (chain,) in sql.all(f"SELECT DISTINCT chain FROM {_BEFORE} ORDER BY chain"):  # noqa: S608
        _convert(sql, chain)
    op.drop_table(_BEFORE)


def _make_tables() -> None:
    text = ("action", "actor", "subject", "behalf", "kind", "door", "outcome")
    more = ("reference", "session", "network", "detail")
    op.create_table(
        "audit_entry",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("retention", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*text, *more)),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("technical_day", sa.Integer(), nullable=False),
        sa.Column("technical", sa.LargeBinary(), nullable=False),
        sa.Column("functional_day", sa.Integer(), nullable=False),
        sa.Column("functional", sa.LargeBinary(), nullable=False),
        sa.Column("technical_purged", sa.BigInteger(), nullable=False),
        sa.Column("functional_purged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_party",
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("party", "at", "chain", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_first_read",
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message", "reader"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_key",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain"),
        sqlite_with_rowid=False,
    )


def _convert(sql: _Sql, chain: str) -> None:
    trail = ChainedTrail(chain)
    seq, head, state = 0, bytes(32), "whole"
    for rows in _batches(sql, chain):
        for row in rows:
            if state == "whole" and not _holds(row, seq, head):
                state = f"broken-at-{row[1]}"
            seq, head = row[1], bytes(row[-1])
        trail.append(sql, [_event(row) for row in rows])
    told = {"count": str(seq), "before": head.hex(), "state": state}
    trail.append(sql, [Event("audit-converted", time.time_ns() // 1_000_000, "node", detail=told)])


def _batches(sql: _Sql, chain: str) -> Iterator[list[tuple[Any, ...]]]:
    seq = -(2**62)
    select = f"SELECT {_COLUMNS} FROM {_BEFORE} WHERE chain = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
    while rows := sql.all(select, (chain, seq, _BATCH)):
        yield rows
        seq = rows[-1][1]


def _holds(row: tuple[Any, ...], seq: int, head: bytes) -> bool:
    """As the first form of the trace was chained."""
    text = json.dumps(row[:11], ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(_MARK + head + text.encode("ascii")).digest()
    return row[1] == seq + 1 and bytes(row[-2]) == head and digest == row[-1]


def _event(row: tuple[Any, ...]) -> Event:
    _, _, at, action, actor, subject, outcome, reference, session, network, detail = row[:11]
    return Event(action, at, actor, subject, outcome, reference, session, network, json.loads(detail))
