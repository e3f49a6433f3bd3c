"""Certificates of other operators' addressees, as long as they are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "peer_certificate",
        sa.Column("mark", sa.LargeBinary(), primary_key=True),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("peer_certificate_answered", "peer_certificate", ["answered_at"])
    op.create_table(
        "peer_certificate_mark",
        sa.Column("id", sa.SmallInteger(), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
