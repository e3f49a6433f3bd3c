"""Listings and certificates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("fingerprint", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("minimised", sa.LargeBinary(), nullable=False),
        sa.Column("encryption_key_id", sa.String(length=16), nullable=False),
        sa.Column("operator_held", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revocation_known", sa.Boolean(), nullable=False),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.create_index("certificate_of_address", "certificate", ["address"], unique=False)

    op.create_table(
        "certificate_key",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(length=40), nullable=False),
        sa.Column("certificate", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_table(
        "listing",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("listed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address"),
    )
