"""What of a card can be found, as words: who it is, what they are, where.

Words are `search.words.normalised`, "st" and "ste" written out. Beside what is shown stand the other ways people
type it: a compound name in one word and by its initials ("Marie-Claire": marieclaire, mc), a department by its name,
an arrondissement by its number, and marks that no one types, by which fields are looked for ("0p10": profession 10).

A "," stands between the parts of a column: in `name` family, given names, the rest (nothing of it where nobody has
a name); in `what` marks, practice, organisation, address; in `where` commune, the rest.

Invariants: pure; the same card makes the same document; a column has all its ",", or none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from directory.model import Card
from directory.search.departments import NAMES
from directory.search.words import words

LONGEST_WORD = 40
APART = ","  # before letters and digits, so that MARTIN comes before MARTIN DURAND
_MOST_WORDS = 60  # in one column: a description of any length stays a small document
EVERYWHERE = frozenset({"mssante", "fr", "com", "org", "net"})  # in most addresses: they find nobody
_WRITTEN_OUT = {"st": "saint", "ste": "sainte"}
_INITIALS = re.compile(r"\b\w\.\s?\w\b")
_DISTRICT = re.compile(r"^(?:75[01]|6900|130)(0?[1-9]|1\d|20)$")  # of Paris, Lyon, Marseille


@dataclass(frozen=True, slots=True)
class Document:
    """Words of a card, separated by single spaces: the columns `name_words`, `what_words`, `where_words`."""

    name: str  # person; service and description
    what: str  # profession, speciality, organisation, the address's own words; marks
    where: str  # commune, postcode, arrondissement, department's number and name


def document(card: Card, organisation_names: Sequence[str] = ()) -> Document:
    """What finds `card`. `organisation_names`: others than the one it shows (brand, name of the legal entity)."""
    what = (
        " ".join(_marks(card)),
        _practice(card.profession.label, card.speciality.label),
        _organisation(card.organisation, *organisation_names),
        _joined(one for one in words(card.address) if one not in EVERYWHERE) if card.address else "",
    )
    return Document(_name(card), _apart(what), _where(card.commune, card.postcode, card.department))


def _apart(regions: Sequence[str]) -> str:
    return f" {APART} ".join(regions).replace("  ", " ").strip()


@functools.lru_cache(maxsize=8192)
def _practice(profession: str, speciality: str) -> str:
    return _joined((*_plain(profession), *_plain(speciality)))


@functools.lru_cache(maxsize=16_384)
def _organisation(*names: str) -> str:
    return _joined(one for name in names for one in _plain(name))


def _name(card: Card) -> str:
    """Family, given names and the rest, apart: so that each is found alone."""
    rest = [*_plain(card.service), *_plain(card.description)]
    if not card.family and not card.given:
        return _joined(rest)
    family, given = _plain(card.family), _plain(card.given)
    if len(family) > 1 or len(given) > 1:
        rest = [*_compounds(family), *_compounds(given), *rest]
    return _apart((_joined(family), _joined(given), _joined(rest)))


def mark_of_kind(kind: str) -> str:
    return f"0k{kind.lower()}"


def mark_of_profession(code: str) -> str:
    return f"0p{_bare(code)}"


def mark_of_speciality(code: str) -> str:
    return f"0s{_bare(code)}"


def mark_of_organisation(national_id: str) -> str:
    return f"0o{_bare(national_id)}"


def _marks(card: Card) -> list[str]:
    marks = [_mark(mark_of_kind, card.kind)] if card.kind else []
    if card.profession.code:
        marks.append(_mark(mark_of_profession, card.profession.code))
    if card.speciality.code:
        marks.append(_mark(mark_of_speciality, card.speciality.code))
    if card.organisation_id:
        marks.append(_mark(mark_of_organisation, card.organisation_id))
    return marks


@functools.lru_cache(maxsize=16_384)
def _mark(of: Callable[[str], str], value: str) -> str:
    return of(value)


def _bare(code: str) -> str:
    """One word, whatever signs a code has."""
    return "".join(words(code))


def _plain(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    return _plain_once(text) if len(text) <= _REMEMBERED else _plain_now(text)


def _plain_now(text: str) -> tuple[str, ...]:
    found = [_WRITTEN_OUT.get(one, one) for one in words(text)]
    return tuple(_lettered(found) if _INITIALS.search(text) else found)


def _lettered(found: list[str]) -> list[str]:
    """With "O.R.L", "C.H.U." also as one word."""
    made: list[str] = []
    letters = ""
    for one in [*found, ""]:
        if len(one) == 1:
            letters += one
        elif letters:
            made.append(letters)
            letters = ""
    return [*found, *(one for one in made if len(one) > 1)]


# Labels and names come again a thousand times in an import; a description comes once.
_REMEMBERED = 100
_plain_once = functools.lru_cache(maxsize=65_536)(_plain_now)


def _compounds(parts: tuple[str, ...]) -> list[str]:
    """ "jean pierre": jeanpierre and jp; "le gall": legall."""
    if len(parts) < 2:
        return []
    return ["".join(parts), "".join(part[0] for part in parts)]


@functools.lru_cache(maxsize=65_536)
def _where(commune: str, postcode: str, department: str) -> str:
    number = _bare(department)
    found = words(postcode)
    if number:
        found += [number, *NAMES.get(number, "").split()]
    if district := _DISTRICT.match(postcode):
        found.append(str(int(district[1])))
    return _apart((_joined(_plain(commune)), _joined(found)))


def _joined(found: Iterable[str]) -> str:
    """Each word once, in their order; neither a word nor a document grows without bound."""
    once = dict.fromkeys(found)
    whole = " ".join(once)
    if len(whole) <= LONGEST_WORD:  # and so is each word
        return whole
    kept = dict.fromkeys(one[:LONGEST_WORD] for one in once)
    return " ".join(list(kept)[:_MOST_WORDS])
