"""The tables of account keys and of what opens them, in the message store's database.

Invariants: no foreign key leaves this package; whatever opens, or tells a person, lies in `sealed` under the KEK;
times are ms UTC. What must be destroyable is not here (see keystore).
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# A way in: it wraps the account key of its generation once.
key_slot = sa.Table(
    "key_slot",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # "password", "passkey", "recovery"
    sa.Column("credential", sa.LargeBinary, unique=True),  # a passkey's id as an HMAC; null for the others
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("last_used", sa.BigInteger),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

# An OpenPGP key of an account; its secret is wrapped by the account key of `generation`, in the browser.
account_key = sa.Table(
    "account_key",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("certificate", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary),  # null: its holder keeps the secret elsewhere
    sa.PrimaryKeyConstraint("account", "fingerprint"),
)

# Which generation logs in (0: none yet), and which is in the making.
key_state = sa.Table(
    "key_state",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("pending", sa.Integer, nullable=False),  # 0: none
    sa.Column("pending_fingerprint", sa.Text, nullable=False),
    sa.Column("waiting", sa.BigInteger, nullable=False),  # letters that waited when the space was opened
)
