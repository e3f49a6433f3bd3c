"""What JMAP reads by: order of arrival, ids and threads, changes of a whole account; uploads; octets per account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mail_server.store.identifiers import thread_key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PAGE = 2000


def upgrade() -> None:
    number, text = sa.BigInteger(), sa.String()
    for table, name, kind, default in (
        ("account_store", "octets", number, "0"),
        ("account_store", "told_from", number, "0"),
        ("membership", "received_at", number, "0"),
        ("membership", "thread_key", number, "0"),
        ("tombstone", "thread_id", text, ""),
        ("tombstone", "email_created", number, "0"),
    ):
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=default))
    op.create_table(
        "upload",
        sa.Column("id", text, nullable=False),
        sa.Column("account_id", text, nullable=False),
        sa.Column("blob_id", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.LargeBinary(), nullable=False),
        sa.Column("expires", number, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    _copy_from_messages(connection)
    # What left before today lies without its thread: changes are told from here on.
    connection.execute(sa.text("UPDATE account_store SET told_from = modseq"))
    connection.execute(
        sa.text(
            "UPDATE account_store SET octets = coalesce((SELECT CAST(sum(m.size) AS BIGINT) FROM message m"
            " WHERE m.account_id = account_store.account_id), 0)"
        )
    )
    op.create_index("message_email", "message", ["email_id"], unique=True)
    op.create_index("message_thread", "message", ["thread_id"], unique=False)
    op.create_index(
        "membership_arrival", "membership", ["mailbox_id", "received_at", "message_id"], unique=False
    )
    op.create_index("tombstone_changed", "tombstone", ["account_id", "modseq"], unique=False)
    op.create_index("upload_account", "upload", ["account_id"], unique=False)
    op.create_index("upload_expires", "upload", ["expires"], unique=False)


def _copy_from_messages(connection: sa.Connection) -> None:
    """Page by page: a large store does not fit in memory."""
    after = 0
    while True:
        page = connection.execute(
            sa.text(
                "SELECT id, received_at, thread_id FROM message WHERE id > :after ORDER BY id LIMIT :page"
            ),
            {"after": after, "page": _PAGE},
        ).all()
        if not page:
            return
        connection.execute(
            sa.text("UPDATE membership SET received_at = :at, thread_key = :key WHERE message_id = :id"),
            [{"id": row[0], "at": row[1], "key": thread_key(row[2])} for row in page],
        )
        after = page[-1][0]
