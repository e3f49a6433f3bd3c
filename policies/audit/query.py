"""Finds entries of the trace for `audit show` and `audit export`.

Invariants: reads only; answers are in the order they were written; what is asked for is bound, never spliced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policies.audit.entry import COLUMNS, Entry
from policies.interface import SqlConnection

_COLUMNS = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class Filter:
    """What to show; an empty field does not restrict."""

    chain: str = ""
    action: str = ""
    actor: str = ""
    subject: str = ""
    party: str = ""  # as actor or as subject
    outcome: str = ""
    refused_only: bool = False  # refusals and failed logins
    reference: str = ""  # id shown to a peer, or EMAILID
    session: str = ""
    network: str = ""
    since: int | None = None  # ms, included
    until: int | None = None  # ms, excluded
    seq_from: int | None = None  # part of a chain: what is read stays bounded however long the trace is
    seq_below: int | None = None
    last: int = 100  # the latest that match


def find(sql: SqlConnection, wanted: Filter) -> list[Entry]:
    """The latest entries that match, oldest first."""
    conditions, parameters = _where(wanted)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    # Within a part of one chain the number is the order, also when a clock was put back meanwhile.
    order = "seq DESC" if wanted.chain and wanted.seq_below is not None else "at DESC, chain DESC, seq DESC"
    rows = sql.all(
        f"SELECT {_COLUMNS} FROM audit_entry{where} ORDER BY {order} LIMIT ?",  # noqa: S608
        (*parameters, max(0, wanted.last)),
    )
    return [as_entry(row) for row in reversed(rows)]


def count(sql: SqlConnection, wanted: Filter) -> int:
    """How many entries match, whatever `last` says."""
    conditions, parameters = _where(wanted)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    row = sql.one(f"SELECT COUNT(*) FROM audit_entry{where}", parameters)  # noqa: S608
    return int(row[0]) if row else 0


def as_entry(row: Sequence[Any]) -> Entry:
    """A stored row, in the order of COLUMNS (drivers give blobs as bytes or memoryview)."""
    values: list[Any] = [*row[:-2], bytes(row[-2]), bytes(row[-1])]
    return Entry(*values)


def _where(wanted: Filter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    for name in ("chain", "action", "actor", "subject", "outcome", "reference", "session", "network"):
        if value := getattr(wanted, name):
            conditions.append(f"{name} = ?")
            parameters.append(value)
    if wanted.party:
        conditions.append("(actor = ? OR subject = ?)")
        parameters += [wanted.party, wanted.party]
    if wanted.refused_only:
        conditions.append("action IN ('refuse', 'login-failed')")
    if wanted.since is not None:
        conditions.append("at >= ?")
        parameters.append(wanted.since)
    if wanted.until is not None:
        conditions.append("at < ?")
        parameters.append(wanted.until)
    if wanted.seq_from is not None:
        conditions.append("seq >= ?")
        parameters.append(wanted.seq_from)
    if wanted.seq_below is not None:
        conditions.append("seq < ?")
        parameters.append(wanted.seq_below)
    return conditions, parameters
