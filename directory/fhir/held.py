"""A mailbox as it is kept, red-listed or not, with what is never shown: for who publishes it, and nobody else.

Invariant: what comes out of here is compared and written again, and never told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from directory.listings.database import Sql
from directory.listings.rows import (
    HIDDEN_COLUMNS,
    MAILBOX_COLUMNS,
    ORGANISATION_COLUMNS,
    PROFESSIONAL_COLUMNS,
    mailbox_of,
    named,
    organisation_of,
    professional_of,
)
from directory.model import Mailbox, Organisation, Professional

_MAILBOX = f"SELECT {named((*MAILBOX_COLUMNS, *HIDDEN_COLUMNS))} FROM mailbox WHERE address = ?"  # noqa: S608
_HOLDERS = (
    f"SELECT h.national_id, {named(PROFESSIONAL_COLUMNS, 'p')} FROM mailbox_holder h"  # noqa: S608
    " LEFT JOIN professional p ON p.national_id = h.national_id WHERE h.address = ? ORDER BY h.position"
)
_ORGANISATION = f"SELECT {named(ORGANISATION_COLUMNS)} FROM organisation WHERE national_id = ?"  # noqa: S608
_PUBLISHER = MAILBOX_COLUMNS.index("publisher")
_STRUCTURE = MAILBOX_COLUMNS.index("organisation_id")


@dataclass(frozen=True, slots=True)
class Held:
    mailbox: Mailbox
    publisher: str = ""


def held(sql: Sql, address: str) -> Held | None:
    row = sql.one(_MAILBOX, (address,))
    if row is None:
        return None
    holders = tuple(
        professional_of(one[1:]) if one[1] is not None else Professional(one[0])
        for one in sql.all(_HOLDERS, (address,))
    )
    organisation: Organisation | None = None
    if row[_STRUCTURE]:
        found = sql.one(_ORGANISATION, (row[_STRUCTURE],))
        organisation = organisation_of(found) if found is not None else Organisation(row[_STRUCTURE])
    responsible, phone = row[len(MAILBOX_COLUMNS) :]
    mailbox = mailbox_of(row[: len(MAILBOX_COLUMNS)], holders, organisation)
    return Held(replace(mailbox, responsible=responsible, phone=phone), row[_PUBLISHER])
