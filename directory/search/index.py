"""What keeps the search index in step with the cards, in the writer's own transaction.

SQLite: `card_index` (FTS5) has only the index; the words themselves are columns of `card`, so what is taken out must be
told with the words it was put in with. PostgreSQL: `card.index` is made by the database from the same columns.

Invariants: who writes `card.name_words`, `what_words`, `where_words` calls `add` (after) or `drop` (with what stood
there before) in the same transaction; the vocabulary holds at least every word of the cards that can be mistyped.

Who writes much (an import) says `postpone`, then `join` until it says False, each in transactions of its own, and
`resume` at its end: else one transaction now and then pays for what hundreds have added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from directory.listings.database import Sql
from directory.search.documents import Document

_SHORTEST = 3  # letters of a word whose typing errors can be told from other words
_LONGEST = 40
_ADD = "INSERT INTO card_index (rowid, name_words, what_words, where_words) VALUES (?, ?, ?, ?)"
_POSTPONED, _USUAL = 8, 4  # FTS5 segments of one size that are joined; 4 is also what it does by itself
_PAGES = 250  # of the index, written by one `join`: some 15 ms
_WORDS = "INSERT INTO word (word) SELECT {} ON CONFLICT DO NOTHING"
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


def postpone(sql: Sql) -> None:
    """From now on nothing is joined but by `join`, whoever writes."""
    if sql.dialect == "sqlite":
        _configure(sql, automerge=0, usermerge=_POSTPONED)


def resume(sql: Sql) -> None:
    if sql.dialect == "sqlite":
        _configure(sql, automerge=_USUAL, usermerge=_USUAL)


def _configure(sql: Sql, **options: int) -> None:
    sql.many("INSERT INTO card_index (card_index, rank) VALUES (?, ?)", list(options.items()))


def join(sql: Sql) -> bool:
    """Bring some of what was added last together with the rest; whether there may be more."""
    if sql.dialect == "postgresql":  # the GIN index's pending list, before it is so long that a writer has to
        sql.one("SELECT gin_clean_pending_list('card_index')")
        return False
    before = sql.raw.total_changes
    sql.run("INSERT INTO card_index (card_index, rank) VALUES ('merge', ?)", (_PAGES,))
    return sql.raw.total_changes - before >= 2  # so SQLite's documentation tells a merge that had work


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
        if new and sql.dialect == "sqlite":
            sql.run(_WORDS.format("value FROM json_each(?) WHERE true"), (json.dumps(new),))
        elif new:
            sql.run(_WORDS.format("unnest(CAST(? AS text[]))"), (new,))
