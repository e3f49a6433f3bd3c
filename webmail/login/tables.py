"""The tables of logins on the page, in the message store's database.

Invariants: of a cookie only its SHA-256 is kept, of an enrolment code only an HMAC under a key that the KEK
yields; second factors lie under the KEK; times are ms UTC; flags are 0 or 1.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

page_session = sa.Table(
    "page_session",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),  # SHA-256 of the cookie's value
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),  # "full", "enrolment"
    sa.Column("way", sa.Text, nullable=False),  # "password", "passkey", "recovery", "code", "provider"
    sa.Column("slot", sa.Text, nullable=False),  # the slot, or the enrolment code, that opened it
    sa.Column("shared", sa.SmallInteger, nullable=False),
    sa.Column(
        "renew", sa.SmallInteger, nullable=False
    ),  # what is still to be renewed: 1 password, 2 recovery
    sa.Column("label", sa.Text, nullable=False),  # "Firefox, Android"
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),  # written at most once a minute
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Column("strong", sa.SmallInteger, nullable=False, server_default="0"),  # two factors, or a provider
    sa.Column("fresh_until", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column(
        "acr", sa.SmallInteger, nullable=False, server_default="0"
    ),  # eIDAS level a provider vouched for
    sa.Column("provider", sa.Text, nullable=False, server_default=""),
    # HMACs of the provider's names for its session and for the person: to know them again at a logout there.
    sa.Column("provider_session", sa.LargeBinary),
    sa.Column("provider_subject", sa.LargeBinary),
)

page_totp = sa.Table(
    "page_totp",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),  # each step serves once (RFC 6238 §5.2)
    sa.Column("created", sa.BigInteger, nullable=False),
)

enrolment_code = sa.Table(
    "enrolment_code",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("mark", sa.LargeBinary, nullable=False, unique=True),  # HMAC of the code
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Column("tries_left", sa.Integer, nullable=False),
    sa.Column("ended", sa.Text, nullable=False),  # "" alive; "used", "replaced"
)

# Secrets of this package, wrapped by the KEK: what verifiers, codes and false salts are made with.
page_secret = sa.Table(
    "page_secret",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)
