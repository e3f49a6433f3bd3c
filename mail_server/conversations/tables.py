"""Who talks with whom, in the message store's database.

Invariants: no foreign key leaves this package; an account is named by its id, a correspondent of another operator
by an HMAC, with the address wrapped by the KEK beside it; a Message-ID is an HMAC, or wrapped where it must be told
again; times are ms UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# One exchange of a patient with a listing (an address of the directory), apart from threads of mail programs.
conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),  # account id
    sa.Column("correspondent", sa.Text, nullable=False),  # account id, or "h:" and an HMAC of the address
    sa.Column("root", sa.LargeBinary, nullable=False),  # HMAC of the Message-ID it began with; see `roots`
    sa.Column("thread_id", sa.Text, nullable=False),  # in the patient's account: where its latest letter lies
    sa.Column(
        "opener", sa.Text, nullable=False
    ),  # whose letter opened it: as `correspondent`, or the patient
    sa.Column("address", sa.LargeBinary),  # of another operator's correspondent, wrapped
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger),  # NULL: open
    sa.Column("closed_by", sa.Text),  # as `correspondent`
    sa.Column("closed_how", sa.Text),  # see `How`
    sa.PrimaryKeyConstraint("patient", "correspondent", "root"),
    sa.Index("conversation_of", "correspondent", "last_at"),
)

# Which exchange a letter belongs to, whatever a program names in References; and which takes no answer.
conversation_letter = sa.Table(
    "conversation_letter",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("letter", sa.LargeBinary, nullable=False),  # HMAC of its Message-ID
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("no_answer_by", sa.Text),  # who said `X-MSS-MES: FIN` in it
    sa.Column("closes", sa.SmallInteger, nullable=False, server_default="0"),  # it closed its exchange
    sa.PrimaryKeyConstraint("patient", "letter"),
)

correspondent_block = sa.Table(
    "correspondent_block",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("correspondent", sa.Text, nullable=False),
    sa.Column("address", sa.LargeBinary),  # where no account is named, wrapped
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("patient", "correspondent"),
)

dispensing = sa.Table(
    "dispensing",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("pharmacy", sa.Text, nullable=False),  # account id
    sa.Column("at", sa.BigInteger, nullable=False),  # the latest one
    sa.PrimaryKeyConstraint("patient", "pharmacy"),
)

# The receipt that a letter asks for. It leaves once: the row says so in the transaction that files it.
receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("letter", sa.LargeBinary, nullable=False),  # HMAC of its Message-ID
    sa.Column("sender", sa.Text, nullable=False),  # account id of who is told; "" at another operator's
    sa.Column("message_id", sa.LargeBinary, nullable=False),  # wrapped
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column("opened_at", sa.BigInteger),  # NULL: not opened yet
    sa.Column("due", sa.BigInteger),  # when to try to send it; NULL: nothing to do
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", sa.BigInteger),
    sa.Column("address", sa.LargeBinary),  # of who is told at another operator's, wrapped
    sa.PrimaryKeyConstraint("patient", "letter"),
    sa.Index("receipt_due", "due"),
)

# The certificate of `fin@<domain>`: its secret was forgotten when it was made.
closing_address = sa.Table(
    "closing_address",
    metadata,
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("certificate", sa.LargeBinary, nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
)
