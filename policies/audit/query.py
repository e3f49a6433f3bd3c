"""Finds entries of the trace for `audit show`, for an auditor's export and for the log of an account's holder.

Invariants: reads only; what is asked for is bound, never spliced; purged entries are found by nobody; what one person
did or had done is found through `audit_party`, so that a long trace of others costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policies.audit.entry import COLUMNS, Entry
from policies.interface import SqlConnection

_COLUMNS = ", ".join(f"e.{name}" for name in COLUMNS)
_FAR = 2**62


@dataclass(frozen=True, slots=True)
class Filter:
    """What to show; an empty field does not restrict."""

    chain: str = ""
    action: str = ""
    actor: str = ""
    subject: str = ""
    party: str = ""  # as actor, as subject, as the one in whose name
    outcome: str = ""
    refused_only: bool = False  # refusals and failed logins
    reference: str = ""  # id shown to a peer, or EMAILID
    session: str = ""
    network: str = ""
    since: int | None = None  # ms, included
    until: int | None = None  # ms, excluded
    last: int = 100  # the latest that match


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an entry stands among all that a person's log tells, over every chain."""

    at: int
    chain: str
    seq: int


END = Place(_FAR, "", 0)


def find(sql: SqlConnection, wanted: Filter) -> list[Entry]:
    """The latest entries that match, oldest first."""
    tables, conditions, parameters = _where(wanted)
    # Within one chain the number is the order, also when a clock was put back meanwhile.
    order = "p.at DESC, p.chain DESC, p.seq DESC" if wanted.party else "e.at DESC, e.chain DESC, e.seq DESC"
    rows = sql.all(
        f"SELECT {_COLUMNS} FROM {tables} WHERE {conditions} ORDER BY {order} LIMIT ?",  # noqa: S608
        (*parameters, max(0, wanted.last)),
    )
    return [as_entry(row) for row in reversed(rows)]


def count(sql: SqlConnection, wanted: Filter) -> int:
    """How many entries match, whatever `last` says."""
    tables, conditions, parameters = _where(wanted)
    row = sql.one(f"SELECT COUNT(*) FROM {tables} WHERE {conditions}", parameters)  # noqa: S608
    return int(row[0]) if row else 0


def of_party(sql: SqlConnection, party: str, below: Place, since: int, limit: int) -> list[Entry]:
    """What concerns one person, newest first, over every chain: at most `limit` entries below `below`."""
    rows = sql.all(
        f"SELECT {_COLUMNS} FROM audit_party AS p JOIN audit_entry AS e ON e.chain = p.chain AND e.seq = p.seq"  # noqa: S608
        " WHERE p.party = ? AND p.at >= ? AND p.at <= ? AND (p.at < ? OR p.chain < ? OR (p.chain = ? AND p.seq < ?))"
        " ORDER BY p.at DESC, p.chain DESC, p.seq DESC LIMIT ?",
        (party, since, below.at, below.at, below.chain, below.chain, below.seq, limit),
    )
    return [as_entry(row) for row in rows]


def of_parties(
    sql: SqlConnection, parties: Sequence[str], after: Place, until: int, limit: int
) -> list[Entry]:
    """What concerns any of these persons, oldest first, each entry once: at most `limit` above `after`."""
    found: dict[Place, Entry] = {}
    for party in parties:
        rows = sql.all(
            f"SELECT {_COLUMNS} FROM audit_party AS p JOIN audit_entry AS e ON e.chain = p.chain AND e.seq = p.seq"  # noqa: S608
            " WHERE p.party = ? AND p.at >= ? AND p.at < ?"
            " AND (p.at > ? OR p.chain > ? OR (p.chain = ? AND p.seq > ?))"
            " ORDER BY p.at, p.chain, p.seq LIMIT ?",
            (party, after.at, until, after.at, after.chain, after.chain, after.seq, limit),
        )
        for entry in map(as_entry, rows):
            found[place_of(entry)] = entry
    return [found[place] for place in sorted(found)[:limit]]


def at_number(sql: SqlConnection, chain: str, seq: int) -> Entry | None:
    row = sql.one(f"SELECT {_COLUMNS} FROM audit_entry AS e WHERE e.chain = ? AND e.seq = ?", (chain, seq))  # noqa: S608
    return as_entry(row) if row else None


def chains(sql: SqlConnection) -> list[str]:
    """Every chain that has begun."""
    return [str(row[0]) for row in sql.all("SELECT chain FROM audit_head ORDER BY chain")]


def place_of(entry: Entry) -> Place:
    return Place(entry.at, entry.chain, entry.seq)


def as_entry(row: Sequence[Any]) -> Entry:
    """A stored row, in the order of COLUMNS (drivers give blobs as bytes or memoryview)."""
    salt, leaf, link = row[-3:]
    return Entry._make((*row[:-3], bytes(salt), None if leaf is None else bytes(leaf), bytes(link)))


def _where(wanted: Filter) -> tuple[str, str, list[Any]]:
    tables = "audit_entry AS e"
    conditions: list[str] = ["e.leaf IS NULL"]
    parameters: list[Any] = []
    at = "e.at"
    if wanted.party:
        tables = "audit_party AS p JOIN audit_entry AS e ON e.chain = p.chain AND e.seq = p.seq"
        conditions.append("p.party = ?")
        parameters.append(wanted.party)
        at = "p.at"
    for name in ("chain", "action", "actor", "subject", "outcome", "reference", "session", "network"):
        if value := getattr(wanted, name):
            conditions.append(f"e.{name} = ?")
            parameters.append(value)
    if wanted.refused_only:
        conditions.append("e.action IN ('refuse', 'login-failed')")
    if wanted.since is not None:
        conditions.append(f"{at} >= ?")
        parameters.append(wanted.since)
    if wanted.until is not None:
        conditions.append(f"{at} < ?")
        parameters.append(wanted.until)
    return tables, " AND ".join(conditions), parameters
