"""The store's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_store",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("last_uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "blob",
        sa.Column("blob_id", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("refcount", sa.BigInteger(), nullable=False),
        sa.Column("codec", sa.SmallInteger(), nullable=False),
        sa.Column("clear_size", sa.BigInteger(), nullable=False),
        sa.Column("stored_size", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("blob_id"),
    )
    op.create_table(
        "membership",
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.SmallInteger(), nullable=False),
        sa.Column("keywords", sa.LargeBinary(), nullable=True),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("created_modseq", sa.BigInteger(), nullable=False),
        sa.Column("savedate", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index("membership_changed", "membership", ["mailbox_id", "modseq"], unique=False)
    op.create_index("membership_message", "membership", ["message_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("email_id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.Column("form", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("blob_id", sa.LargeBinary(), nullable=False),
        sa.Column("outer_part", sa.LargeBinary(), nullable=True),
        sa.Column("key_packets", sa.LargeBinary(), nullable=True),
        sa.Column("rendered", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("created_modseq", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("coarse_class", sa.SmallInteger(), nullable=False),
        sa.Column("closes_exchange", sa.SmallInteger(), nullable=False),
        sa.Column("has_xdm", sa.SmallInteger(), nullable=False),
        sa.Column("has_calendar", sa.SmallInteger(), nullable=False),
        sa.Column("scan", sa.SmallInteger(), nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=True),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "message_not_sealed",
        "message",
        ["account_id", "state", "id"],
        unique=False,
        sqlite_where=sa.text("state <> 0"),
        postgresql_where=sa.text("state <> 0"),
    )

    op.create_table(
        "node_setting",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "segment",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("garbage", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "submission",
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
        sqlite_with_rowid=False,
    )
    op.create_index("submission_at", "submission", ["at"], unique=False)

    op.create_table(
        "thread",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "thread_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "thread_tag",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tag"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "thread_reference",
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("reference"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstone",
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("created_modseq", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("email_id", sa.String(), nullable=False),
        sa.Column("destroyed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "modseq", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("name_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uidnext", sa.BigInteger(), nullable=False),
        sa.Column("highestmodseq", sa.BigInteger(), nullable=False),
        sa.Column("special_use", sa.String(), nullable=True),
        sa.Column("subscribed", sa.SmallInteger(), nullable=False),
        sa.Column("first_recent", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account_store.account_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "name_hmac", name="mailbox_name_once"),
        sa.UniqueConstraint("account_id", "special_use", name="mailbox_use_once"),
        sa.UniqueConstraint("object_id"),
        sqlite_autoincrement=True,
    )
