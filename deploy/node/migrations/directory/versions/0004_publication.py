"""What of ours the national directory should tell, and what it tells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publication",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("directory", sa.Text(), nullable=False, server_default=""),
        sa.Column("wanted", sa.Text(), nullable=False, server_default=""),
        sa.Column("published", sa.Text(), nullable=False, server_default=""),
        sa.Column("attempted", sa.Text(), nullable=False, server_default=""),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("refused_for", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("claimed_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index("publication_due", "publication", ["next_at"])
