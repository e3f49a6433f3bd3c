"""Conversations by root message, blocks, dispensings, receipts owed."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SLICE = 1000


def upgrade() -> None:
    op.rename_table("conversation", "conversation_by_thread")
    op.drop_index("conversation_of", "conversation_by_thread")
    if op.get_bind().dialect.name == "postgresql":  # constraints keep their name when a table is renamed
        op.execute("ALTER TABLE conversation_by_thread RENAME CONSTRAINT conversation_pkey TO by_thread_pkey")
    conversation = op.create_table(
        "conversation",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("correspondent", sa.Text(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("opener", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_how", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("patient", "correspondent", "root"),
    )
    op.create_index("conversation_of", "conversation", ["correspondent", "last_at"], unique=False)
    _move(conversation)
    op.drop_table("conversation_by_thread")
    op.create_table(
        "conversation_letter",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("letter", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("no_answer_by", sa.Text(), nullable=True),
        sa.Column("closes", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("patient", "letter"),
    )
    op.create_table(
        "correspondent_block",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("correspondent", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "correspondent"),
    )
    op.create_table(
        "dispensing",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("pharmacy", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "pharmacy"),
    )
    op.create_table(
        "receipt",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("letter", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message_id", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("patient", "letter"),
    )
    op.create_index("receipt_due", "receipt", ["due"], unique=False)
    op.create_table(
        "closing_address",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )


def _move(conversation: sa.Table) -> None:
    """What was noted by its thread keeps it as its root: the Message-IDs are not known here, their key is not."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT patient, correspondent, thread_id, opener, address, opened_at, last_at, closed_at"
            " FROM conversation_by_thread"
        )
    ).mappings()
    while found := rows.fetchmany(_SLICE):
        connection.execute(
            conversation.insert(),
            [
                dict(row)
                | {
                    "root": hashlib.sha256(b"thread " + row["thread_id"].encode()).digest()[:16],
                    "closed_by": row["opener"] if row["closed_at"] is not None else None,
                    "closed_how": None,
                }
                for row in found
            ],
        )
