"""The table of publication, in `directory.db`: of each mailbox of ours what is wanted there, and what is there.

Invariants: `published` is written after the national directory's answer alone, `attempted` before it is asked; times
are ms UTC; what is wanted is kept, not what happened: a row converges.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from directory.certificates.tables import metadata

publication = Table(
    "publication",
    metadata,
    Column("address", String, primary_key=True),  # lower case
    Column(
        "directory", Text, nullable=False, server_default=""
    ),  # the address of the one that `published` is of
    Column("wanted", Text, nullable=False, server_default=""),  # states.Entry as text; "": not to be there
    Column("published", Text, nullable=False, server_default=""),
    Column("attempted", Text, nullable=False, server_default=""),
    Column("published_at", BigInteger),
    Column("refused_for", Text),
    Column("reason", Text, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", BigInteger, nullable=False, server_default="0"),
    Column("claimed_by", Text, nullable=False, server_default=""),  # which node asks now
    Column("claimed_until", BigInteger, nullable=False, server_default="0"),
    Column("withdrawn_at", BigInteger),  # by an administrator; neither listed here nor published there
    Column("withdrawn_reason", Text, nullable=False, server_default=""),
    Index("publication_due", "next_at"),
)
