"""The tables of letters handed over and not yet sent, or sent lately, in the message store's database.

Invariants: no foreign key leaves this package; who a letter is for lies under the KEK (an address may be a
patient's number); a submission is never lost between two states: each change is one statement with its condition.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

jmap_submission = sa.Table(
    "jmap_submission",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("speaker", sa.Text, nullable=False),  # who handed it over: an account id
    sa.Column("identity", sa.Text, nullable=False),  # as whom: an account id
    sa.Column("email_id", sa.Text, nullable=False),
    sa.Column("thread_id", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # envelope and outcomes, wrapped by the KEK
    sa.Column("copy", sa.Text, nullable=False),  # upload that holds the letter until it leaves; "": none
    sa.Column("send_at", sa.BigInteger, nullable=False),
    sa.Column("undo", sa.SmallInteger, nullable=False),
    sa.Column("due", sa.BigInteger),  # when something is to be done next; null: never again
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("made", sa.BigInteger, nullable=False),  # the account's submission state when it was made
    sa.Column("changed", sa.BigInteger, nullable=False),  # … when it last changed
    sa.Column("destroyed", sa.SmallInteger, nullable=False),  # its object is gone; the sending goes on
    sa.Index("jmap_submission_due", "due"),
    sa.Index("jmap_submission_account", "account", "changed"),
)

# By which reference the queue of letters to other operators tells what became of one recipient.
jmap_departure = sa.Table(
    "jmap_departure",
    metadata,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("submission", sa.Text, nullable=False),
    sa.Index("jmap_departure_submission", "submission"),
)

jmap_submission_state = sa.Table(
    "jmap_submission_state",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("state", sa.BigInteger, nullable=False),
    sa.Column("told_from", sa.BigInteger, nullable=False),  # what was forgotten lies below
)
