"""S/MIME certificates in `directory.db`.

Invariants: an address has one in force at a time; a revoked one never comes back; rows are never deleted.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from directory.certificates import history, tables
from directory.certificates.memory import Memory
from directory.certificates.records import Family, Why, X509Entry, x509_of
from directory.x509.gate import Passed
from directory.x509.reasons import refusal

_TABLE = tables.x509_certificate


def put(connection: Connection, passed: Passed, at: int, counter: int) -> X509Entry:
    """In place of the one before. Raises CertificateRefused where it was revoked."""
    columns = _TABLE.c
    same = columns.fingerprint == passed.fingerprint
    known = connection.execute(select(columns.revoked).where(same)).first()
    if known is not None and known.revoked:
        raise refusal("revoked")
    connection.execute(
        update(_TABLE)
        .where(columns.address == passed.address, columns.ended_at.is_(None))
        .values(ended_at=at, changed=counter)
    )
    values = {
        "address": passed.address,
        "data": passed.data,
        "not_before": passed.not_before,
        "not_after": passed.not_after,
        "published_at": at,
        "ended_at": None,
        "changed": counter,
    }
    if known is not None:
        connection.execute(update(_TABLE).where(same).values(**values))
    else:
        connection.execute(insert(_TABLE).values(fingerprint=passed.fingerprint, revoked=False, **values))
    history.begin(connection, passed.address, Family.X509, passed.fingerprint, at)
    return X509Entry(passed.fingerprint, passed.address, passed.data, passed.not_before, passed.not_after)


def end(
    connection: Connection, address: str, fingerprint: str, at: int, counter: int, *, revoked: bool
) -> None:
    """Raises KeyError where the address has no such certificate, or it ended otherwise already."""
    columns = _TABLE.c
    wanted = (columns.fingerprint == fingerprint) & (columns.address == address)
    row = connection.execute(select(_TABLE).where(wanted)).first()
    if row is None or (row.ended_at is not None and (row.revoked or not revoked)):
        raise KeyError(fingerprint)
    ended_at = at if row.ended_at is None else row.ended_at
    connection.execute(
        update(_TABLE).where(wanted).values(ended_at=ended_at, revoked=revoked, changed=counter)
    )
    history.end(connection, fingerprint, at, Why.REVOKED if revoked else Why.WITHDRAWN)


def take(connection: Connection, memory: Memory, since: int) -> None:
    """Into memory, what changed after the counter stood at `since`."""
    columns = _TABLE.c
    rows = connection.execute(
        select(_TABLE).where(columns.changed > since).order_by(columns.ended_at.is_(None))
    ).all()
    for row in rows:
        if row.ended_at is None:
            memory.put_x509(x509_of(row))
        else:
            memory.drop_x509(row.address, row.fingerprint)
