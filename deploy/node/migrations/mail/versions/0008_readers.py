"""What each reader of a shared account has seen; Sent in common; what of the past a new reader was given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number, text = sa.BigInteger(), sa.String()
    op.create_table(
        "reader",
        sa.Column("id", number.with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", text, nullable=False),
        sa.Column("person", text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "person", name="reader_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "seen",
        sa.Column("message_id", number, nullable=False),
        sa.Column("reader_id", number, nullable=False),
        sa.Column("seen", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "reader_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("seen_reader", "seen", ["reader_id"], unique=False)
    op.create_table(
        "reader_subscription",
        sa.Column("reader_id", number, nullable=False),
        sa.Column("mailbox_id", number, nullable=False),
        sa.Column("subscribed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader_id", "mailbox_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sent_copy",
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", number, nullable=False),
        sa.Column("at", number, nullable=False),
        sa.PrimaryKeyConstraint("reference"),
        sqlite_with_rowid=False,
    )
    op.create_index("sent_copy_at", "sent_copy", ["at"], unique=False)
    op.create_table(
        "past_given",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("begun", number, nullable=False),
        sa.Column("upto", number, nullable=False),
        sa.Column("total", number, nullable=False),
        sa.Column("done", number, nullable=False),
        sa.Column("apart", number, nullable=False),
        sa.Column("ended", number, nullable=True),
        sa.PrimaryKeyConstraint("account", "person"),
    )
