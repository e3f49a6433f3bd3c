"""What an address had, from when until when; and the counter that tells other nodes of a change.

Invariants: `count_up` comes first in a transaction that changes what is shown, so that transactions commit in the
counter's order and a node that has seen n misses nothing before it; a period, once it has ended, ends no other time.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from directory.certificates import tables
from directory.certificates.records import Family, Period, Why, period_of

_CHANGE = tables.certificate_change
_PERIOD = tables.certificate_period


def count_up(connection: Connection) -> int:
    """The number of this change; those who write meanwhile wait for its end."""
    connection.execute(update(_CHANGE).values(counter=_CHANGE.c.counter + 1))
    return counter(connection)


def counter(connection: Connection) -> int:
    return connection.execute(select(_CHANGE.c.counter)).scalar_one()


def begin(connection: Connection, address: str, family: Family, fingerprint: str, at: int) -> None:
    """It is the address's own from now on, in place of the others of its family."""
    columns = _PERIOD.c
    open_ones = (columns.address == address) & (columns.kind == family.value) & columns.until.is_(None)
    connection.execute(
        update(_PERIOD)
        .where(open_ones, columns.fingerprint != fingerprint)
        .values(until=at, why=Why.REPLACED.value)
    )
    if connection.execute(select(columns.since).where(open_ones)).first() is not None:
        return  # the same one, extended
    same_moment = (columns.fingerprint == fingerprint) & (columns.since == at)
    if connection.execute(update(_PERIOD).where(same_moment).values(until=None, why="")).rowcount == 0:
        row = {"fingerprint": fingerprint, "since": at, "address": address, "kind": family.value}
        connection.execute(insert(_PERIOD).values(**row, until=None, why=""))


def end(connection: Connection, fingerprint: str, at: int, why: Why) -> None:
    """It is the address's own no longer. A revocation that comes after says why it was withdrawn."""
    columns = _PERIOD.c
    mine = columns.fingerprint == fingerprint
    connection.execute(update(_PERIOD).where(mine, columns.until.is_(None)).values(until=at, why=why.value))
    if why is Why.REVOKED:
        withdrawn = columns.why == Why.WITHDRAWN.value
        connection.execute(update(_PERIOD).where(mine, withdrawn).values(why=why.value))


def periods(connection: Connection, address: str, at: int) -> list[Period]:
    """Newest first; what ended by itself by `at` is told as ended."""
    ends: dict[str, int | None] = {}
    for table in (tables.certificate, tables.x509_certificate):
        rows = connection.execute(
            select(table.c.fingerprint, table.c.not_after).where(table.c.address == address)
        )
        ends |= {row.fingerprint: row.not_after for row in rows}
    columns = _PERIOD.c
    found = connection.execute(
        select(_PERIOD).where(columns.address == address).order_by(columns.since.desc(), columns.kind)
    )
    return [period_of(row, ends.get(row.fingerprint), at) for row in found]
