"""Who asked for notices, and the notices still to be sent.

Invariants: addresses and codes are wrapped by the key-encryption key; nothing of a letter has a column here; times are
ms UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

notice_address = sa.Table(
    "notice_address",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("address", sa.LargeBinary, nullable=False),  # wrapped
    sa.Column("language", sa.Text, nullable=False),  # "fr" or "en"
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("confirmed", sa.BigInteger),  # when it proved that it reads; null: not yet
    sa.Column("code", sa.LargeBinary),  # wrapped; null once it was used, or spent
    sa.Column("code_until", sa.BigInteger),
    sa.Column("code_tries", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("told", sa.BigInteger),  # the last notice of new letters
    sa.Column("refused", sa.BigInteger),  # since when the address is refused for good
)

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # `words.Kind`
    sa.Column("until", sa.BigInteger),  # the day a notice speaks of
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False),
    sa.PrimaryKeyConstraint("account", "kind"),
    sa.Index("notice_due", "due"),
)
