"""Appends to the trace, inside the transaction of the act itself.

Each entry holds the hash of the one before, so an entry altered, removed or put in later breaks the chain at
a place that `verify` names. What a chain alone cannot show is a cut at its end: `Verification.head` is to be
noted elsewhere (`audit verify --expect`).

The head of the chain (last number and hash) is kept in memory, but memory may be wrong: the transaction
that wrote it may have been rolled back, or its operation run again. So the first entry of each call is
inserted only `WHERE EXISTS` the head it builds on; when nothing was inserted, the head is read from the
table. A rollback therefore never leaves a gap, and the usual case costs no extra statement.

Invariants: one writer per chain; two writers would collide on the primary key, and one of them fails whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from policies.audit import entry
from policies.interface import Event, SqlConnection

_log = logging.getLogger("vaguemestre.policies")

_INTO = f"INSERT INTO audit_entry ({', '.join(entry.COLUMNS)})"
_MARKS = f"({', '.join('?' * len(entry.COLUMNS))})"
_IF_HEAD = "WHERE EXISTS (SELECT 1 FROM audit_entry WHERE chain = ? AND seq = ? AND hash = ?)"
# PostgreSQL does not infer the types of bare parameters in a SELECT list.
_SELECT_OF = {
    "sqlite": f"SELECT {', '.join('?' * len(entry.COLUMNS))}",
    "postgresql": (
        "SELECT ?::text, ?::bigint, ?::bigint, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text,"
        " ?::text, ?::bytea, ?::bytea"
    ),
}
_GUARDED = {dialect: f"{_INTO} {select} {_IF_HEAD}" for dialect, select in _SELECT_OF.items()}
_HEAD = "SELECT seq, hash FROM audit_entry WHERE chain = ? ORDER BY seq DESC LIMIT 1"
_TOGETHER = 16  # rows per statement


class ChainedTrail:
    """Implements `policies.interface.AuditTrail` for one chain."""

    def __init__(self, chain: str) -> None:
        self._chain = chain
        self._seq = 0
        self._hash = entry.GENESIS
        self._told: set[str] = set()

    @property
    def chain(self) -> str:
        return self._chain

    def append(self, sql: SqlConnection, events: Sequence[Event]) -> None:
        if not events:
            return
        if not self._insert_after_kept_head(sql, events[0]):
            self._seq, self._hash = head(sql, self._chain)
            self._insert(sql, [self._next(events[0])])
        for start in range(1, len(events), _TOGETHER):
            self._insert(sql, [self._next(event) for event in events[start : start + _TOGETHER]])

    def _insert_after_kept_head(self, sql: SqlConnection, event: Event) -> bool:
        if not self._seq:
            return False  # nothing kept yet
        seq, before = self._seq, self._hash
        row = self._next(event)
        return sql.run(_GUARDED[sql.dialect], (*row, self._chain, seq, before)) == 1

    def _next(self, event: Event) -> tuple[Any, ...]:
        """The row of the next entry; the kept head moves on to it."""
        if event.detail and not entry.DETAIL_KEYS.issuperset(event.detail):
            self._tell_unknown(event)
        row = entry.row_of(self._chain, self._seq + 1, event, self._hash)
        self._seq += 1
        self._hash = row[-1]
        return row

    def _insert(self, sql: SqlConnection, rows: list[tuple[Any, ...]]) -> None:
        values = ", ".join([_MARKS] * len(rows))
        sql.run(f"{_INTO} VALUES {values}", [value for row in rows for value in row])

    def _tell_unknown(self, event: Event) -> None:
        for name in event.detail.keys() - entry.DETAIL_KEYS - self._told:
            self._told.add(name)
            _log.error(
                "audit: detail %r of %r is not permitted and was dropped", name[:40], event.action[:40]
            )


def head(sql: SqlConnection, chain: str) -> tuple[int, bytes]:
    """Number and hash of a chain's last entry; (0, GENESIS) of an empty one."""
    row = sql.one(_HEAD, (chain,))
    return (int(row[0]), bytes(row[1])) if row else (0, entry.GENESIS)
