"""Withdrawals are told apart from documents in the letter of the morning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "report_ledger", sa.Column("withdrawal", sa.SmallInteger(), nullable=False, server_default="0")
    )
