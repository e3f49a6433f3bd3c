"""A search as SQL: what the index is asked, what a card's columns must hold beside, in which order cards come.

Parts of a column of words are told apart by their ",": `_FAMILY` is what LIKE compares a family name with.

Invariants: values are parameters, always; what stands in a statement comes from this module; the same search finds the
same cards in both databases. Words are letters and digits, so LIKE's own signs come in addresses alone, escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from directory.listings.database import Dialect
from directory.listings.interface import AddressMatch, Query
from directory.model import Kind
from directory.search.departments import number_of
from directory.search.documents import (
    EVERYWHERE,
    LONGEST_WORD,
    mark_of_kind,
    mark_of_organisation,
    mark_of_profession,
    mark_of_speciality,
)
from directory.search.typed import Term, Word, terms
from directory.search.words import storable, words

_EVERY_KIND = frozenset(Kind)
_LONGEST_FIELD = 200  # characters of a field that are read
_MOST_WORDS = 12
_ALL = "(' ' || c.name_words || ' ' || c.what_words || ' ' || c.where_words || ' ')"
_WHOLE_POSTCODE = 5
_IDENTIFIER = 9  # digits, at least, of an organisation's

_FAMILY = ("c.name_words", "% {}%,%,%")
_GIVEN = ("c.name_words", "%,% {}%,%")
_PRACTICE = ("c.what_words", "%,% {}%,%,%")
_ORGANISATION = ("c.what_words", "%,%,% {}%,%")
_ADDRESS = "%,%,%,% {}%"  # of c.what_words
_COMMUNE = ("c.where_words", "% {}%,%")


@dataclass(slots=True)
class Conditions:
    """What must hold: in the index, and of the row."""

    # In the index; each finds at least what `sql` lets through. Facets hold of thousands: asked where nothing else
    # is, since to look at a few rows costs less than to go through a long list of cards.
    narrow: list[Term] = field(default_factory=list[Term])
    facets: list[Term] = field(default_factory=list[Term])
    sql: list[str] = field(default_factory=list[str])
    parameters: list[object] = field(default_factory=list[object])

    def add(self, sql: str, *parameters: object) -> None:
        self.sql.append(sql)
        self.parameters += parameters

    @property
    def where(self) -> str:
        return "".join(f" AND {one}" for one in self.sql)


def conditions(query: Query) -> Conditions:
    """Of the fields of a query; its text is another matter."""
    made = Conditions()
    _kinds(made, query)
    if query.family:
        _parts(made, query.family, _FAMILY)
    if query.given:
        _parts(made, query.given, _GIVEN)
    if query.profession:
        _practice(made, query.profession, "c.profession_code", mark_of_profession)
    if query.speciality:
        _practice(made, query.speciality, "c.speciality_code", mark_of_speciality)
    if query.organisation:
        _organisation(made, query.organisation)
    if query.department or query.postcode or query.commune:
        _place(made, query)
    if query.address and query.address_match is AddressMatch.CONTAINS:
        _address(made, query.address[:_LONGEST_FIELD].lower())
    if query.national_id:
        made.add("c.national_id = ?", storable(query.national_id))
    if query.after:
        made.add("c.id > ?", query.after)
    return made


def _organisation(made: Conditions, asked: str) -> None:
    if _is_identifier(asked):
        national_id = storable(asked.strip())
        made.add("c.organisation_id = ?", national_id)
        made.narrow.append(_whole(mark_of_organisation(national_id)))
    else:
        _parts(made, asked, _ORGANISATION)


def _place(made: Conditions, query: Query) -> None:
    if query.department:
        number = storable(number_of(query.department[:_LONGEST_FIELD]))
        made.add("c.department = ?", number)
        made.facets += [_whole(one) for one in words(number)]
    if digits := "".join(words(query.postcode[:_LONGEST_FIELD]))[:LONGEST_WORD]:
        made.add("c.postcode LIKE ?", f"{digits}%")
        made.facets.append(_whole(digits) if len(digits) == _WHOLE_POSTCODE else Term(((Word(digits),),)))
    if query.commune:
        _parts(made, query.commune, _COMMUNE)


def _kinds(made: Conditions, query: Query) -> None:
    if query.kinds >= _EVERY_KIND:
        if query.with_address:
            made.add("c.kind <> ''")
        return
    # Who has no address is a person.
    wanted = sorted(query.kinds) + ([""] if not query.with_address and Kind.PER in query.kinds else [])
    if not wanted:
        made.add("1 = 0")
        return
    made.add(f"c.kind IN ({', '.join('?' * len(wanted))})", *wanted)
    if "" not in wanted and Kind.PER not in query.kinds:
        made.facets.append(Term(tuple((Word(mark_of_kind(one), begins=False),) for one in wanted)))


def _parts(made: Conditions, asked: str, where: tuple[str, str]) -> None:
    """Words of one part of a column."""
    for term in terms(words(asked[:_LONGEST_FIELD])):
        ways = [_like(way, where) for way in term.ways]
        made.add(
            "(" + " OR ".join(sql for sql, _ in ways) + ")",
            *(value for _, values in ways for value in values),
        )
        made.narrow.append(term)


def _like(way: Sequence[Word], where: tuple[str, str]) -> tuple[str, list[str]]:
    column, pattern = where
    sql = " AND ".join([f"' ' || {column} LIKE ?"] * len(way))
    return f"({sql})", [pattern.format(word.text) for word in way]


def _practice(made: Conditions, asked: str, column: str, mark: Callable[[str], str]) -> None:
    """A code has a digit; words have none."""
    plain = storable(asked.strip())
    if any(one.isdigit() for one in plain) and len(plain.split()) == 1:
        made.add(f"{column} = ?", plain.upper())
        made.facets.append(_whole(mark(plain)))
        return
    narrow = made.narrow
    made.narrow = made.facets
    _parts(made, asked, _PRACTICE)
    made.narrow = narrow


def _is_identifier(asked: str) -> bool:
    plain = asked.strip()
    return " " not in plain and sum(one.isdigit() for one in plain) >= _IDENTIFIER


def _whole(word: str) -> Term:
    return Term(((Word(word[:LONGEST_WORD], begins=False),),))


def _address(made: Conditions, asked: str) -> None:
    """Anywhere in an address where a word of it begins."""
    plain = storable(asked.strip())
    if plain.isascii() and plain.isalnum() and not _is_everywhere(plain) and len(plain) <= LONGEST_WORD:
        made.add("c.what_words LIKE ?", _ADDRESS.format(plain))
        made.narrow.append(Term(((Word(plain),),)))
        return
    escaped = like_escaped(plain)
    starts = (f"{escaped}%", *(f"%{sign}{escaped}%" for sign in (".", "-", "@", "+", "!_")))
    if not plain[:1].isalnum():
        starts = (f"%{escaped}%",)
    made.add(
        "(" + " OR ".join(["c.address LIKE ? ESCAPE '!'"] * len(starts)) + ")",
        *starts,
    )
    found = [one for one in words(plain) if not _is_everywhere(one)]
    made.narrow += [Term(((Word(one[:LONGEST_WORD]),),)) for one in found[:_MOST_WORDS]]


def _is_everywhere(beginning: str) -> bool:
    return any(known.startswith(beginning) for known in EVERYWHERE)


def like_escaped(value: str) -> str:
    return value.replace("!", "!!").replace("%", "!%").replace("_", "!_")


# -- the index --------------------------------------------------------------------------------------------


def match(asked: Sequence[Term], dialect: Dialect, *, exact: bool = False) -> str:
    """What the index is asked. `exact`: whole words alone."""
    one, every, either = (_fts_word, " AND ", " OR ") if dialect == "sqlite" else (_lexeme, " & ", " | ")
    parts: list[str] = []
    for term in asked:
        ways = [every.join(one(word, exact) for word in way) for way in term.ways]
        parts.append(f"({either.join(f'({way})' if ' ' in way else way for way in ways)})")
    return every.join(parts)


def _fts_word(word: Word, exact: bool) -> str:
    return f'"{word.text}"' if exact or not word.begins else f'"{word.text}"*'


def _lexeme(word: Word, exact: bool) -> str:
    return f"'{word.text}'" if exact or not word.begins else f"'{word.text}':*"


def from_index(dialect: Dialect) -> str:
    """Cards that the index finds; its parameter comes first."""
    if dialect == "sqlite":
        return "card_index CROSS JOIN card c ON c.id = card_index.rowid WHERE card_index MATCH ?"
    return "card c WHERE c.index @@ CAST(? AS tsquery)"


def between(column: str, dialect: Dialect) -> str:
    """That a column begins so, by octets, as its index is kept; two parameters: from, and up to but without."""
    if dialect == "sqlite":
        return f"{column} >= ? AND {column} < ?"
    return f"{column} ~>=~ ? AND {column} ~<~ ?"


def by_name(dialect: Dialect) -> str:
    """In the order of the index of names."""
    return "c.name_words" if dialect == "sqlite" else "c.name_words USING ~<~"


LAST = "\U0010ffff"  # after everything that begins so


# -- what the index is not asked --------------------------------------------------------------------------


def beside(term: Term) -> tuple[str, list[object]]:
    """A term too short for the index: the beginning of a name's word, or a whole word of anything."""
    word = term.ways[0][0].text
    return f"((' ' || c.name_words) LIKE ? OR {_ALL} LIKE ?)", [f"% {word}%", f"% {word} %"]


