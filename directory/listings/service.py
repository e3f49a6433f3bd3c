"""The listings as everybody asks for them: what is kept of one, what a search finds, which address was meant.

Invariants: synchronous, for threads; nothing is shown that has no card; the words of the cards are read into memory
once and followed when something changed, at most every two seconds; at once where a word typed is none of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from directory.listings import reading
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.interface import Kept, Query, Results
from directory.model import Mailbox, Organisation, Professional, Situation
from directory.search.lexicon import Lexicon
from directory.search.searching import WITHIN, Search, at_address, is_one_address
from directory.search.suggesting import suggested

_FOLLOWED_EVERY = 2_000  # ms
_SUGGESTED = 3


class ListingsService:
    """`interface.Listings` on a database whose schema is already made (migrations)."""

    def __init__(self, database: ListingsDatabase, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._turn = threading.Lock()
        self._lexicon = Lexicon()
        self._domains: list[str] = []
        self._generation = -1
        self._followed_at = -_FOLLOWED_EVERY

    def close(self) -> None:
        """Nothing is held but what the database holds."""

    # -- what is kept -------------------------------------------------------------------------------------

    def deliverable(self, address: str) -> bool | None:
        return self._database.read(lambda sql: reading.deliverable(sql, address))

    def mailbox(self, address: str) -> Kept[Mailbox] | None:
        return self._database.read(lambda sql: reading.mailbox(sql, address))

    def professional(self, national_id: str) -> Kept[Professional] | None:
        return self._database.read(lambda sql: reading.professional(sql, national_id))

    def organisation(self, national_id: str) -> Kept[Organisation] | None:
        return self._database.read(lambda sql: reading.organisation(sql, national_id))

    def situation(self, key: str) -> Kept[Situation] | None:
        return self._database.read(lambda sql: reading.situation(sql, key))

    def situations_of(self, national_id: str) -> tuple[Kept[Situation], ...]:
        return self._database.read(lambda sql: reading.situations_of(sql, national_id))

    def mailboxes_of(self, national_id: str) -> tuple[Kept[Mailbox], ...]:
        return self._database.read(lambda sql: reading.mailboxes_of(sql, national_id))

    # -- what is found ------------------------------------------------------------------------------------

    def search(self, query: Query) -> Results:
        if is_one_address(query):
            return self._database.read(lambda sql: at_address(sql, query.address))
        if query.typos and query.text and self._generation < 0:
            self._followed()  # the first time it takes a second: before the reading whose time is bounded
        known = self._lexicon if self._generation >= 0 else None
        return self._database.read(
            lambda sql: Search(sql, query, self._followed, self._meant, known).results(), within=WITHIN
        )

    def suggest(self, address: str, limit: int = _SUGGESTED) -> tuple[str, ...]:
        lexicon = self._followed()
        return self._database.read(
            lambda sql: suggested(sql, address, lexicon, self._domains, limit), within=WITHIN
        )

    def prepare(self) -> None:
        """Read the words now rather than at the first typing error: a second or so, once."""
        self._followed()

    def _meant(self, sql: Sql, address: str) -> tuple[str, ...]:
        return suggested(sql, address, self._followed(), self._domains)

    def _followed(self) -> Lexicon:
        """The words, as new as two seconds ago."""
        with self._turn:
            if self._clock() - self._followed_at >= _FOLLOWED_EVERY:
                self._database.read(self._follow)
                self._followed_at = self._clock()
        return self._lexicon

    def _follow(self, sql: Sql) -> None:
        row = sql.one("SELECT value FROM state WHERE name = 'generation'")
        generation = row[0] if row else 0
        if generation == self._generation:
            return
        self._lexicon.follow(sql)
        self._domains = _domains(sql)
        self._generation = generation


def _domains(sql: Sql) -> list[str]:
    """Each once, by the index: there are thousands among a million mailboxes."""
    found: list[str] = []
    last = ""
    while row := sql.one("SELECT min(domain) FROM mailbox WHERE domain > ?", (last,)):
        if row[0] is None:
            break
        found.append(last := row[0])
        if len(found) % 500 == 0:
            time.sleep(0)  # whoever waits for the interpreter has it now
    return found
