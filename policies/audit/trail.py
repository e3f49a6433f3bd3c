"""Appends to the trace, inside the transaction of the act itself.

Each entry's link holds the link before it of its retention class, so an entry altered, removed or put in later breaks
the chain at a place that `verify` names. What a chain alone cannot show is a cut at its end, or all of it written anew
by who holds the database: `heads` are signed and noted outside the node for that.

The heads of the chain are kept in memory, but memory may be wrong: the transaction that wrote them may have been rolled
back, or its operation run again. So each call first moves the stored head from what memory says to what it will be;
when that touches no row, the head is read from the table. A rollback therefore never leaves a gap.

Invariants: one writer per chain; two writers would collide on the primary key, and one of them fails whole. The day of
a class never falls: what a clock put back dates earlier goes on in the day that has begun, with its own time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import urandom
from typing import Any

from policies.audit import entry
from policies.audit.classes import Retention, retention_of
from policies.interface import Event, SqlConnection

_log = logging.getLogger("vaguemestre.policies")

_INTO = f"INSERT INTO audit_entry ({', '.join(entry.COLUMNS)}) VALUES "  # noqa: S608 -- constant names
_MARKS = f"({', '.join('?' * len(entry.COLUMNS))})"
_INTO_PARTY = "INSERT INTO audit_party (party, at, chain, seq) VALUES "
_FIRST = (
    "INSERT INTO audit_first_read (message, reader) VALUES (?, ?) ON CONFLICT (message, reader) DO NOTHING"
)
_HEAD = "SELECT seq, technical_day, technical, functional_day, functional FROM audit_head WHERE chain = ?"
_MOVE = (
    "UPDATE audit_head SET seq = ?, technical_day = ?, technical = ?, functional_day = ?, functional = ?"
    " WHERE chain = ? AND seq = ? AND technical = ? AND functional = ?"
)
_BEGIN = (
    "INSERT INTO audit_head (chain, seq, technical_day, technical, functional_day, functional,"
    " technical_purged, functional_purged) VALUES (?, ?, ?, ?, ?, ?, 0, 0)"
)
_TOGETHER = 16  # rows per statement
_STATEMENTS = [_INTO + ", ".join([_MARKS] * number) for number in range(_TOGETHER + 1)]
_PARTIES = [_INTO_PARTY + ", ".join(["(?, ?, ?, ?)"] * number) for number in range(_TOGETHER + 1)]
NO_DAY = -1


@dataclass(frozen=True, slots=True)
class Heads:
    """Where a chain stands: its last number, and the last day and link of each class."""

    seq: int = 0
    technical_day: int = NO_DAY
    technical: bytes = entry.GENESIS
    functional_day: int = NO_DAY
    functional: bytes = entry.GENESIS

    def of(self, retention: int) -> tuple[int, bytes]:
        if retention == Retention.TECHNICAL:
            return self.technical_day, self.technical
        return self.functional_day, self.functional


class ChainedTrail:
    """Implements `policies.interface.AuditTrail` for one chain."""

    def __init__(self, chain: str) -> None:
        self._chain = chain
        self._heads = Heads()
        self._told: set[str] = set()

    @property
    def chain(self) -> str:
        return self._chain

    def append(self, sql: SqlConnection, events: Sequence[Event]) -> None:
        if not events:
            return
        more = [_first_read(sql, event) if event.action == "read" else None for event in events]
        before = self._heads
        rows, after = self._rows(before, events, more)
        if not self._move(sql, before, after):
            before = heads_of(sql, self._chain)
            rows, after = self._rows(before, events, more)
            if not self._move(sql, before, after):
                sql.run(
                    _BEGIN,
                    (
                        self._chain,
                        after.seq,
                        after.technical_day,
                        after.technical,
                        after.functional_day,
                        after.functional,
                    ),
                )
        self._heads = after
        _insert(sql, _STATEMENTS, rows)
        _insert(sql, _PARTIES, parties(rows))

    def _rows(
        self, heads: Heads, events: Sequence[Event], more: Sequence[Mapping[str, str] | None]
    ) -> tuple[list[tuple[Any, ...]], Heads]:
        seq = heads.seq
        days = [heads.technical_day, heads.functional_day]
        links = [heads.technical, heads.functional]
        salts = urandom(entry.SALT * len(events))
        rows: list[tuple[Any, ...]] = []
        for number, event in enumerate(events):
            if not entry.DETAIL_KEYS.issuperset(event.detail):
                self._tell_unknown(event)
            retention = retention_of(event.action)
            seq += 1
            day = event.at // entry.DAY_MS
            if day > days[retention]:
                days[retention] = day
                links[retention] = entry.opening_of(self._chain, retention, day, links[retention])
            fields = entry.fields_of(self._chain, seq, retention, days[retention], event, more[number])
            salt = salts[number * entry.SALT : (number + 1) * entry.SALT]
            link = entry.link_of(links[retention], entry.leaf_of(salt, fields))
            links[retention] = link
            rows.append((*fields, salt, None, link))
        return rows, Heads(seq, days[0], links[0], days[1], links[1])

    def _move(self, sql: SqlConnection, before: Heads, after: Heads) -> bool:
        parameters = (
            after.seq,
            after.technical_day,
            after.technical,
            after.functional_day,
            after.functional,
            self._chain,
            before.seq,
            before.technical,
            before.functional,
        )
        return sql.run(_MOVE, parameters) == 1

    def _tell_unknown(self, event: Event) -> None:
        for name in event.detail.keys() - entry.DETAIL_KEYS - self._told:
            self._told.add(name)
            _log.error(
                "audit: detail %r of %r is not permitted and was dropped", name[:40], event.action[:40]
            )


def heads_of(sql: SqlConnection, chain: str) -> Heads:
    """Where a chain stands, as committed (or as this transaction left it)."""
    row = sql.one(_HEAD, (chain,))
    if row is None:
        return Heads()
    return Heads(int(row[0]), int(row[1]), bytes(row[2]), int(row[3]), bytes(row[4]))


def parties(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The lines of `audit_party` for these entries."""
    return [(party, row[4], row[0], row[1]) for row in rows for party in entry.parties_of(row)]


def _first_read(sql: SqlConnection, event: Event) -> dict[str, str] | None:
    """Whether this person had this letter's text before, by whichever way."""
    if not event.reference:
        return None
    return {"first": "yes"} if sql.run(_FIRST, (event.reference, event.actor)) == 1 else None


def _insert(sql: SqlConnection, statements: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        sql.run(statements[len(part)], [value for row in part for value in row])
