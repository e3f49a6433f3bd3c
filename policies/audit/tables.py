"""The trace's tables. They lie in the message store's database: an act and its trace commit together.

Invariants: entries are added, and emptied by a purge, never changed otherwise; (chain, seq) counts from 1 without a
gap; text is what was hashed. `audit_party`, `audit_first_read` and `audit_head` can be told anew from the entries.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


audit_entry = sa.Table(
    "audit_entry",
    metadata,
    _text("chain"),
    _number("seq"),
    sa.Column("retention", sa.SmallInteger, nullable=False),  # policies.audit.classes.Retention
    sa.Column("day", sa.Integer, nullable=False),  # of the chain: days since 1970, UTC, never falling
    _number("at"),  # ms UTC, as the clock stood
    _text("action"),
    _text("actor"),
    _text("subject"),
    _text("behalf"),  # in whose name
    _text("kind"),
    _text("door"),
    _text("outcome"),
    _text("reference"),
    _text("session"),
    _text("network"),
    _text("detail"),  # JSON object, kept as the very text that was hashed
    sa.Column("salt", sa.LargeBinary, nullable=False),  # empty once purged
    sa.Column("leaf", sa.LargeBinary, nullable=True),  # of a purged entry alone
    sa.Column("link", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("chain", "seq"),
    # No other index: one would cost as much as the entry. What persons did is found by audit_party.
    sqlite_with_rowid=False,
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    _number("seq"),
    sa.Column("technical_day", sa.Integer, nullable=False),
    sa.Column("technical", sa.LargeBinary, nullable=False),
    sa.Column("functional_day", sa.Integer, nullable=False),
    sa.Column("functional", sa.LargeBinary, nullable=False),
    _number("technical_purged"),  # up to which number the class is empty
    _number("functional_purged"),
    sqlite_with_rowid=False,
)

# Who an entry is about, by time: what the holder's log and an auditor's questions are answered from.
audit_party = sa.Table(
    "audit_party",
    metadata,
    _text("party"),
    _number("at"),
    _text("chain"),
    _number("seq"),
    sa.PrimaryKeyConstraint("party", "at", "chain", "seq"),
    sqlite_with_rowid=False,
)

audit_first_read = sa.Table(
    "audit_first_read",
    metadata,
    _text("message"),
    _text("reader"),
    sa.PrimaryKeyConstraint("message", "reader"),
    sqlite_with_rowid=False,
)

audit_key = sa.Table(
    "audit_key",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("public", sa.LargeBinary, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),  # under the KEK
    _number("made"),
    sqlite_with_rowid=False,
)
