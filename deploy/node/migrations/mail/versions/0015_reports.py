"""What sending accounts are told every morning: one row for each letter a system handed in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_ledger",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("letter", sa.LargeBinary(), nullable=True),
        sa.Column("whom", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("reference", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("told_day", sa.Text(), nullable=True),
        sa.Column("late_cause", sa.Text(), nullable=False, server_default=""),
        sa.Column("late_day", sa.Text(), nullable=True),
        sa.Column("unopened_day", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "mark"),
    )
    op.create_index("report_ledger_told", "report_ledger", ["told_day", "account"], unique=False)
    op.create_index("report_ledger_letter", "report_ledger", ["account", "letter"], unique=False)
    op.create_index("report_ledger_at", "report_ledger", ["at"], unique=False)
    op.create_table(
        "report_morning",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "day"),
    )
    op.create_table(
        "report_wish",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("wanted", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
