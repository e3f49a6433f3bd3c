"""The tables of accounts and credentials, in the message store's database.

Invariants: no foreign key leaves this package; no password is stored, only SCRAM-SHA-256 verifiers (RFC
5802 §3); of a patient's identity nothing is stored but wraps under the KEK and an HMAC; times are ms UTC; flags
are 0 or 1.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("address", sa.Text, nullable=False, unique=True),  # lower case
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("suspended", sa.SmallInteger, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column(
        "suspended_reason", sa.Text, nullable=False, server_default=""
    ),  # a sentence, for administrators
    sa.Column("national_id", sa.Text, nullable=False, server_default="", index=True),  # "8" + RPPS; PER alone
    sa.Column("practising", sa.SmallInteger, nullable=False, server_default="1"),
    # Lost because the national directory no longer has them: when it said so. Nothing else is undone by it.
    sa.Column("struck_off_at", sa.BigInteger),
    sa.Column("contact", sa.Text, nullable=False, server_default="replies_only"),
    sa.Column("sector", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_per_person", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("software", sa.Text, nullable=False, server_default=""),  # account of the practice's software
    sa.Column("copy_to_software", sa.SmallInteger, nullable=False, server_default="0"),
    # Letters to other operators: sealed or not at all; of which it is told ("": as its kind has it).
    sa.Column("sealed_only", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("results", sa.Text, nullable=False, server_default=""),
    sa.Column("opposed", sa.BigInteger),  # a patient's: since when; NULL: letters are welcome
    sa.Column("closed", sa.BigInteger),  # when; NULL: open
    sa.Column("last_login", sa.BigInteger),  # written at most once a day
    sa.Column(
        "notified", sa.BigInteger
    ),  # when its holder was told that it lies unused; NULL since they came
)

account_member = sa.Table(
    "account_member",
    metadata,
    sa.Column("account", sa.Text, nullable=False),  # ORG or CAB; PER where the role is "delegate"
    sa.Column("member", sa.Text, nullable=False),  # PER
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("role", sa.Text, nullable=False, server_default="member"),
    sa.Column("rights", sa.Text, nullable=False, server_default="eilprstwx"),  # RFC 4314 §2.1
    sa.Column("until", sa.BigInteger),
    sa.PrimaryKeyConstraint("account", "member"),
)

app_password = sa.Table(
    "app_password",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column(
        "salt", sa.LargeBinary, nullable=False
    ),  # the same for all passwords of one account: see app_passwords.py
    sa.Column("iterations", sa.Integer, nullable=False),
    sa.Column("stored_key", sa.LargeBinary, nullable=False),
    sa.Column("server_key", sa.LargeBinary, nullable=False),
    sa.Column("protocols", sa.Text, nullable=False),  # "imap submission"; empty: all
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger),
    sa.Column("last_used", sa.BigInteger),  # written at most once an hour
    sa.Column(
        "network", sa.Text, nullable=False, server_default=""
    ),  # "192.0.2.0/24 2001:db8::/32"; empty: all
    sa.Column("last_place", sa.Text, nullable=False, server_default=""),  # an IPv4 address, or an IPv6 /64
    sa.Column("made_by", sa.Text, nullable=False, server_default=""),  # page or provider session, "console:…"
)

certificate_binding = sa.Table(
    "certificate_binding",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    # What is matched: "sha256:<hex>" of one certificate, or "name:<subject> issued by <issuer>" (renewals
    # pass).
    sa.Column("matched", sa.Text, nullable=False, unique=True),
    sa.Column("created", sa.BigInteger, nullable=False),
)

patient = sa.Table(
    "patient",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("ins_hmac", sa.LargeBinary, nullable=False, unique=True),  # one number, one space
    sa.Column("number", sa.LargeBinary, nullable=False),  # wrapped by the KEK
    sa.Column("traits", sa.LargeBinary, nullable=False),  # wrapped by the KEK
    sa.Column("activated_at", sa.BigInteger),
)

patient_secret = sa.Table(
    "patient_secret",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),  # by the KEK
)

# What a directory would tell of a mailbox: see profiles.py for which kind has which field.
account_profile = sa.Table(
    "account_profile",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("given_name", sa.Text, nullable=False),
    sa.Column("family_name", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("responsible", sa.Text, nullable=False),
    sa.Column("id_pp", sa.Text, nullable=False),  # separated by spaces, the responsible practitioner first
    sa.Column("id_nat_struct", sa.Text, nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("red_list", sa.SmallInteger, nullable=False),
)
