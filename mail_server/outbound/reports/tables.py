"""What is owed to senders, in the message store's database; the same for SQLite and PostgreSQL.

Invariants: an address, an ENVID, a header field or a peer's words lie wrapped by the KEK; a letter is named by an HMAC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# What one settling brought for some recipients of a letter; gone when it was told.
report_owed = sa.Table(
    "report_owed",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # random
    sa.Column("letter", sa.LargeBinary, nullable=False),  # HMAC of sender and Message-ID: told together
    sa.Column("account", sa.Text, nullable=False),  # who is told; "": somebody of another operator
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # wrapped: the letter, its recipients, their fates
    sa.Column("owed_at", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Index("report_owed_due", "due"),
    sa.Index("report_owed_letter", "letter"),
)

# Letters whose sender was told that they are late: once.
report_delay = sa.Table(
    "report_delay",
    metadata,
    sa.Column("letter", sa.LargeBinary, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("report_delay_at", "at"),
)
