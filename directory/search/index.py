"""What keeps the search index in step with the cards, in the writer's own transaction.

SQLite: `card_index` (FTS5) has only the index; the words themselves are columns of `card`, so what is taken out must be
told with the words it was put in with. PostgreSQL: `card.index` is made by the database from the same columns.

Invariants: who writes `card.name_words`, `what_words`, `where_words` calls `add` (after) or `drop` (with what stood
there before) in the same transaction; the vocabulary holds at least every word of the cards that can be mistyped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from directory.listings.database import Sql
from directory.search.documents import Document

_SHORTEST = 3  # letters of a word whose typing errors can be told from other words
_LONGEST = 40
_SEVERAL = 500
_ADD = "INSERT INTO card_index (rowid, name_words, what_words, where_words) VALUES (?, ?, ?, ?)"
_DROP = (
    "INSERT INTO card_index (card_index, rowid, name_words, what_words, where_words)"
    " VALUES ('delete', ?, ?, ?, ?)"
)


def add(sql: Sql, rows: Sequence[tuple[int, Document]]) -> None:
    """Cards by id, just written with these words."""
    if sql.dialect == "sqlite":
        sql.many(_ADD, [(card, each.name, each.what, each.where) for card, each in rows])


def drop(sql: Sql, rows: Sequence[tuple[int, Document]]) -> None:
    """Cards by id, with the words they had: before they are changed or taken away."""
    if sql.dialect == "sqlite":
        sql.many(_DROP, [(card, each.name, each.what, each.where) for card, each in rows])


class Vocabulary:
    """Table `word`, written: what this object wrote once costs nothing again. One per import run, or per write.

    After a transaction that was rolled back, make another: it would believe words written that are not.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def write(self, sql: Sql, documents: Iterable[Document]) -> None:
        found: set[str] = set()
        for each in documents:
            found.update(each.name.split(), each.what.split(), each.where.split())
        found -= self._known
        self._known |= found
        new = sorted(one for one in found if _SHORTEST <= len(one) <= _LONGEST and one.isalpha())
        for start in range(0, len(new), _SEVERAL):
            some = new[start : start + _SEVERAL]
            marks = ", ".join(["(?)"] * len(some))
            sql.run(f"INSERT INTO word (word) VALUES {marks} ON CONFLICT DO NOTHING", some)  # noqa: S608
