"""Notices without content to ordinary addresses, and who asked for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice_address",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.BigInteger()),
        sa.Column("code", sa.LargeBinary()),
        sa.Column("code_until", sa.BigInteger()),
        sa.Column("code_tries", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("told", sa.BigInteger()),
        sa.Column("refused", sa.BigInteger()),
    )
    op.create_table(
        "notice",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "kind"),
    )
    op.create_index("notice_due", "notice", ["due"])
