"""What is told of one person, organisation, situation or mailbox, by its name.

Invariants: what is on the red list, struck off or gone is in no answer but `deliverable`'s; the columns `responsible`
and `phone` are not read at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from directory.listings.cards import HOLDERS
from directory.listings.database import Sql
from directory.listings.interface import Kept
from directory.listings.known import several
from directory.listings.rows import (
    MAILBOX_COLUMNS,
    ORGANISATION_COLUMNS,
    PROFESSIONAL_COLUMNS,
    SITUATION_COLUMNS,
    Row,
    mailbox_of,
    named,
    organisation_of,
    professional_of,
    situation_of,
)
from directory.model import Mailbox, Organisation, Professional, Situation

_PEOPLE = (
    f"SELECT {named(PROFESSIONAL_COLUMNS)}, updated_at FROM professional"  # noqa: S608  # names of our own tables
    " WHERE struck_off_at IS NULL AND national_id IN ({})"
)
_ORGANISATIONS = (
    f"SELECT {named(ORGANISATION_COLUMNS)}, updated_at FROM organisation WHERE national_id IN ({{}})"  # noqa: S608
)
_SITUATIONS = f"SELECT {named(SITUATION_COLUMNS)}, updated_at FROM situation"  # noqa: S608
_MAILBOXES = (
    f"SELECT {named(MAILBOX_COLUMNS, 'm')}, m.updated_at FROM mailbox m"  # noqa: S608
    " WHERE m.card IS NOT NULL"
)
_MOST = 500  # of one person or organisation


def professional(sql: Sql, national_id: str) -> Kept[Professional] | None:
    return professionals(sql, (national_id,)).get(national_id)


def professionals(sql: Sql, national_ids: Iterable[str]) -> dict[str, Kept[Professional]]:
    """Who of them is known and not struck off."""
    return {
        row[0]: Kept(professional_of(row), row[-1], row[0])
        for row in several(sql, _PEOPLE, dict.fromkeys(national_ids))
    }


def organisation(sql: Sql, national_id: str) -> Kept[Organisation] | None:
    return organisations(sql, (national_id,)).get(national_id)


def organisations(sql: Sql, national_ids: Iterable[str]) -> dict[str, Kept[Organisation]]:
    return {
        row[0]: Kept(organisation_of(row), row[-1], row[0])
        for row in several(sql, _ORGANISATIONS, dict.fromkeys(one for one in national_ids if one))
    }


def situation(sql: Sql, key: str) -> Kept[Situation] | None:
    if not (key.isascii() and key.isdigit() and len(key) <= 19):
        return None
    number = int(key)
    if number >= 1 << 63:
        return None
    found = _situations(sql, sql.all(f"{_SITUATIONS} WHERE id = ?", (number,)))
    return found[0] if found else None


def situations_of(sql: Sql, national_id: str) -> tuple[Kept[Situation], ...]:
    """Of a person, or of an organisation."""
    if not national_id:
        return ()
    rows = sql.all(
        f"{_SITUATIONS} WHERE national_id = ? OR organisation_id = ? ORDER BY id LIMIT ?",
        (national_id, national_id, _MOST),
    )
    return _situations(sql, rows)


def mailbox(sql: Sql, address: str) -> Kept[Mailbox] | None:
    found = _mailboxes(sql, sql.all(f"{_MAILBOXES} AND m.address = ?", (address.lower(),)))
    return found[0] if found else None


def mailboxes_of(sql: Sql, national_id: str) -> tuple[Kept[Mailbox], ...]:
    """Those that are shown, of a person (theirs, or of a practice of theirs) or of an organisation; by rank."""
    if not national_id:
        return ()
    rows = sql.all(
        f"{_MAILBOXES} AND m.organisation_id = ?"  # noqa: S608
        f" UNION SELECT {named(MAILBOX_COLUMNS, 'm')}, m.updated_at FROM mailbox_holder h"
        " JOIN mailbox m ON m.address = h.address WHERE m.card IS NOT NULL AND h.national_id = ?"
        " LIMIT ?",
        (national_id, national_id, _MOST),
    )
    rank = MAILBOX_COLUMNS.index("rank")
    return _mailboxes(sql, sorted(rows, key=lambda row: (row[rank], row[0])))


def deliverable(sql: Sql, address: str) -> bool | None:
    """Whether it is known, shown or not; None where nobody of its domain is."""
    lowered = address.lower()
    if sql.one("SELECT 1 FROM mailbox WHERE address = ?", (lowered,)) is not None:
        return True
    domain = lowered.rpartition("@")[2]
    return None if sql.one("SELECT 1 FROM mailbox WHERE domain = ? LIMIT 1", (domain,)) is None else False


def _situations(sql: Sql, rows: Sequence[Row]) -> tuple[Kept[Situation], ...]:
    people = professionals(sql, (row[1] for row in rows))
    places = organisations(sql, (row[2] for row in rows))
    found: list[Kept[Situation]] = []
    for row in rows:
        if (who := people.get(row[1])) is not None:
            where = places.get(row[2])
            value = situation_of(row, who.value, where.value if where else None)
            found.append(Kept(value, row[-1], str(row[0])))
    return tuple(found)


def _mailboxes(sql: Sql, rows: Sequence[Row]) -> tuple[Kept[Mailbox], ...]:
    held: dict[str, list[str]] = {}
    for address, national_id in several(sql, HOLDERS, [row[0] for row in rows]):
        held.setdefault(address, []).append(national_id)
    people = professionals(sql, (one for ids in held.values() for one in ids))
    places = organisations(sql, (row[3] for row in rows))
    found: list[Kept[Mailbox]] = []
    for row in rows:
        who = tuple(people[one].value for one in held.get(row[0], ()) if one in people)
        where = places.get(row[3])
        found.append(Kept(mailbox_of(row, who, where.value if where else None), row[-1], row[0]))
    return tuple(found)