def holds(term: Term) -> tuple[str, list[object]]:
    """That a card has a term, where the index is not asked for it."""
    if term.short:
        return beside(term)
    ways: list[str] = []
    values: list[object] = []
    for way in term.ways:
        ways.append("(" + " AND ".join([f"{_ALL} LIKE ?"] * len(way)) + ")")
        values += [f"% {word.text}%" if word.begins else f"% {word.text} %" for word in way]
    return f"({' OR '.join(ways)})", values


EVERYTHING = f"{_ALL} AS everything"  # what `order` compares whole words with


# -- order ------------------------------------------------------------------------------------------------


_WHOEVER = (
    "CASE WHEN c.kind = '' THEN 1 ELSE 0 END",
    "CASE WHEN c.rank > 1 THEN 1 ELSE 0 END",
    "CASE WHEN c.origin = 'own' THEN 0 ELSE 1 END",
)


def order(
    asked: Sequence[Term], taken: Sequence[Sequence[str]], dialect: Dialect
) -> tuple[str, list[object]]:
    """Whole words first, then family names, names, who has an address, their first address, ours.

    `taken`: for each term, words it may have been meant for, the likeliest first; none where it is as typed.
    """
    parts: list[str] = []
    values: list[object] = []
    for term, near in zip(asked, taken, strict=True):
        wanted = near or ([term.plain.text] if term.plain is not None else [])
        if wanted:
            cases = " ".join(f"WHEN c.everything LIKE ? THEN {place}" for place in range(len(wanted)))
            parts.append(f"CASE {cases} ELSE {len(wanted)} END")
            values += [f"% {one} %" for one in wanted]
    by = [" + ".join(parts)] if parts else []
    names = [near[0] if near else term.typed for term, near in zip(asked, taken, strict=True)]
    if names:
        by.append("CASE WHEN " + " OR ".join(["c.name_words LIKE ?"] * len(names)) + " THEN 0 ELSE 1 END")
        values += [f"{one}%" for one in names]
        by.append(" + ".join(["CASE WHEN (' ' || c.name_words) LIKE ? THEN 0 ELSE 1 END"] * len(names)))
        values += [f"% {one}%" for one in names]
    by += _WHOEVER
    by.append('c.name_words COLLATE "C"' if dialect == "postgresql" else "c.name_words")
    told = ", ".join([*by, "c.id"])
    return told, values
