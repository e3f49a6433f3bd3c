"""Tables of `directory.db`: addresses shown, certificates they have or had, keys inside these.

Invariants: times are milliseconds UTC; rows of keys are never deleted, so a key that once served an
address can never serve another; what is not public knowledge has no column here.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Engine, Index, LargeBinary, MetaData, String, Table

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
    Index("certificate_of_address", "address"),
)

# One row per key material, primary or subkey: the primary key constraint is what refuses a key of another.
certificate_key = Table(
    "certificate_key",
    metadata,
    Column("identity", String(64), primary_key=True),  # hex digest of the key material (packets.PublicKey)
    Column("address", String, nullable=False),
    Column("fingerprint", String(40), nullable=False),  # of the key itself
    Column("certificate", String(40), nullable=False),
)


def create(engine: Engine) -> None:
    """Make what is missing."""
    metadata.create_all(engine)
