"""The directory itself: certificates published, answered from memory, kept in `directory.db`.

Invariants: `certificate` and `published` never touch the database; `publish` and `revoke` are durable when
they return and change the memory only after the commit; a revoked certificate never comes back, and a
revocation once known is never lost; one key never serves two addresses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pysequoia
from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from directory import room
from directory.certificates import history, smime, tables
from directory.certificates.history import count_up
from directory.certificates.interface import CertificateStanding, Standing
from directory.certificates.memory import Memory
from directory.certificates.records import (
    Entry,
    Family,
    Period,
    PublishedCertificate,
    Why,
    entry_of,
    published_of,
)
from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import Inspected, inspect
from directory.openpgp.reasons import refusal
from directory.openpgp.revocation import with_revocation
from directory.x509.gate import Authorities, Passed, pass_certificate


def open_database(url: str) -> Engine:
    """An engine on `directory.db` (or PostgreSQL) whose commits are durable. A full disk raises `NoRoom`."""
    parsed = make_url(url)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    room.watch(engine)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _record: object) -> None:
    # WAL with synchronous=FULL syncs at every commit: a publication survives the power cut that follows it.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


class DirectoryService:
    """`interface.Directory` over SQLAlchemy Core. Reads may come from any thread; writes take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._memory = Memory()
        self._seen = 0  # the counter of changes up to which memory is complete
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
        entry = self._memory.current.get(address.lower())
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
        entry = self._memory.current.get(address.lower())
        return None if entry is None else entry.served

    def by_key(self, key: str) -> tuple[str, bytes] | None:
        """Address and certificate that a fingerprint (40 hex digits) or key id (16) names, of a subkey too.

        Also one that was replaced, since letters it signed are still about; nothing of one that was withdrawn.
        """
        entry = self._memory.by_key(key)
        if entry is None or entry.served is None:
            return None
        return entry.certificate.address, entry.served

    def x509(self, address: str, at: int | None = None) -> tuple[bytes, ...]:
        """S/MIME certificates (DER) in force at `at` (ms; now when left out)."""
        at = time.time_ns() // 1_000_000 if at is None else at
        return tuple(one.data for one in self._memory.x509.get(address.lower(), ()) if one.in_time(at))

    def x509_fingerprint(self, address: str) -> str | None:
        """SHA-256 of the S/MIME certificate that is shown, in time or not; None for none."""
        return next((one.fingerprint for one in self._memory.x509.get(address.lower(), ())), None)

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        """The address whose certificate lies under this name in the domain's Web Key Directory."""
        return self._memory.address_by_wkd_hash(domain, name)

    def has_domain(self, domain: str) -> bool:
        """Whether any address of this domain has a certificate."""
        return domain.lower() in self._memory.domains

    def is_listed(self, address: str) -> bool:
        """Whether publication may show this address."""
        return address.lower() in self._memory.listed

    def history(self, address: str) -> list[PublishedCertificate]:
        """Every OpenPGP certificate this address has or had, newest first. Reads the database."""
        columns = tables.certificate.c
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(tables.certificate)
                .where(columns.address == address.lower())
                .order_by(columns.published_at.desc())
            )
            return [published_of(row) for row in rows]

    def periods(self, address: str, at: int) -> list[Period]:
        """From when until when it had which certificate, OpenPGP and X.509, newest first. Reads the database."""
        with self._engine.connect() as connection:
            return history.periods(connection, address.lower(), at)

    # ------------------------------------------------------------ following

    def reload(self) -> None:
        """Read the whole directory again (start, or the database was given back)."""
        with self._turn, self._engine.connect() as connection:
            self._read_all(connection)

    def refresh(self) -> bool:
        """Take in what another node wrote; one small look-up when nothing did. Whether something had changed."""
        with self._turn, self._engine.connect() as connection:
            counter = history.counter(connection)
            if counter == self._seen:
                return False
            if counter < self._seen:
                self._read_all(connection)
            else:
                self._take(connection, self._memory, self._seen)
                self._seen = counter
            return True

    def _read_all(self, connection: Connection) -> None:
        counter = history.counter(connection)  # first: what is written meanwhile is read again
        memory = Memory()
        self._take(connection, memory, -1)
        self._memory, self._seen = memory, counter

    def _take(self, connection: Connection, memory: Memory, since: int) -> None:
        """The rows that changed after the counter stood at `since`."""
        table = tables.certificate
        rows = connection.execute(
            select(table).where(table.c.changed > since).order_by(table.c.superseded_at.is_(None))
        ).all()
        for row in rows:
            memory.put(entry_of(row))
        keys = tables.certificate_key.c
        named = connection.execute(
            select(keys.fingerprint, keys.certificate)
            .join(table, table.c.fingerprint == keys.certificate)
            .where(table.c.changed > since)
        )
        memory.name_keys((row.fingerprint, row.certificate) for row in named)
        smime.take(connection, memory, since)
        memory.listed = set(connection.execute(select(tables.listing.c.address)).scalars())

    def _wrote(self, counter: int) -> None:
        """Our own change stands in memory already; one of another node before it is read at the next look."""
        if counter == self._seen + 1:
            self._seen = counter

    # ------------------------------------------------------------ writing

    def publish(self, address: str, certificate: bytes, at: int) -> Certificate:
        """Gate and publish. Raises CertificateRefused; durable on return."""
        address = address.lower()
        own = self._own(address)
        passed = inspect(certificate, address, at, own)
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    counter = count_up(connection)
                    require_nobody_s(connection, passed.unproven)
                    passed = self._merged(connection, passed, address, at, own)
                    claims = {identity.hex(): key for identity, key in passed.identities}
                    claim_keys(connection, claims, address, passed.certificate.fingerprint)
                    self._write(connection, passed, address, at, counter)
                    history.begin(connection, address, Family.OPENPGP, passed.certificate.fingerprint, at)
            except IntegrityError:  # another node published one of these keys meanwhile
                raise refusal("key-of-another") from None
            self._memory.put(Entry(passed.certificate, False, True, passed.published))
            self._memory.name_keys((key, passed.certificate.fingerprint) for _, key in passed.identities)
            self._wrote(counter)
        return passed.certificate

    def revoke(self, address: str, fingerprint: str, at: int, revocation: bytes | None = None) -> None:
        """Withdraw a certificate. Raises KeyError if unknown, CertificateRefused for a false revocation."""
        address = address.lower()
        columns = tables.certificate.c
        wanted = (columns.fingerprint == fingerprint.upper()) & (columns.address == address)
        with self._turn:
            with self._engine.begin() as connection:
                counter = count_up(connection)
                row = connection.execute(select(tables.certificate).where(wanted)).first()
                if row is None:
                    raise KeyError(fingerprint)
                values = {
                    "data": row.data if revocation is None else with_revocation(row.data, revocation),
                    "revoked_at": at if row.revoked_at is None else row.revoked_at,
                    "revocation_known": row.revocation_known or revocation is not None,
                    "changed": counter,
                }
                connection.execute(update(tables.certificate).where(wanted).values(**values))
                changed = connection.execute(select(tables.certificate).where(wanted)).one()
                why = Why.REVOKED if changed.revocation_known else Why.WITHDRAWN
                history.end(connection, row.fingerprint, at, why)
            self._memory.put(entry_of(changed))
            self._wrote(counter)

    def publish_x509(
        self, address: str, certificate: bytes, at: int, authorities: Authorities | None = None
    ) -> Passed:
        """Gate and publish (PEM or DER) in place of the one before. Raises CertificateRefused; durable on return."""
        passed = pass_certificate(certificate, address, at, authorities)
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    counter = count_up(connection)
                    claims = {one.hex(): passed.fingerprint[:40] for one in passed.identities}
                    claim_keys(connection, claims, passed.address, passed.fingerprint[:40])
                    entry = smime.put(connection, passed, at, counter)
            except IntegrityError:
                raise refusal("key-of-another") from None
            self._memory.put_x509(entry)
            self._wrote(counter)
        return passed

    def revoke_x509(self, address: str, fingerprint: str, at: int, *, withdrawn: bool = False) -> None:
        """Show it no longer; `withdrawn`: it may be published again. Raises KeyError if it is not in force."""
        address, fingerprint = address.lower(), fingerprint.upper()
        with self._turn:
            with self._engine.begin() as connection:
                counter = count_up(connection)
                smime.end(connection, address, fingerprint, at, counter, revoked=not withdrawn)
            self._memory.drop_x509(address, fingerprint)
            self._wrote(counter)

    def show(self, address: str, at: int) -> None:
        """Let publication show this address."""
        self.list_exactly([address], [], at)

    def hide(self, address: str) -> None:
        """No longer show it."""
        self.list_exactly([], [address], 0)

    def list_exactly(self, shown: Iterable[str], hidden: Iterable[str], at: int) -> None:
        """Show these and hide those, in one durable step."""
        wanted = {address.lower() for address in shown}
        gone = {address.lower() for address in hidden}
        with self._turn:
            with self._engine.begin() as connection:
                counter = count_up(connection)
                known = set(connection.execute(select(tables.listing.c.address)).scalars())
                if new := sorted(wanted - known):
                    rows = [{"address": address, "listed_at": at} for address in new]
                    connection.execute(insert(tables.listing), rows)
                for address in sorted(gone & known):
                    connection.execute(delete(tables.listing).where(tables.listing.c.address == address))
            self._memory.listed = (self._memory.listed | wanted) - gone
            self._wrote(counter)

    def _own(self, address: str) -> frozenset[bytes]:
        """Identities of all keys that this address ever proved."""
        columns = tables.certificate_key.c
        with self._engine.connect() as connection:
            found = connection.execute(select(columns.identity).where(columns.address == address)).scalars()
            return frozenset(bytes.fromhex(one) for one in found)

    def _merged(
        self, connection: Connection, passed: Inspected, address: str, at: int, own: frozenset[bytes]
    ) -> Inspected:
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
        proven = own | {identity for identity, _ in passed.identities}
        return inspect(joined, address, at, proven)

    def _write(self, connection: Connection, passed: Inspected, address: str, at: int, counter: int) -> None:
        columns = tables.certificate.c
        gated = passed.certificate
        connection.execute(
            update(tables.certificate)
            .where(columns.address == address, columns.superseded_at.is_(None))
            .values(superseded_at=at, changed=counter)
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
            "changed": counter,
        }
        same = columns.fingerprint == gated.fingerprint
        if connection.execute(update(tables.certificate).where(same).values(**values)).rowcount == 0:
            connection.execute(insert(tables.certificate).values(fingerprint=gated.fingerprint, **values))


def require_nobody_s(connection: Connection, unproven: Iterable[bytes]) -> None:
    """Keys that a certificate binds without a proof may be somebody's who is not known here; not who is."""
    columns = tables.certificate_key.c
    wanted = columns.identity.in_([one.hex() for one in unproven])
    if connection.execute(select(columns.identity).where(wanted)).first() is not None:
        raise refusal("key-of-another")


def claim_keys(connection: Connection, claims: dict[str, str], address: str, certificate: str) -> None:
    """Every key of a certificate (its identity, its fingerprint) for this address, or refuse."""
    columns = tables.certificate_key.c
    known = connection.execute(
        select(columns.identity, columns.address).where(columns.identity.in_(claims))
    ).all()
    if any(row.address != address for row in known):
        raise refusal("key-of-another")
    missing = claims.keys() - {row.identity for row in known}
    if missing:
        connection.execute(
            insert(tables.certificate_key),
            [
                {
                    "identity": identity,
                    "address": address,
                    "fingerprint": claims[identity],
                    "certificate": certificate,
                }
                for identity in sorted(missing)
            ],
        )
