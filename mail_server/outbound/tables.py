"""The queue's tables, the same for SQLite and PostgreSQL.

Invariants: an address, an ORCPT, an ENVID, a header field or a peer's words lie wrapped by the KEK, never in clear (a
patient's address holds 15 digits that nobody may read off a disk); the domain is in clear, for letters wait by it;
what is due is found by an index that holds waiting letters alone, so that a long queue costs no more than a short one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    text,
)

metadata = MetaData()
# SQLite makes a column the row's own id only when its type is spelled INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

_WAITS = text("state = 0 AND held = 0")
_LEASED = text("state = 1")
_OPEN = text("state < 2")
_DONE = text("state = 2")

outbound_letter = Table(
    "outbound_letter",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("domain", String, nullable=False),
    Column("account", String),  # in whose name; null: the node itself
    Column("reference", String, nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # wrapped: MAIL FROM, ENVID
    Column("head", LargeBinary, nullable=False),  # wrapped: outer header fields, for reports
    Column("content", String),  # the store's name of the bytes; null when they are gone
    Column("form", SmallInteger, nullable=False),
    Column("egress", String, nullable=False),
    Column("readable", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("smtputf8", SmallInteger, nullable=False),
    Column("eight_bit", SmallInteger, nullable=False),
    Column("result", SmallInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),  # 0 waiting, 1 leased, 2 done
    Column("held", SmallInteger, nullable=False),  # 1: by an administrator, until released
    Column("cancelled", SmallInteger, nullable=False),  # 1: not tried again; asked for while it was leased
    Column("due", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("delay_at", BigInteger),  # when its sender is told that it is late; null: was told
    Column("attempts", Integer, nullable=False),
    Column("deferrals", Integer, nullable=False),  # attempts that the peer, not the connection, put off
    Column("handed_at", BigInteger),  # the bytes went out in an attempt that is not settled yet
    Column("lease_owner", String),
    Column("lease_until", BigInteger),
    Column("done_at", BigInteger),
    Index("outbound_due", "domain", "due", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index("outbound_leased", "lease_until", sqlite_where=_LEASED, postgresql_where=_LEASED),
    Index("outbound_expires", "expires", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("outbound_delay", "delay_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("outbound_done", "done_at", sqlite_where=_DONE, postgresql_where=_DONE),
    Index("outbound_account", "account", "id"),
    Index("outbound_reference", "reference"),
    sqlite_autoincrement=True,
)

outbound_recipient = Table(
    "outbound_recipient",
    metadata,
    Column("letter", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("address", LargeBinary, nullable=False),  # wrapped: address, ORCPT
    Column("notify", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),  # rows.RecipientState
    Column("attempts", Integer, nullable=False),
    Column("unsure", Integer, nullable=False),  # attempts after which it may have arrived, unknown to us
    Column("at", BigInteger),  # of the last attempt
    Column("phase", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("code", SmallInteger, nullable=False),
    Column("enhanced", String, nullable=False),
    Column("said", LargeBinary),  # wrapped: a peer's words may repeat an address
    Column("host", String, nullable=False),
    PrimaryKeyConstraint("letter", "place"),
    sqlite_with_rowid=False,
)

# Each domain that letters wait for, or waited for: how its servers fared.
outbound_domain = Table(
    "outbound_domain",
    metadata,
    Column("domain", String, primary_key=True),
    Column("failures", Integer, nullable=False),  # in a row, of the connection
    Column("retry_at", BigInteger, nullable=False),  # nothing is tried before
    Column("at", BigInteger),  # of the last failure
    Column("phase", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("code", SmallInteger, nullable=False),
    Column("enhanced", String, nullable=False),
    Column("said", LargeBinary),
    Column("host", String, nullable=False),
    sqlite_with_rowid=False,
)

# Domains that an administrator holds back; letters are held on their own row.
outbound_hold = Table(
    "outbound_hold",
    metadata,
    Column("domain", String, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("set_by", String, nullable=False),
    Column("reason", String, nullable=False),
    sqlite_with_rowid=False,
)
