"""What sending accounts are told each morning, in the message store's database.

Invariants: no foreign key leaves this package; a Message-ID is an HMAC, and wrapped by the KEK where it must be told
again; an address that is no account's is wrapped, one that is is the account's id; times are ms UTC, days YYYY-MM-DD.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# One letter that a system handed in, for one recipient.
report_ledger = sa.Table(
    "report_ledger",
    metadata,
    sa.Column("account", sa.Text, nullable=False),  # whose letter it is
    sa.Column(
        "mark", sa.LargeBinary, nullable=False
    ),  # HMAC of letter and recipient; random where no letter came
    sa.Column("letter", sa.LargeBinary),  # HMAC of its Message-ID, as `receipt.letter`
    sa.Column("whom", sa.LargeBinary, nullable=False),  # HMAC of the recipient's address
    sa.Column("recipient", sa.Text, nullable=False),  # account id; "" when there is none
    sa.Column("address", sa.LargeBinary),  # where there is no account, wrapped
    sa.Column("reference", sa.LargeBinary),  # the Message-ID, wrapped
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),  # "delivered", "waiting", "refused"
    sa.Column("cause", sa.Text, nullable=False),  # a slug
    sa.Column("told_day", sa.Text),  # NULL: not told yet
    sa.Column("late_cause", sa.Text, nullable=False, server_default=""),  # what was learned after it was told
    sa.Column("late_day", sa.Text),
    sa.Column("unopened_day", sa.Text),  # when it was told that nobody opened it
    sa.Column("withdrawal", sa.SmallInteger, nullable=False, server_default="0"),  # it takes another back
    sa.PrimaryKeyConstraint("account", "mark"),
    sa.Index("report_ledger_told", "told_day", "account"),
    sa.Index("report_ledger_letter", "account", "letter"),
    sa.Index("report_ledger_at", "at"),
)

report_morning = sa.Table(
    "report_morning",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("sent_at", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("account", "day"),
)

# Who is told although they are no system, and who is not although they are one.
report_wish = sa.Table(
    "report_wish",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("wanted", sa.SmallInteger, nullable=False),
)

# Where structured letters of an organisation's account are sent on (`forwarding.py`).
account_forward = sa.Table(
    "account_forward",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("address", sa.Text, nullable=False),  # of a program: it names nobody
    sa.Column("set_at", sa.BigInteger, nullable=False),
)
