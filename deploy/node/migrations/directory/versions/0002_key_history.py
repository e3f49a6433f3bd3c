"""X.509 certificates, what each address had and until when, and a counter that tells other nodes of a change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "x509_certificate",
        sa.Column("fingerprint", sa.String(length=64), primary_key=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index("x509_certificate_of_address", "x509_certificate", ["address"])
    op.create_table(
        "certificate_period",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("fingerprint", "since"),
    )
    op.create_index("certificate_period_of_address", "certificate_period", ["address"])
    op.create_table(
        "certificate_change",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
    )
    op.execute("INSERT INTO certificate_change (id, counter) VALUES (1, 0)")
    op.add_column("certificate", sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"))
    # What is known of the time before: one period for each certificate, which is how it ended that tells why.
    op.execute(
        "INSERT INTO certificate_period (fingerprint, since, address, kind, until, why)"
        " SELECT fingerprint, published_at, address, 'openpgp',"
        " CASE WHEN revoked_at IS NOT NULL AND (superseded_at IS NULL OR revoked_at < superseded_at)"
        " THEN revoked_at ELSE superseded_at END,"
        " CASE WHEN revoked_at IS NOT NULL AND (superseded_at IS NULL OR revoked_at < superseded_at)"
        " THEN CASE WHEN revocation_known THEN 'revoked' ELSE 'withdrawn' END"
        " WHEN superseded_at IS NOT NULL THEN 'replaced' ELSE '' END"
        " FROM certificate"
    )
