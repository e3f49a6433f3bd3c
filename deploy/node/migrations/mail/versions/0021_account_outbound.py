"""What an account asks of letters that leave (sealed only, results told), and a patient's opposition to any."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("sealed_only", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("results", sa.Text(), nullable=False, server_default=""))
    op.add_column("account", sa.Column("opposed", sa.BigInteger()))
    op.create_table(
        "jmap_departure",
        sa.Column("reference", sa.Text(), primary_key=True),
        sa.Column("submission", sa.Text(), nullable=False),
    )
    op.create_index("jmap_departure_submission", "jmap_departure", ["submission"])
