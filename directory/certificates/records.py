"""What the directory keeps of certificates, as values: one an address has or had, its entry in memory, its periods.

Invariants: pure values made from rows; `served` is None where nothing of a certificate may be shown any more.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from directory.openpgp.certificate import Certificate


class Family(enum.StrEnum):
    OPENPGP = "openpgp"
    X509 = "x509"


class Why(enum.StrEnum):
    """Why an address has a certificate no longer."""

    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"  # nothing is sealed to it; its holder gave no revocation
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PublishedCertificate:
    """One certificate an address has or had, for lists and audits."""

    fingerprint: str
    address: str
    published_at: int
    not_after: int | None
    revoked_at: int | None
    superseded_at: int | None
    operator_held: bool


@dataclass(frozen=True, slots=True)
class Period:
    """From when until when an address had a certificate. The same one, taken up again, has several."""

    fingerprint: str
    family: Family
    since: int  # ms
    until: int | None  # None: it is the one in force
    why: Why | None  # why no longer
    not_after: int | None  # when it ends, or ended, by itself


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate in memory."""

    certificate: Certificate
    revoked: bool
    current: bool  # the address's own; else one that it had
    served: bytes | None = field(repr=False)  # None: withdrawn without a revocation of its own


@dataclass(frozen=True, slots=True)
class X509Entry:
    """An S/MIME certificate in memory, in force while its time lasts."""

    fingerprint: str  # SHA-256 of the DER, upper-case hex
    address: str
    data: bytes = field(repr=False)
    not_before: int  # ms
    not_after: int

    def in_time(self, at: int) -> bool:
        return self.not_before <= at < self.not_after


def entry_of(row: Row[Any]) -> Entry:
    certificate = Certificate(
        fingerprint=row.fingerprint,
        encryption_key_id=row.encryption_key_id,
        address=row.address,
        minimised=bytes(row.minimised),
        not_after=row.not_after,
        operator_held=bool(row.operator_held),
    )
    revoked = row.revoked_at is not None
    served = None if revoked and not row.revocation_known else bytes(row.data)
    return Entry(certificate, revoked, row.superseded_at is None, served)


def x509_of(row: Row[Any]) -> X509Entry:
    return X509Entry(row.fingerprint, row.address, bytes(row.data), row.not_before, row.not_after)


def published_of(row: Row[Any]) -> PublishedCertificate:
    return PublishedCertificate(
        row.fingerprint,
        row.address,
        row.published_at,
        row.not_after,
        row.revoked_at,
        row.superseded_at,
        bool(row.operator_held),
    )


def period_of(row: Row[Any], not_after: int | None, at: int) -> Period:
    """What ended by itself ended for that reason, before anybody did anything about it."""
    until: int | None = row.until
    why = Why(row.why) if row.why else None
    if not_after is not None and not_after <= at and (until is None or not_after < until):
        until, why = not_after, Why.EXPIRED
    return Period(row.fingerprint, Family(row.kind), row.since, until, why, not_after)
