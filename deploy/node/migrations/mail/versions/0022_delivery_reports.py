"""Reports owed: deliveries, delays and failures; receipts to professionals of other operators."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_owed",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("letter", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("owed_at", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("report_owed_due", "report_owed", ["due"], unique=False)
    op.create_index("report_owed_letter", "report_owed", ["letter"], unique=False)
    op.create_table(
        "report_delay",
        sa.Column("letter", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("letter"),
    )
    op.create_index("report_delay_at", "report_delay", ["at"], unique=False)
    # Who is told at another operator's: the address, wrapped; `sender` is empty then.
    op.add_column("receipt", sa.Column("address", sa.LargeBinary()))
