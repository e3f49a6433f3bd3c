"""One search over one state of the database: which ways it goes, and in which order what it found is shown.

A ranked search never sorts all there is: it takes as many cards as are worth comparing and orders these. Where there
are more, those that have every word whole are looked for too, and come before. One word alone is looked for where names
begin, then anywhere.

Invariants: at most a dozen terms, a dozen words for each mistyped one; after `WITHIN` seconds what was found so far is
the answer; nothing that somebody types raises.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise

import psycopg

from directory.listings.database import Sql, cut_short
from directory.listings.interface import AddressMatch, Query, Results
from directory.listings.rows import CARD_COLUMNS, WORD_COLUMNS, Row, card_of, named
from directory.model import Kind
from directory.search import statements
from directory.search.lexicon import MOST_NEAR, SHORTEST, Lexicon
from directory.search.peoples_words import LABELS
from directory.search.statements import LAST
from directory.search.typed import Term, Typed, Word, typed
from directory.search.words import storable

WITHIN = 1.5  # seconds
MOST_SHOWN = 1000
_COMPARED = 100  # cards, at least, among which the best are shown first
_READ = 5_000  # names that begin so, of which some have what else is asked for
_MOST_FIRST = 500  # addresses of those who are shown first
_TELLING = 4  # letters that leave few enough cards to look at each
_COLUMNS = named(CARD_COLUMNS, "c")
_WHOLE = named((*CARD_COLUMNS, *WORD_COLUMNS))
_FOUND = named((*CARD_COLUMNS, *WORD_COLUMNS), "c")
# As many as are compared; how many these are is the last column of a row.
_RANKED = f"SELECT {_WHOLE}, count(*) OVER () FROM (SELECT {_FOUND}, {statements.EVERYTHING} FROM"  # noqa: S608
_AT_ADDRESS = f"SELECT {_COLUMNS} FROM card c WHERE c.address = ? AND c.kind <> ''"  # noqa: S608
_CARD = len(CARD_COLUMNS)
_NOTHING = Typed()


def at_address(sql: Sql, address: str) -> Results:
    """The one card of an address, asked for by nothing else."""
    row = sql.one(_AT_ADDRESS, (storable(address.strip().lower()),))
    return Results() if row is None else Results((card_of(row),))


def is_one_address(query: Query) -> bool:
    """Whether nothing but a whole address is asked for."""
    return bool(
        query.address
        and query.address_match is AddressMatch.EXACT
        and not (query.text or query.family or query.given or query.profession or query.speciality)
        and not (
            query.organisation or query.department or query.postcode or query.commune or query.national_id
        )
        and query.after <= 0 < query.limit
        and len(query.kinds) == len(Kind)
    )


class Search:
    """Use once. `lexicon` is asked for where something may be mistyped; `suggest` for a mistyped address;
    `known`, where it is there already, spares questions that find nothing."""

    def __init__(
        self,
        sql: Sql,
        query: Query,
        lexicon: Callable[[], Lexicon],
        suggest: Callable[[Sql, str], Sequence[str]],
        known: Lexicon | None = None,
    ) -> None:
        self._sql = sql
        self._query = query
        self._lexicon = lexicon
        self._suggest = suggest
        self._known = known
        self._limit = max(0, min(query.limit, MOST_SHOWN))
        self._typed = typed(query.text) if query.text else _NOTHING
        self._fields = statements.conditions(query)
        self._compared = max(_COMPARED, 2 * self._limit)
        self._found: dict[int, Row] = {}

    def results(self) -> Results:
        corrected: tuple[tuple[str, str], ...] = ()
        cut = False
        forgiving = self._query.typos and not self._query.after  # pages go on with what was typed
        try:
            if forgiving and self._surely_mistyped():
                corrected = self._mistyped()
                forgiving = False
            if not self._found:
                if not self._query.ranked:
                    results = self._in_order()
                    if results.cards or not forgiving:
                        return results
                else:
                    self._look(self._typed.terms)
            if not self._found and forgiving:
                corrected = self._mistyped()
        except (sqlite3.OperationalError, psycopg.errors.QueryCanceled) as failure:
            if not cut_short(failure):
                raise
            cut = True
            if self._sql.dialect == "postgresql":
                self._sql.raw.rollback()
        return self._shown(corrected, cut=cut)

    def _surely_mistyped(self) -> bool:
        """Whether some word typed begins no word known: what it was meant for is looked for first."""
        lexicon = self._known
        if lexicon is None or self._typed.addresses or not self._begins_none(lexicon):
            return False
        lexicon.follow(self._sql)  # it may be new: who came a moment ago is taken for nobody else
        return self._begins_none(lexicon)

    def _begins_none(self, lexicon: Lexicon) -> bool:
        return any(
            term.plain is not None
            and _may_be_wrong(term)
            and not term.small
            and not lexicon.begins(term.literal)
            for term in self._typed.terms
        )

    # -- where cards are looked for -----------------------------------------------------------------------

    def _by_address(self) -> tuple[str, list[object]] | None:
        """Where addresses begin so, or are so; None where none is asked for."""
        query = self._query
        if query.address and query.address_match is not AddressMatch.CONTAINS:
            address = storable(query.address.strip().lower())
            if query.address_match is AddressMatch.EXACT:
                return "card c WHERE c.address = ?", [address]
            return self._range("c.address", address)
        return self._range("c.address", self._typed.addresses[0]) if self._typed.addresses else None

    def _range(self, column: str, beginning: str) -> tuple[str, list[object]]:
        within = statements.between(column, self._sql.dialect)
        return f"card c WHERE {within}", [beginning, beginning + LAST]

    def _plain(self, terms: Iterable[Term]) -> tuple[str, list[object]] | None:
        """A way without the index, with `terms` looked for in the cards it leads to; None where there is none."""
        source = self._by_address()
        if source is None and self._query.national_id:
            source = ("card c WHERE 1 = 1", list[object]())
        if source is None:
            return None
        return self._with(source, terms)

    def _with(self, source: tuple[str, Sequence[object]], terms: Iterable[Term]) -> tuple[str, list[object]]:
        sql, values = source
        parameters = [*values]
        for term in terms:
            if not term.small:
                more, held = statements.holds(term)
                sql += f" AND {more}"
                parameters += held
        for address in self._typed.addresses:
            sql += " AND c.address LIKE ? ESCAPE '!'"
            parameters.append(f"{statements.like_escaped(address)}%")
        return sql, parameters

    def _index(self, terms: Sequence[Term], *, exact: bool = False) -> tuple[str, list[object]] | None:
        """Cards by the index; None where every term is too short to be asked for."""
        asked = [term for term in terms if not term.short and (exact or not term.small)]
        short = [term for term in terms if term.short and not (term.small and not exact)]
        if exact:
            asked, short = (
                [*asked, *(term for term in short if term.small)],
                [t for t in short if not t.small],
            )
        asked += self._fields.narrow
        telling = sum(len(term.typed) >= SHORTEST for term in asked) > 1 or any(
            len(term.typed) >= _TELLING for term in asked
        )
        if not telling:
            asked += self._fields.facets
        if not asked:
            return None
        sql = statements.from_index(self._sql.dialect)
        values: list[object] = [statements.match(asked, self._sql.dialect, exact=exact)]
        for term in short:
            more, held = statements.beside(term)
            sql += f" AND {more}"
            values += held
        return sql, values

    # -- in the order of ids ------------------------------------------------------------------------------

    def _in_order(self) -> Results:
        """For paging: whatever holds, by id."""
        terms = self._typed.terms
        source = self._plain(terms)
        by = "c.id"
        if source is None and (source := self._index(terms)) is not None and self._sql.dialect == "sqlite":
            by = "card_index.rowid"  # the order it is read in anyway
        sql, values = source or self._with(("card c WHERE 1 = 1", ()), terms)
        if self._query.after and by != "c.id":
            sql += f" AND {by} > {int(self._query.after)}"
        rows = self._sql.all(
            f"SELECT {_COLUMNS} FROM {sql}{self._fields.where} ORDER BY {by} LIMIT ?",  # noqa: S608  # our own text, values apart
            [*values, *self._fields.parameters, self._limit + 1],
        )
        return Results(tuple(map(card_of, rows[: self._limit])), len(rows) > self._limit)

    # -- ranked -------------------------------------------------------------------------------------------

    def _look(self, terms: Sequence[Term]) -> None:
        if self._query.first:
            self._correspondents(terms)
        if (source := self._plain(terms)) is not None:
            self._take(self._ranked(source, terms))
            return
        if not self._fields.narrow and self._begun(terms):
            return
        source = self._index(terms)
        if source is None:
            if not terms:
                self._take(self._ranked(("card c WHERE 1 = 1", ()), terms, "c.id"))
            return
        found = self._ranked(source, terms)
        if found and found[0][-1] == self._compared and (whole := self._index(terms, exact=True)):
            self._take(self._ranked(whole, terms))
        self._take(found)

    def _begun(self, terms: Sequence[Term]) -> bool:
        """Where names begin with one of these, if all are short or there is but one. True: that is enough."""
        if len(terms) != 1 and not all(term.short for term in terms):
            return False
        for term in terms:
            rest = [one for one in terms if one is not term]
            word = term.literal
            for beginning in (f"{word} ", word) if word else ():
                source = self._with(self._first_names(beginning), rest)
                self._take(self._ranked(source, terms))
                if len(self._found) > self._limit:
                    return True
        return False

    def _first_names(self, beginning: str) -> tuple[str, list[object]]:
        """As many names as are worth reading, whatever is asked of them beside."""
        sql, values = self._range("c.name_words", beginning)
        by = statements.by_name(self._sql.dialect)
        return f"(SELECT * FROM {sql} ORDER BY {by} LIMIT {_READ}) AS c WHERE 1 = 1", values  # noqa: S608

    def _correspondents(self, terms: Sequence[Term]) -> None:
        addresses = [storable(one.lower()) for one in self._query.first[:_MOST_FIRST]]
        marks = ", ".join("?" * len(addresses))
        source = self._with((f"card c WHERE c.address IN ({marks})", addresses), terms)
        self._take(self._ranked(source, terms))

    def _ranked(
        self,
        source: tuple[str, Sequence[object]],
        terms: Sequence[Term],
        first: str = "",
        taken: Sequence[Sequence[str]] = (),
    ) -> list[Row]:
        """The best of the cards that come first; those that are worth comparing."""
        sql, values = source
        by, compared = statements.order(terms, taken or [()] * len(terms), self._sql.dialect)
        inner = f" ORDER BY {first}" if first else ""
        return self._sql.all(
            f"{_RANKED} {sql}{self._fields.where}{inner} LIMIT ?) AS c ORDER BY {by} LIMIT ?",
            [*values, *self._fields.parameters, self._compared, *compared, self._limit + 1],
        )

    def _take(self, found: Iterable[Row]) -> None:
        for row in found:
            self._found.setdefault(row[0], row)

    # -- mistyped -----------------------------------------------------------------------------------------

    def _mistyped(self) -> tuple[tuple[str, str], ...]:
        """Look again for what may have been meant; the words it was, and the words it is taken for."""
        if self._typed.addresses:
            return self._mistyped_address()
        terms = self._typed.terms
        if not any(_may_be_wrong(term) for term in terms):
            return ()
        lexicon = self._lexicon()
        lexicon.follow(self._sql)
        if (joined := _joined(terms, lexicon)) is not None:
            self._look(joined)
            if self._found:
                return ()
        tried: list[list[list[str]]] = []
        for near in _guesses(terms, lexicon):
            if not any(near) or near in tried:
                continue
            tried.append(near)
            if self._guess(terms, near):
                return self._corrected(terms, near)
        return ()

    def _guess(self, terms: Sequence[Term], near: Sequence[Sequence[str]]) -> bool:
        guessed = [
            Term((*term.ways, *((Word(one, begins=False),) for one in some))) if some else term
            for term, some in zip(terms, near, strict=True)
        ]
        source = self._plain(guessed) or self._index(guessed)
        if source is not None:
            self._take(self._ranked(source, guessed, taken=near))
        return bool(self._found)

    def _corrected(self, terms: Sequence[Term], near: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
        row = next(iter(self._found.values()))
        there = set(" ".join(row[_CARD : _CARD + len(WORD_COLUMNS)]).split())
        return tuple(
            (term.typed, next(one for one in some if one in there))
            for term, some in zip(terms, near, strict=True)
            if not there.isdisjoint(some) and term.typed not in there
        )

    def _mistyped_address(self) -> tuple[tuple[str, str], ...]:
        wrong = self._typed.addresses[0]
        for meant in self._suggest(self._sql, wrong):
            source = ("card c WHERE c.address = ?", [meant])
            self._take(self._ranked(source, ()))
        found = next(iter(self._found.values()), None)
        return ((wrong, card_of(found[:_CARD]).address),) if found else ()

    # -- what is shown ------------------------------------------------------------------------------------

    def _shown(self, corrected: tuple[tuple[str, str], ...], *, cut: bool) -> Results:
        rows = [row[:_CARD] for row in list(self._found.values())[: self._limit]]
        return Results(tuple(map(card_of, rows)), cut or len(self._found) > self._limit, corrected)


def _may_be_wrong(term: Term) -> bool:
    return len(term.literal) >= SHORTEST and term.literal not in LABELS


def _joined(terms: Sequence[Term], lexicon: Lexicon) -> list[Term] | None:
    """Two words typed that are one ("marie claire" for Marieclaire); None where there are none."""
    made: list[Term] = list(terms)
    for one, other in pairwise(terms):
        together = one.typed + other.typed
        if together in lexicon and one in made and other in made:
            at = made.index(one)
            made[at : at + 2] = [Term(((Word(together),),))]
    return made if len(made) < len(terms) else None


def _guesses(terms: Sequence[Term], lexicon: Lexicon) -> Iterable[list[list[str]]]:
    """For each term what it may have been, the likeliest guess first: words that are none, then any long word."""
    unknown = [_may_be_wrong(term) and term.literal not in lexicon for term in terms]
    long = [_may_be_wrong(term) and len(term.literal) > SHORTEST for term in terms]
    for suspects in (unknown, long):
        for nearest in (lexicon.one_edit, partial(lexicon.one_edit, after=MOST_NEAR), lexicon.two_edits):
            # With several words wrong, one that has no more to offer keeps its nearest.
            yield [
                (nearest(term.literal) or lexicon.one_edit(term.literal)) if wrong else []
                for term, wrong in zip(terms, suspects, strict=True)
            ]
