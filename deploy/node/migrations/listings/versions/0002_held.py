"""Who was kept at the last import of a file because a wrong line may be theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "held",
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("which", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("since", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("source", "which"),
    )
