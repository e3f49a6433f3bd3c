"""The directory itself: certificates published, answered from memory, kept in `directory.db`.

Invariants: `certificate` and `published` never touch the database; `publish` and `revoke` are durable when
they return and change the memory only after the commit; a revoked certificate never comes back, and a
revocation once known is never lost; one key never serves two addresses.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pysequoia
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from directory import tables
from directory.interface import CertificateStanding, Standing
from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import Inspected, inspect
from directory.openpgp.reasons import refusal
from directory.openpgp.revocation import with_revocation
from directory.publication.zbase32 import zbase32


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
class _Entry:
    """The current certificate of an address, in memory."""

    certificate: Certificate
    revoked: bool
    served: bytes | None = field(repr=False)  # None: withdrawn without a revocation of its own


def open_database(url: str) -> Engine:
    """An engine on `directory.db` (or PostgreSQL) whose commits are durable."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _record: object) -> None:
    # WAL with synchronous=FULL syncs at every commit: a publication survives the power cut that follows it.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


def wkd_hash(local_part: str) -> str:
    """The name of an address's file in a Web Key Directory (draft-koch-openpgp-webkey-service §3.1)."""
    # SHA-1 is what the draft says; it names a file and protects nothing.
    return zbase32(hashlib.sha1(local_part.lower().encode("utf-8"), usedforsecurity=False).digest())


