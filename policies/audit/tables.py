"""The trace's table. It lies in the message store's database: an act and its trace commit together.

Invariants: rows are only ever added; (chain, seq) counts from 1 without a gap; text is what was hashed.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("chain", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),  # ms UTC
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # JSON object, kept as the very text that was hashed
    sa.Column("previous", sa.LargeBinary, nullable=False),  # hash of the entry before
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("chain", "seq"),
    # No other index: one would cost as much as the entry. Reading the trace is rare and scans.
    sqlite_with_rowid=False,
)
