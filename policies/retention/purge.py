"""Empties what the trace no longer may tell, in batches, each in a transaction of its caller.

Of an entry its place, its leaf and its link stay, so that the chain holds; fields and salt go, and with them the lines
that lead from a person to it. The first batch says in the trace what is emptied, and up to which day.

Invariants: an entry whose link does not hold is not emptied (it would become unprovable), and its class stays as it is
from there on; what is emptied was told before or with it; a class is emptied in the order of its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.audit import entry
from policies.audit.classes import Retention
from policies.audit.query import as_entry
from policies.interface import AuditTrail, Event, SqlConnection
from policies.retention.periods import day_of

_COLUMNS = ", ".join(entry.COLUMNS)
_STRIDE = 5_000  # entries looked at in one reading
_DUE = "SELECT seq, day, leaf FROM audit_entry WHERE chain = ? AND seq > ? AND retention = ? ORDER BY seq LIMIT ?"
_ROWS = (
    f"SELECT {_COLUMNS} FROM audit_entry"  # noqa: S608 -- constant names
    " WHERE chain = ? AND seq > ? AND seq <= ? AND retention = ? ORDER BY seq LIMIT ?"
)
_BEFORE = "SELECT day, link FROM audit_entry WHERE chain = ? AND seq < ? AND retention = ? ORDER BY seq DESC LIMIT 1"
_EMPTY = (
    "UPDATE audit_entry SET at = 0, action = '', actor = '', subject = '', behalf = '', kind = '', door = '',"
    " outcome = '', reference = '', session = '', network = '', detail = '', salt = ?, leaf = ?"
    " WHERE chain = ? AND seq = ?"
)
_FORGET = "DELETE FROM audit_party WHERE party = ? AND at = ? AND chain = ? AND seq = ?"
_FORGET_READ = "DELETE FROM audit_first_read WHERE message = ? AND reader = ?"


@dataclass(frozen=True, slots=True)
class Due:
    """What of one class is to be emptied."""

    retention: Retention
    before: int  # the first day that is kept
    after: int  # it is empty up to this number
    until: int  # the last number to empty; 0: nothing is due
    count: int
    first_day: int = 0
    last_day: int = 0

    def told(self, at: int, by: str) -> Event:
        detail = {
            "class": self.retention.word,
            "before": str(self.before),
            "count": str(self.count),
            "since": day_of(self.first_day).isoformat(),
            "until": day_of(self.last_day).isoformat(),
        }
        return Event("audit-purge", at, by, detail=detail)


@dataclass(frozen=True, slots=True)
class Emptied:
    count: int
    seq: int  # up to where
    broken: int = 0  # the entry that does not hold; 0: none


def due(sql: SqlConnection, chain: str, retention: Retention, before: int) -> Due:
    """What the class holds of days before `before`."""
    seq = after = emptied_until(sql, chain, retention)
    count, until, days = 0, 0, (0, 0)
    while rows := sql.all(_DUE, (chain, seq, int(retention), _STRIDE)):
        for number, day, leaf in rows:
            if day >= before:
                return Due(retention, before, after, until, count, *days)
            if leaf is None:
                days = (days[0] if count else day, day)
                count, until = count + 1, number
        seq = rows[-1][0]
    return Due(retention, before, after, until, count, *days)


def empty(
    sql: SqlConnection, trail: AuditTrail, chain: str, what: Due, after: int, limit: int, told: Event | None
) -> Emptied:
    """Empty at most `limit` entries numbered above `after`; with `told`, say so first."""
    rows = sql.all(_ROWS, (chain, after, what.until, int(what.retention), limit))
    good, broken = _proven(sql, chain, what.retention, rows)
    if told is not None and good:
        trail.append(sql, [told])
    count, seq = 0, after
    for row, leaf in good:
        seq = row[1]
        if row[-2] is not None:
            continue
        found = as_entry(row)
        for party in entry.parties_of(row):
            sql.run(_FORGET, (party, found.at, chain, seq))
        if found.details.get("first"):
            sql.run(_FORGET_READ, (found.reference, found.actor))
        sql.run(_EMPTY, (b"", leaf, chain, seq))
        count += 1
    if good:
        column = f"{what.retention.word}_purged"
        sql.run(f"UPDATE audit_head SET {column} = ? WHERE chain = ?", (seq, chain))  # noqa: S608 -- our own name
    return Emptied(count, seq, broken)


def emptied_until(sql: SqlConnection, chain: str, retention: Retention) -> int:
    row = sql.one(f"SELECT {retention.word}_purged FROM audit_head WHERE chain = ?", (chain,))  # noqa: S608 -- our own name
    return int(row[0]) if row else 0


def _proven(
    sql: SqlConnection, chain: str, retention: Retention, rows: Sequence[tuple[Any, ...]]
) -> tuple[list[tuple[tuple[Any, ...], bytes]], int]:
    """The rows up to the first whose link does not hold, each with its leaf; the number of that one, or 0."""
    if not rows:
        return [], 0
    known = sql.one(_BEFORE, (chain, rows[0][1], int(retention)))
    day, link = (int(known[0]), bytes(known[1])) if known else (-1, entry.GENESIS)
    good: list[tuple[tuple[Any, ...], bytes]] = []
    for row in rows:
        leaf = bytes(row[-2]) if row[-2] is not None else entry.leaf_of(bytes(row[-3]), row[: entry.FIELDS])
        previous = link if row[3] == day else entry.opening_of(chain, retention, row[3], link)
        if entry.link_of(previous, leaf) != row[-1]:
            return good, row[1]
        day, link = row[3], bytes(row[-1])
        good.append((row, leaf))
    return good, 0


def all_due(sql: SqlConnection, chain: str, kept_from: Mapping[int, int]) -> list[Due]:
    """What is due of every class."""
    return [due(sql, chain, each, kept_from[each]) for each in Retention]
