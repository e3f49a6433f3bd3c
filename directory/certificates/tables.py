"""Tables of `directory.db`: addresses shown, certificates they have or had, keys inside these.

Invariants: times are milliseconds UTC; rows of keys are never deleted, so a key that once served an
address can never serve another; each transaction that changes what is shown counts up `certificate_change` first,
so that other nodes read the rows with a higher `changed`; what is not public knowledge has no column here.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    false,
    insert,
    select,
)

metadata = MetaData()

# Addresses that publication (WKD, later HKP and LDAP) may show. Patients' never are.
listing = Table(
    "listing",
    metadata,
    Column("address", String, primary_key=True),  # lower case
    Column("listed_at", BigInteger, nullable=False),
)

certificate = Table(
    "certificate",
    metadata,
    Column("fingerprint", String(40), primary_key=True),  # of the primary key: one certificate, one identity
    Column("address", String, nullable=False),
    Column("data", LargeBinary, nullable=False),  # as published: verified parts, this address's user id
    Column("minimised", LargeBinary, nullable=False),
    Column("encryption_key_id", String(16), nullable=False),
    Column("operator_held", Boolean, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("not_after", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revocation_known", Boolean, nullable=False),  # the holder's own revocation stands in `data`
    Column("superseded_at", BigInteger),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Index("certificate_of_address", "address"),
)

# S/MIME certificates; an address has one in force at a time.
x509_certificate = Table(
    "x509_certificate",
    metadata,
    Column("fingerprint", String(64), primary_key=True),  # SHA-256 of the DER, upper-case hex
    Column("address", String, nullable=False),
    Column("data", LargeBinary, nullable=False),  # DER
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # withdrawn or revoked
    Column("revoked", Boolean, nullable=False, server_default=false()),  # then it never comes back
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Index("x509_certificate_of_address", "address"),
)

# From when until when an address had which certificate, and why no longer.
certificate_period = Table(
    "certificate_period",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("address", String, nullable=False),
    Column("kind", String(8), nullable=False),  # openpgp, x509
    Column("until", BigInteger),
    Column("why", String(16), nullable=False, server_default=""),  # replaced, withdrawn, revoked
    Index("certificate_period_of_address", "address"),
)

# One row: how often what is shown changed. Taken first in each writing transaction: commits come in its order.
certificate_change = Table(
    "certificate_change",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("counter", BigInteger, nullable=False),
)

# One row per key material, primary or subkey: the primary key constraint is what refuses a key of another.
certificate_key = Table(
    "certificate_key",
    metadata,
    Column("identity", String(64), primary_key=True),  # hex digest of the key material (packets.PublicKey)
    Column("address", String, nullable=False),
    Column("fingerprint", String(40), nullable=False),  # of the key itself; of X.509, the beginning
    Column("certificate", String(40), nullable=False),  # the same of the certificate
)


def create(engine: Engine) -> None:
    """Make what is missing."""
    metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(select(certificate_change.c.id)).first() is None:
            connection.execute(insert(certificate_change).values(id=1, counter=0))
