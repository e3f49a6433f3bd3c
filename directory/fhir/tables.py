"""Tables of `directory.db` that the FHIR door has: who may ask, and the secret that its ids and pages are made with.

Invariants: of a key only its hash is kept; a key's row is never deleted, so the trace can always be read; times are
milliseconds UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

from directory.certificates.tables import metadata

__all__ = ["api_key", "api_secret", "metadata"]

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the key
    Column("label", Text, nullable=False),
    Column("rights", Text, nullable=False),  # "read", "read publish", "publish"
    Column("publisher", Text, nullable=False, server_default=""),  # operator it publishes for
    Column("domains", Text, nullable=False, server_default=""),  # that it publishes addresses of, by spaces
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

api_secret = Table(
    "api_secret",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
