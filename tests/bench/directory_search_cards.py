"""Millions of cards of people who do not exist, written straight into the tables: what searches are measured on.

A quarter has an address, as in the real files (535,000 mailboxes, two million lines of activity).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from deploy.demo.directory_files import Person, person, plain, structure
from deploy.node.migrations.run import migrate_listings
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.rows import CARD_COLUMNS, WORD_COLUMNS
from directory.model import Card, Coded, Kind
from directory.search import index
from directory.search.documents import Document, document

_AT_ONCE = 20_000
_COLUMNS = (*CARD_COLUMNS, *WORD_COLUMNS)
Progress = Callable[[str, int, int], None]


def with_address(number: int) -> bool:
    return number % 4 == 0


@functools.lru_cache(maxsize=16)
def family_and_given(seed: int, number: int) -> tuple[str, str]:
    who = person(seed, number)
    return who.family, who.given


def card(seed: int, number: int, rows: int) -> Card:
    who = person(seed, number)
    where = structure(seed, number % max(12, rows // 30))
    town, postcode, _, department = where.place
    there = with_address(number)
    return Card(
        id=number + 1,
        kind=Kind.PER if there else None,
        address=_address(who, town, number) if there else "",
        national_id=who.national_id,
        title="Dr" if who.title else "",
        family=who.family,
        given=who.given,
        profession=Coded(*who.profession),
        speciality=Coded(*who.speciality),
        organisation_id=f"1{where.finess}",
        organisation=where.brand or where.name,
        street=f"{where.number} {where.way[1]} {where.way[2]}",
        postcode=postcode,
        commune=town,
        department=department,
    )


def _address(who: Person, town: str, number: int) -> str:
    return f"{plain(who.given)}.{plain(who.family)}.{number}@{plain(town)}.mssante.fr"


def _row(one: Card, words: Document) -> tuple[object, ...]:
    return (
        one.id, one.kind.value if one.kind else "", one.address, one.national_id, one.title, one.family, one.given,
        one.profession.code, one.profession.label, one.speciality.code, one.speciality.label, one.organisation_id,
        one.organisation, one.service, one.description, one.street, one.postcode, one.commune, one.department,
        int(one.digitization), one.rank, one.origin.value, one.updated_at, words.name, words.what, words.where,
    )  # fmt: skip


def _batches(seed: int, rows: int) -> Iterator[list[tuple[Card, Document]]]:
    for start in range(0, rows, _AT_ONCE):
        made = [card(seed, number, rows) for number in range(start, min(rows, start + _AT_ONCE))]
        yield [(one, document(one)) for one in made]


def fill_sqlite(path: Path, seed: int, rows: int, progress: Progress) -> None:
    migrate_listings(f"sqlite:///{path}")
    database = ListingsDatabase(path)
    vocabulary = index.Vocabulary()
    marks = ", ".join("?" * len(_COLUMNS))
    statement = f"INSERT INTO card ({', '.join(_COLUMNS)}) VALUES ({marks})"  # names of our own
    done = 0
    for batch in _batches(seed, rows):

        def write(sql: Sql, batch: list[tuple[Card, Document]] = batch) -> None:
            sql.many(statement, [_row(*each) for each in batch])
            index.add(sql, [(one.id, words) for one, words in batch])
            vocabulary.write(sql, [words for _, words in batch])

        database.write(write)
        done += len(batch)
        progress("cards into SQLite", done, rows)
    database.write(lambda sql: _settled(sql))
    database.close()


def _settled(sql: Sql) -> None:
    sql.run("INSERT INTO state (name, value) VALUES ('generation', 1) ON CONFLICT DO NOTHING")


def fill_postgresql(url: str, source: Path, progress: Progress) -> None:
    """The same cards, from the SQLite file."""
    migrate_listings(url)
    database = ListingsDatabase(source)
    raw = make_url(url).render_as_string(hide_password=False)
    columns = ", ".join(_COLUMNS)
    with psycopg.connect(raw, autocommit=True) as connection:
        for name in ("card_index", "card_by_name", "card_of_address", "card_of_national_id"):
            connection.execute(f"DROP INDEX {name}")  # pyright: ignore
        total = (database.read(lambda sql: sql.one("SELECT max(id) FROM card")) or (0,))[0]
        for start in range(0, total, _AT_ONCE):
            rows = database.read(
                lambda sql, start=start: sql.all(
                    f"SELECT {columns} FROM card WHERE id > ? AND id <= ?",
                    (start, start + _AT_ONCE),
                )
            )
            with connection.cursor() as cursor, cursor.copy(f"COPY card ({columns}) FROM STDIN") as copy:  # pyright: ignore
                for row in rows:
                    copy.write_row(row)
            progress("cards into PostgreSQL", min(total, start + _AT_ONCE), total)
        words = database.read(lambda sql: sql.all("SELECT id, word FROM word"))
        with connection.cursor() as cursor, cursor.copy("COPY word (id, word) FROM STDIN") as copy:
            for row in words:
                copy.write_row(row)
        connection.execute("SET maintenance_work_mem = '512MB'")
        for number, made in enumerate(_INDEXES):
            connection.execute(made)  # pyright: ignore
            progress("indexes of PostgreSQL", number + 1, len(_INDEXES))
        connection.execute("INSERT INTO state (name, value) VALUES ('generation', 1)")
        connection.execute("VACUUM ANALYZE card")
    database.close()


# As the migration makes them.
_INDEXES = (
    "CREATE INDEX card_index ON card USING gin (index)",
    "CREATE INDEX card_by_name ON card (name_words text_pattern_ops)",
    "CREATE INDEX card_of_address ON card (address text_pattern_ops)",
    "CREATE INDEX card_of_national_id ON card (national_id)",
)
