"""Who talks with whom, in the message store's database.

Invariants: no foreign key leaves this package; an account is named by its id, a correspondent of another operator
by an HMAC, with the address wrapped by the KEK beside it; times are ms UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("patient", sa.Text, nullable=False),  # account id
    sa.Column("correspondent", sa.Text, nullable=False),  # account id, or "h:" and an HMAC of the address
    sa.Column("thread_id", sa.Text, nullable=False),  # in the patient's account
    sa.Column("opener", sa.Text, nullable=False),  # whose letter opened it: as `correspondent`
    sa.Column("address", sa.LargeBinary),  # of another operator's correspondent, wrapped
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger),  # NULL: open
    sa.PrimaryKeyConstraint("patient", "correspondent", "thread_id"),
    sa.Index("conversation_of", "correspondent", "last_at"),
)