class DirectoryService:
    """`interface.Directory` over SQLAlchemy Core. Reads may come from any thread; writes take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._current: dict[str, _Entry] = {}
        self._listed: frozenset[str] = frozenset()
        self._by_hash: dict[tuple[str, str], str] = {}
        self._domains: frozenset[str] = frozenset()
        self.reload()

    @classmethod
    def open(cls, database: Path | str) -> DirectoryService:
        """On an SQLite file, or a database URL, whose schema is already made (migrations)."""
        return cls(open_database(f"sqlite:///{database}" if isinstance(database, Path) else database))

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    # ------------------------------------------------------------ reading, from memory

    def certificate(self, address: str, at: int) -> CertificateStanding:
        """The holder's certificate at time `at` (ms)."""
        entry = self._current.get(address.lower())
        if entry is None:
            return CertificateStanding(Standing.NONE)
        if entry.revoked:
            return CertificateStanding(Standing.REVOKED)
        not_after = entry.certificate.not_after
        if not_after is not None and not_after <= at:
            return CertificateStanding(Standing.EXPIRED)
        return CertificateStanding(Standing.VALID, entry.certificate)

    def published(self, address: str) -> bytes | None:
        """Binary certificate as WKD must serve it; with its revocation when the holder gave one."""
        entry = self._current.get(address.lower())
        return None if entry is None else entry.served

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        """The address whose certificate lies under this name in the domain's Web Key Directory."""
        return self._by_hash.get((domain.lower(), name.lower()))

    def has_domain(self, domain: str) -> bool:
        """Whether any address of this domain has a certificate."""
        return domain.lower() in self._domains

    def is_listed(self, address: str) -> bool:
        """Whether publication may show this address."""
        return address.lower() in self._listed

    def reload(self) -> None:
        """Read the whole directory again (start, or another node wrote)."""
        with self._turn, self._engine.connect() as connection:
            rows = connection.execute(
                select(tables.certificate).where(tables.certificate.c.superseded_at.is_(None))
            )
            current = {row.address: _entry(row) for row in rows}
            listed = frozenset(connection.execute(select(tables.listing.c.address)).scalars())
            self._current = current
            self._listed = listed
            self._by_hash = {_hashed(address): address for address in current}
            self._domains = frozenset(domain for domain, _ in self._by_hash)

    def history(self, address: str) -> list[PublishedCertificate]:
        """Every certificate this address has or had, newest first. Reads the database."""
        columns = tables.certificate.c
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(tables.certificate)
                .where(columns.address == address.lower())
                .order_by(columns.published_at.desc())
            )
            return [
                PublishedCertificate(
                    row.fingerprint,
                    row.address,
                    row.published_at,
                    row.not_after,
                    row.revoked_at,
                    row.superseded_at,
                    row.operator_held,
                )
                for row in rows
            ]

    # ------------------------------------------------------------ writing

    def publish(self, address: str, certificate: bytes, at: int) -> Certificate:
        """Gate and publish. Raises CertificateRefused; durable on return."""
        address = address.lower()
        passed = inspect(certificate, address, at)
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    passed = self._merged(connection, passed, address, at)
                    self._own_keys(connection, passed, address)
                    self._write(connection, passed, address, at)
            except IntegrityError:  # another node published one of these keys meanwhile
                raise refusal("key-of-another") from None
            self._keep(address, _Entry(passed.certificate, revoked=False, served=passed.published))
        return passed.certificate

    def revoke(self, address: str, fingerprint: str, at: int, revocation: bytes | None = None) -> None:
        """Withdraw a certificate. Raises KeyError if unknown, CertificateRefused for a false revocation."""
        address = address.lower()
        columns = tables.certificate.c
        wanted = (columns.fingerprint == fingerprint.upper()) & (columns.address == address)
        with self._turn:
            with self._engine.begin() as connection:
                row = connection.execute(select(tables.certificate).where(wanted)).first()
                if row is None:
                    raise KeyError(fingerprint)
                values = {
                    "data": row.data if revocation is None else with_revocation(row.data, revocation),
                    "revoked_at": at if row.revoked_at is None else row.revoked_at,
                    "revocation_known": row.revocation_known or revocation is not None,
                }
                connection.execute(update(tables.certificate).where(wanted).values(**values))
                changed = connection.execute(select(tables.certificate).where(wanted)).one()
            if changed.superseded_at is None:
                self._keep(address, _entry(changed))

    def show(self, address: str, at: int) -> None:
        """Let publication show this address."""
        address = address.lower()
        with self._turn:
            with self._engine.begin() as connection:
                known = select(tables.listing.c.address).where(tables.listing.c.address == address)
                if connection.execute(known).first() is None:
                    connection.execute(insert(tables.listing).values(address=address, listed_at=at))
            self._listed |= {address}

    def hide(self, address: str) -> None:
        """No longer show it."""
        with self._turn:
            with self._engine.begin() as connection:
                connection.execute(delete(tables.listing).where(tables.listing.c.address == address.lower()))
            self._listed -= {address.lower()}

    def _merged(self, connection: Connection, passed: Inspected, address: str, at: int) -> Inspected:
        """The certificate joined to what was known of it: an older copy never takes a revocation back."""
        columns = tables.certificate.c
        wanted = columns.fingerprint == passed.certificate.fingerprint
        known = connection.execute(select(tables.certificate).where(wanted)).first()
        if known is None:
            return passed
        if known.address != address:
            raise refusal("key-of-another")
        if known.revoked_at is not None:
            raise refusal("revoked")
        try:
            before = pysequoia.Cert.from_bytes(known.data)
            joined = bytes(before.merge(pysequoia.Cert.from_bytes(passed.published)))
        except RuntimeError:
            raise refusal("not-a-certificate") from None
        return inspect(joined, address, at)

    def _own_keys(self, connection: Connection, passed: Inspected, address: str) -> None:
        """Claim every key of the certificate for this address, or refuse."""
        columns = tables.certificate_key.c
        wanted = {identity.hex(): fingerprint for identity, fingerprint in passed.identities}
        known = connection.execute(
            select(columns.identity, columns.address).where(columns.identity.in_(wanted))
        ).all()
        if any(row.address != address for row in known):
            raise refusal("key-of-another")
        missing = wanted.keys() - {row.identity for row in known}
        if missing:
            connection.execute(
                insert(tables.certificate_key),
                [
                    {
                        "identity": identity,
                        "address": address,
                        "fingerprint": wanted[identity],
                        "certificate": passed.certificate.fingerprint,
                    }
                    for identity in sorted(missing)
                ],
            )

    def _write(self, connection: Connection, passed: Inspected, address: str, at: int) -> None:
        columns = tables.certificate.c
        gated = passed.certificate
        connection.execute(
            update(tables.certificate)
            .where(columns.address == address, columns.superseded_at.is_(None))
            .values(superseded_at=at)
        )
        values = {
            "address": address,
            "data": passed.published,
            "minimised": gated.minimised,
            "encryption_key_id": gated.encryption_key_id,
            "operator_held": gated.operator_held,
            "published_at": at,
            "not_after": gated.not_after,
            "revoked_at": None,
            "revocation_known": False,
            "superseded_at": None,
        }
        same = columns.fingerprint == gated.fingerprint
        if connection.execute(update(tables.certificate).where(same).values(**values)).rowcount == 0:
            connection.execute(insert(tables.certificate).values(fingerprint=gated.fingerprint, **values))

    def _keep(self, address: str, entry: _Entry) -> None:
        self._current[address] = entry
        domain, name = _hashed(address)
        self._by_hash[domain, name] = address
        self._domains |= {domain}


def _hashed(address: str) -> tuple[str, str]:
    local_part, _, domain = address.rpartition("@")
    return domain, wkd_hash(local_part)


def _entry(row: Row[Any]) -> _Entry:
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
    return _Entry(certificate, revoked, served)
