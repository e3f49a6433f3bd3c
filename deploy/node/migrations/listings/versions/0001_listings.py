"""Professionals, organisations, situations, mailboxes; the cards that searches show, and their index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False, server_default="") for name in names]


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=str(default))


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "professional",
        sa.Column("national_id", sa.Text(), primary_key=True),
        *_texts(
            "title", "family", "given", "profession_code", "profession", "category_code", "category", "origin"
        ),
        *_texts("family_words", "given_words"),
        _number("updated_at"),
        sa.Column("struck_off_at", sa.BigInteger()),
    )
    op.create_table(
        "organisation",
        sa.Column("national_id", sa.Text(), primary_key=True),
        *_texts(
            "name",
            "brand",
            "siret",
            "siren",
            "finess",
            "finess_legal",
            "recipient_line",
            "building_line",
            "street",
            "locality_line",
            "routing_line",
            "postcode",
            "commune_code",
            "commune",
            "department",
            "country",
            "name_words",
            "origin",
        ),
        _number("updated_at"),
    )
    op.create_table(
        "organisation_due",
        sa.Column("national_id", sa.Text(), primary_key=True),
        *_texts("after"),
        _number("after_situation", -1),
    )
    op.create_table(
        "situation",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=False),
        *_texts(
            "national_id",
            "organisation_id",
            "speciality_code",
            "speciality",
            "mode_code",
            "mode",
            "recipient_line",
            "building_line",
            "street",
            "locality_line",
            "routing_line",
            "postcode",
            "commune_code",
            "commune",
            "department",
            "country",
            "origin",
        ),
        _number("updated_at"),
        sa.Column("card", sa.BigInteger()),
    )
    op.create_table(
        "mailbox",
        sa.Column("address", sa.Text(), primary_key=True),
        *_texts(
            "domain",
            "kind",
            "organisation_id",
            "speciality_code",
            "speciality",
            "service",
            "description",
            "responsible",
            "phone",
        ),
        _flag("digitization"),
        _number("rank", 1),
        _flag("red_list"),
        *_texts("origin", "publisher", "title", "family", "given"),
        _number("updated_at"),
        sa.Column("card", sa.BigInteger()),
    )
    op.create_table(
        "mailbox_holder",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("national_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", "national_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "card",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        *_texts(
            "kind",
            "address",
            "national_id",
            "title",
            "family",
            "given",
            "profession_code",
            "profession",
            "speciality_code",
            "speciality",
            "organisation_id",
            "organisation",
            "service",
            "description",
            "street",
            "postcode",
            "commune",
            "department",
        ),
        _flag("digitization"),
        _number("rank", 1),
        *_texts("origin"),
        _number("updated_at"),
        *_texts("name_words", "what_words", "where_words"),
    )
    op.create_table(
        "word",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("word", sa.Text(), nullable=False, unique=True),
    )
    op.create_table(
        "line",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("hash", sa.BigInteger(), nullable=False),
        *_texts("owner"),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.Text(), primary_key=True),
        *_texts("source", "file", "digest"),
        _number("started_at"),
        sa.Column("done_at", sa.BigInteger()),
        *_texts("state"),
        _number("lines"),
        _number("added"),
        _number("changed"),
        _number("removed"),
        _number("wrong"),
    )
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), primary_key=True),
        _number("value"),
    )
    op.create_index("card_of_national_id", "card", ["national_id"])
    op.create_index("mailbox_of_domain", "mailbox", ["domain"])
    op.create_index("mailbox_of_organisation", "mailbox", ["organisation_id"])
    op.create_index("mailbox_of_professional", "mailbox_holder", ["national_id"])
    # Beginnings of names, by octets, whatever the collation of PostgreSQL's database.
    for name, column in (("professional_family", "family_words"), ("professional_given", "given_words")):
        op.create_index(name, "professional", [column], postgresql_ops={column: "text_pattern_ops"})
    op.create_index("organisation_name", "organisation", ["name_words"])
    op.create_index("situation_in_organisation", "situation", ["organisation_id"])
    op.create_index("situation_of_professional", "situation", ["national_id"])
    _search_index(op.get_bind().dialect.name)


def _search_index(dialect: str) -> None:
    """Words as `search.documents` made them: neither database folds, stems or takes anything apart itself."""
    if dialect == "sqlite":
        # Only which cards have a word (detail=none): columns are compared once a card is found.
        op.execute(
            "CREATE VIRTUAL TABLE card_index USING fts5(name_words, what_words, where_words,"
            " content='card', content_rowid='id', tokenize='unicode61 remove_diacritics 0', prefix='1 2 3',"
            " detail=none)"
        )
        op.create_index("card_by_name", "card", ["name_words"])
        op.create_index("card_of_address", "card", ["address"])
        return
    parts = " || ".join(
        f"array_to_tsvector(array_remove(string_to_array({column}, ' '), ','))"
        for column in ("name_words", "what_words", "where_words")
    )
    op.execute(f"ALTER TABLE card ADD COLUMN index tsvector GENERATED ALWAYS AS ({parts}) STORED")
    op.create_index("card_index", "card", ["index"], postgresql_using="gin")
    # Beginnings of names and addresses, by octets, whatever the database's collation.
    for name, column in (("card_by_name", "name_words"), ("card_of_address", "address")):
        op.create_index(name, "card", [column], postgresql_ops={column: "text_pattern_ops"})
