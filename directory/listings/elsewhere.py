"""Mailboxes that other operators published under a professional's name: whether that one was told, and objects.

The publication API has nobody confirm a mailbox; so whom it names is told, and may object: then it is listed no more
here, and its operator publishes it here no more for them.

Invariants: functions of a transaction; an objection outlasts the mailbox, what was told of it does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from directory.listings.database import Sql
from directory.listings.known import several
from directory.listings.writing import remove_mailboxes
from directory.model import Origin


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A mailbox of another operator, and one of those whom it names."""

    address: str
    national_id: str
    publisher: str = ""
    kind: str = ""
    told_at: int | None = None
    objected_at: int | None = None
    reason: str = ""
    listed: bool = True  # it is gone, where only the objection is left


def naming(sql: Sql, national_ids: Collection[str]) -> list[Elsewhere]:
    """What names these, by address; and what they object to."""
    published = several(
        sql,
        "SELECT m.address, h.national_id, m.publisher, m.kind, e.told_at, e.objected_at, e.reason FROM mailbox_holder h"
        " JOIN mailbox m ON m.address = h.address AND m.origin = 'published'"
        " LEFT JOIN elsewhere e ON e.address = h.address AND e.national_id = h.national_id"
        " WHERE h.national_id IN ({})",
        national_ids,
    )
    found = {
        (row[0], row[1]): Elsewhere(row[0], row[1], row[2], row[3], row[4], row[5], row[6] or "")
        for row in published
    }
    kept = several(
        sql,
        "SELECT address, national_id, told_at, objected_at, reason FROM elsewhere WHERE national_id IN ({})",
        national_ids,
    )
    for row in kept:
        gone = Elsewhere(row[0], row[1], told_at=row[2], objected_at=row[3], reason=row[4], listed=False)
        found.setdefault((row[0], row[1]), gone)
    return sorted(found.values(), key=lambda one: (one.address, one.national_id))


def told(sql: Sql, some: Iterable[Elsewhere], at: int) -> None:
    sql.many(
        "INSERT INTO elsewhere (address, national_id, told_at) VALUES (?, ?, ?)"
        " ON CONFLICT (address, national_id) DO UPDATE SET told_at = excluded.told_at",
        [(one.address, one.national_id, at) for one in some],
    )


def forget(sql: Sql, some: Iterable[Elsewhere]) -> None:
    """Mailboxes that are gone: published anew, they are told of anew."""
    sql.many(
        "DELETE FROM elsewhere WHERE address = ? AND national_id = ? AND objected_at IS NULL",
        [(one.address, one.national_id) for one in some],
    )


def object_to(sql: Sql, address: str, national_ids: Sequence[str], reason: str, at: int) -> None:
    """It is listed no more, and not published again for these."""
    sql.many(
        "INSERT INTO elsewhere (address, national_id, told_at, objected_at, reason) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (address, national_id) DO UPDATE SET objected_at = excluded.objected_at,"
        " reason = excluded.reason",
        [(address, one, at, at, reason) for one in national_ids],
    )
    remove_mailboxes(sql, [address], at, Origin.PUBLISHED)


def lift(sql: Sql, address: str) -> int:
    """How many objected."""
    found = sql.all("SELECT 1 FROM elsewhere WHERE address = ? AND objected_at IS NOT NULL", (address,))
    sql.run("DELETE FROM elsewhere WHERE address = ? AND objected_at IS NOT NULL", (address,))
    return len(found)


def objects(sql: Sql, address: str, national_ids: Collection[str]) -> bool:
    rows = sql.all(
        "SELECT national_id FROM elsewhere WHERE address = ? AND objected_at IS NOT NULL", (address,)
    )
    return any(row[0] in national_ids for row in rows)
