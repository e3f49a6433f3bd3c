"""The store's schema, the same for SQLite and PostgreSQL. The hot statements are in reader and transaction.

Invariants: no foreign key crosses a package; whatever tells of content (names, keywords, outer headers, rendered
rows) is AES-256-GCM under the account's data key; what is looked up by equality is an HMAC; times are ms UTC.
Ids of mailboxes and messages are never given twice (AUTOINCREMENT): caches are keyed by them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# SQLite makes a column the row's own id only when its type is spelled INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

account_store = Table(
    "account_store",
    metadata,
    Column("account_id", String, primary_key=True),
    Column("modseq", BigInteger, nullable=False),
    Column("data_key", LargeBinary, nullable=False),  # wrapped by the KEK
    Column("last_uidvalidity", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False, server_default="0"),  # sum of its messages' sizes
    # Changes are told from this modseq on; a restore moves it, for what came after the backup is not known.
    Column("told_from", BigInteger, nullable=False, server_default="0"),
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("account_id", String, ForeignKey("account_store.account_id"), nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("name_hmac", LargeBinary, nullable=False),
    Column("object_id", String, nullable=False, unique=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uidnext", BigInteger, nullable=False),
    Column("highestmodseq", BigInteger, nullable=False),
    Column("special_use", String),
    Column("subscribed", SmallInteger, nullable=False),
    Column("first_recent", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name_hmac", name="mailbox_name_once"),
    UniqueConstraint("account_id", "special_use", name="mailbox_use_once"),
    sqlite_autoincrement=True,
)

message = Table(
    "message",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("email_id", String, nullable=False),
    Column("thread_id", String, nullable=False),
    Column("form", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("blob_id", LargeBinary, nullable=False),
    Column("outer_part", LargeBinary),  # split form: head and tail, encrypted
    Column("key_packets", LargeBinary),  # split form: this copy's, ciphertext by nature
    Column("rendered", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("created_modseq", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),  # of the row itself; flags count by membership
    Column("coarse_class", SmallInteger, nullable=False),
    Column("closes_exchange", SmallInteger, nullable=False),
    Column("has_xdm", SmallInteger, nullable=False),
    Column("has_calendar", SmallInteger, nullable=False),
    Column("scan", SmallInteger, nullable=False),
    Column("summary", LargeBinary),
    # Most messages are sealed; the few others are what activation and custody walk through.
    Index(
        "message_not_sealed",
        "account_id",
        "state",
        "id",
        sqlite_where=text("state <> 0"),
        postgresql_where=text("state <> 0"),
    ),
    # These ids begin with the time they were made: the indexes grow at their end, which costs a third.
    Index("message_email", "email_id", unique=True),
    Index("message_thread", "thread_id"),
    sqlite_autoincrement=True,
)

membership = Table(
    "membership",
    metadata,
    Column("mailbox_id", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("keywords", LargeBinary),
    Column("modseq", BigInteger, nullable=False),
    Column("created_modseq", BigInteger, nullable=False),
    Column("savedate", BigInteger, nullable=False),
    # The message's, so that STATUS, queries and counts read this table alone.
    Column("size", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False, server_default="0"),
    Column("thread_key", BigInteger, nullable=False, server_default="0"),  # see identifiers
    PrimaryKeyConstraint("mailbox_id", "uid"),
    Index("membership_changed", "mailbox_id", "modseq"),
    Index("membership_message", "message_id"),
    Index("membership_arrival", "mailbox_id", "received_at", "message_id"),
    sqlite_with_rowid=False,
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("mailbox_id", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("created_modseq", BigInteger, nullable=False),
    Column("account_id", String, nullable=False),
    Column("email_id", String, nullable=False),
    Column("destroyed", SmallInteger, nullable=False),  # 1: that was the message's last mailbox
    Column("thread_id", String, nullable=False, server_default=""),
    Column("email_created", BigInteger, nullable=False, server_default="0"),  # the message's created_modseq
    PrimaryKeyConstraint("mailbox_id", "modseq", "uid"),
    Index("tombstone_changed", "account_id", "modseq"),
    sqlite_with_rowid=False,
)

thread = Table(
    "thread",
    metadata,
    Column("account_id", String, nullable=False),
    Column("thread_id", String, nullable=False),
    Column("tag", String),  # the first one, which later letters of the conversation take
    PrimaryKeyConstraint("account_id", "thread_id"),
    sqlite_with_rowid=False,
)

# A letter to two accounts may join two conversations that already had a tag each; so a thread may come to have
# several tags, but a tag never stands for two threads of one account.
thread_tag = Table(
    "thread_tag",
    metadata,
    Column("account_id", String, nullable=False),
    Column("tag", String, nullable=False),
    Column("thread_id", String, nullable=False),
    PrimaryKeyConstraint("account_id", "tag"),
    sqlite_with_rowid=False,
)

thread_reference = Table(
    "thread_reference",
    metadata,
    Column("reference", LargeBinary, primary_key=True),  # HMAC of account and message-id, 16 bytes
    Column("account_id", String, nullable=False),
    Column("thread_id", String, nullable=False),
    sqlite_with_rowid=False,
)

blob = Table(
    "blob",
    metadata,
    Column("blob_id", LargeBinary, primary_key=True),
    Column("owner", String),
    Column("refcount", BigInteger, nullable=False),
    Column("codec", SmallInteger, nullable=False),
    Column("clear_size", BigInteger, nullable=False),
    Column("stored_size", BigInteger, nullable=False),
    Column("segment", BigInteger),
    Column("position", BigInteger),
    Column("data", LargeBinary),
)

segment = Table(
    "segment",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("length", BigInteger, nullable=False),  # committed; what lies beyond is dead
    Column("garbage", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
)

upload = Table(
    "upload",
    metadata,
    Column("id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("blob_id", LargeBinary, nullable=False),
    Column("media_type", LargeBinary, nullable=False),  # encrypted: it tells of content
    Column("expires", BigInteger, nullable=False),
    Index("upload_account", "account_id"),
    Index("upload_expires", "expires"),
    sqlite_with_rowid=False,
)

# Bodies that the outbound queue names.
queued = Table(
    "queued",
    metadata,
    Column("id", String, primary_key=True),
    Column("blob_id", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Who reads an account that is not theirs, by a number that the two tables below are narrow by.
reader = Table(
    "reader",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("person", String, nullable=False),
    UniqueConstraint("account_id", "person", name="reader_once"),
    sqlite_autoincrement=True,
)

seen = Table(
    "seen",
    metadata,
    Column("message_id", BigInteger, nullable=False),
    Column("reader_id", BigInteger, nullable=False),
    Column("seen", SmallInteger, nullable=False),
    PrimaryKeyConstraint("message_id", "reader_id"),
    Index("seen_reader", "reader_id"),
    sqlite_with_rowid=False,
)

reader_subscription = Table(
    "reader_subscription",
    metadata,
    Column("reader_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("subscribed", SmallInteger, nullable=False),
    PrimaryKeyConstraint("reader_id", "mailbox_id"),
    sqlite_with_rowid=False,
)

# Copies in the Sent of a shared account, by the Message-ID they carry: the second of a letter is not filed.
sent_copy = Table(
    "sent_copy",
    metadata,
    Column("reference", LargeBinary, primary_key=True),  # HMAC of account and message-id, 16 bytes
    Column("message_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("sent_copy_at", "at"),
    sqlite_with_rowid=False,
)

submission = Table(
    "submission",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index("submission_at", "at"),
    sqlite_with_rowid=False,
)

node_setting = Table(
    "node_setting",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
