"""Tables of the listings: what the directory tells, all of which can be had again (imports, accounts, publication).

They lie apart from `directory.certificates.tables` (which nobody can give back): in `listings.db`, or in the one
PostgreSQL database. Migrations make them, and alone the search index (`card_index`, FTS5; `card.index`, tsvector).

Invariants: what is on the red list has a mailbox and no card, so no search can show it; a card is one mailbox, or one
situation of somebody; `*_words` are `search.words.normalised`; what is never shown to anybody is not stored but for
`mailbox.responsible` and `mailbox.phone`, which no reader of cards has; times are ms UTC; flags are 0 or 1.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False, server_default="0")


def _place() -> list[sa.Column[str]]:
    names = ("recipient_line", "building_line", "street", "locality_line", "routing_line")
    return [_text(name) for name in (*names, "postcode", "commune_code", "commune", "department", "country")]


professional = sa.Table(
    "professional",
    metadata,
    sa.Column("national_id", sa.Text, primary_key=True),
    _text("title"),
    _text("family"),
    _text("given"),
    _text("profession_code"),
    _text("profession"),
    _text("category_code"),
    _text("category"),
    _text("origin"),  # the best of who told: the national files, us, others
    _text("family_words"),
    _text("given_words"),
    _number(
        "updated_at"
    ),  # also of what is shown of them: a mailbox or a situation that comes, goes or changes
    sa.Column(
        "struck_off_at", sa.BigInteger
    ),  # gone from the national file, or said so; then nothing of them is shown
    sa.Index("professional_family", "family_words"),
    sa.Index("professional_given", "given_words"),
)

organisation = sa.Table(
    "organisation",
    metadata,
    sa.Column("national_id", sa.Text, primary_key=True),
    _text("name"),
    _text("brand"),
    _text("siret"),
    _text("siren"),
    _text("finess"),
    _text("finess_legal"),
    *_place(),
    _text("name_words"),  # of name and brand
    _text("origin"),
    _number("updated_at"),
    sa.Index("organisation_name", "name_words"),
)

# Organisations that changed, and have more cards than one transaction makes anew.
organisation_due = sa.Table(
    "organisation_due",
    metadata,
    sa.Column("national_id", sa.Text, primary_key=True),
    _text("after"),  # the last address that is done
    _number("after_situation", -1),  # the last situation that is done
)

situation = sa.Table(
    "situation",
    metadata,
    # A hash of what makes it that one; SQLite's own number of the row, so that there is no index of numbers beside.
    sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    _text("national_id"),
    _text("organisation_id"),
    _text("speciality_code"),
    _text("speciality"),
    _text("mode_code"),
    _text("mode"),
    *_place(),
    _text("origin"),
    _number("updated_at"),
    sa.Column("card", sa.BigInteger),
    sa.Index("situation_of_professional", "national_id"),
    sa.Index("situation_in_organisation", "organisation_id"),
)

mailbox = sa.Table(
    "mailbox",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),  # lower case
    _text("domain"),
    _text("kind"),
    _text("organisation_id"),
    _text("speciality_code"),
    _text("speciality"),
    _text("service"),
    _text("description"),
    _text("responsible"),
    _text("phone"),
    _flag("digitization"),
    _number("rank", 1),
    _flag("red_list"),
    _text("origin"),
    _text("publisher"),  # of an address published by another operator: who may change it
    _text("title"),
    _text("family"),
    _text("given"),
    _number("updated_at"),
    sa.Column("card", sa.BigInteger),  # NULL on the red list, or of somebody struck off
    sa.Index("mailbox_of_domain", "domain"),
    sa.Index("mailbox_of_organisation", "organisation_id"),
)

mailbox_holder = sa.Table(
    "mailbox_holder",
    metadata,
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("national_id", sa.Text, nullable=False),
    sa.Column("position", sa.SmallInteger, nullable=False),  # 0: the holder, or the responsible practitioner
    sa.PrimaryKeyConstraint("address", "national_id"),
    sa.Index("mailbox_of_professional", "national_id"),
    sqlite_with_rowid=False,
)

card = sa.Table(
    "card",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("kind"),
    _text("address"),
    _text("national_id"),
    _text("title"),
    _text("family"),
    _text("given"),
    _text("profession_code"),
    _text("profession"),
    _text("speciality_code"),
    _text("speciality"),
    _text("organisation_id"),
    _text("organisation"),
    _text("service"),
    _text("description"),
    _text("street"),
    _text("postcode"),
    _text("commune"),
    _text("department"),
    _flag("digitization"),
    _number("rank", 1),
    _text("origin"),
    _number("updated_at"),
    _text("name_words"),  # person; else service and description
    _text("what_words"),  # profession, speciality, organisation, the address's own words
    _text("where_words"),  # commune, postcode, department's number and name
    # Beginnings of names and addresses, by octets, whatever a database's collation.
    sa.Index("card_by_name", "name_words", postgresql_ops={"name_words": "text_pattern_ops"}),
    sa.Index("card_of_address", "address", postgresql_ops={"address": "text_pattern_ops"}),
    sa.Index("card_of_national_id", "national_id"),
)

# Distinct words of cards, for typing errors; kept in memory by who searches. A rebuild alone takes words out.
word = sa.Table(
    "word",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("word", sa.Text, nullable=False, unique=True),
)

# What was imported, line by line: a line that is there again costs nothing. Written at the end and read whole, so it
# has no index but its number: an index of hashes would touch a page for each line.
line = sa.Table(
    "line",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("source", sa.SmallInteger, nullable=False),
    sa.Column("hash", sa.BigInteger, nullable=False),
    _text("owner"),  # the mailbox's address, or the situation's id
)

import_run = sa.Table(
    "import_run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("source"),
    _text("file"),  # its name, without a folder
    _text("digest"),  # SHA-256 of what was imported
    _number("started_at"),
    sa.Column("done_at", sa.BigInteger),
    _text("state"),  # running, done, refused, failed
    _number("lines"),  # durable so far: where a broken run goes on
    _number("added"),
    _number("changed"),
    _number("removed"),
    _number("wrong"),
)

# Kept at the last import of a file, though gone from it: a line that is wrong may be theirs.
held = sa.Table(
    "held",
    metadata,
    sa.Column("source", sa.SmallInteger, nullable=False),
    sa.Column("which", sa.Text, nullable=False),  # address, or professional's identifier
    _number("line"),  # in the file; 0: there were too many wrong ones
    _text("reason"),
    _number("since"),  # the first import that kept them
    sa.PrimaryKeyConstraint("source", "which"),
)

# Mailboxes that other operators published under the names of professionals: who was told, who objects.
elsewhere = sa.Table(
    "elsewhere",
    metadata,
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("national_id", sa.Text, nullable=False),
    sa.Column("told_at", sa.BigInteger),
    sa.Column("objected_at", sa.BigInteger),
    _text("reason"),
    sa.PrimaryKeyConstraint("address", "national_id"),
)

# Counters that grow when something changed: who keeps anything in memory looks at them.
state = sa.Table(
    "state",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # "generation"
    _number("value"),
)
