"""Who people are: national identifier, right to practise, readers with rights and an end, bounds of app passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("suspended_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("national_id", sa.Text(), nullable=False, server_default=""),
        sa.Column("practising", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.Column("contact", sa.Text(), nullable=False, server_default="replies_only"),
        sa.Column("sector", sa.Text(), nullable=False, server_default=""),
        sa.Column("seen_per_person", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("last_login", sa.BigInteger(), nullable=True),
        sa.Column("notified", sa.BigInteger(), nullable=True),
    ):
        op.add_column("account", column)
    op.create_index("ix_account_national_id", "account", ["national_id"], unique=False)
    for column in (
        sa.Column("role", sa.Text(), nullable=False, server_default="member"),
        sa.Column("rights", sa.Text(), nullable=False, server_default="eilprstwx"),
        sa.Column("until", sa.BigInteger(), nullable=True),
    ):
        op.add_column("account_member", column)
    for column in (
        sa.Column("network", sa.Text(), nullable=False, server_default=""),
        sa.Column("made_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("last_place", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("app_password", column)
