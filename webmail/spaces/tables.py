"""What of the past a new reader was given, and how far that has come; when somebody wants to be woken.

Invariants: ids, numbers and fingerprints alone; no foreign key leaves this package; times are ms UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

past_given = sa.Table(
    "past_given",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),  # the new reader
    sa.Column("fingerprint", sa.Text, nullable=False),  # of the certificate the packets are made to
    sa.Column("given_by", sa.Text, nullable=False),  # who began it
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("upto", sa.BigInteger, nullable=False),  # the newest letter of the past: later ones name them
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("apart", sa.BigInteger, nullable=False),  # letters that no packet can be added to
    sa.Column("ended", sa.BigInteger),
    sa.PrimaryKeyConstraint("account", "person"),
)

wake = sa.Table(
    "wake",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),  # a time, and not what for
    sa.PrimaryKeyConstraint("account", "at"),
    sa.Index("wake_at", "at"),
)
