"""What other operators publish for their addressees, as long as it is remembered.

Invariants: an address, and a certificate (which names it), lie wrapped by the KEK; what finds them is an HMAC; the
domain is in clear; times are ms UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

peer_certificate = sa.Table(
    "peer_certificate",
    metadata,
    sa.Column("mark", sa.LargeBinary, primary_key=True),  # HMAC of the address
    sa.Column("domain", sa.Text, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),  # answers.State
    sa.Column(
        "sealed", sa.LargeBinary, nullable=False
    ),  # wrapped: the address, and what was published for it
    sa.Column("answered_at", sa.BigInteger, nullable=False),  # when the operator last answered
    sa.Index("peer_certificate_answered", "answered_at"),
)

# The HMAC's key, wrapped; one row.
peer_certificate_mark = sa.Table(
    "peer_certificate_mark",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
