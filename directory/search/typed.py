"""What somebody typed, taken apart: addresses, and terms that must all hold.

A term is one or several ways to say one thing; each way is words that must all be there. Words are the beginnings of
words, but for numbers of one or two digits (a department, an arrondissement) and the words of official labels, which
are whole.

Invariants: pure; bounded whatever is typed; every word is letters and digits, so nothing of a query's syntax passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from directory.search.documents import EVERYWHERE, LONGEST_WORD
from directory.search.peoples_words import LABELS, begun, phrase
from directory.search.words import storable, words

LONGEST = 400  # characters of a query that are read
MOST_TERMS = 12
SHORT = 2  # letters of an initial, or of an article

_TITLES = frozenset({"dr", "docteur", "professeur", "monsieur", "madame", "mme", "mr", "mlle"})
_SMALL = frozenset(
    {
        "de",
        "du",
        "des",
        "la",
        "le",
        "les",
        "d",
        "l",
        "a",
        "et",
        "en",
        "au",
        "aux",
        "sur",
        "sous",
        "pour",
        "chez",
    }
)
_NOTHING = frozenset({"arrondissement", "cedex", "mssante"})
_ORDINAL = re.compile(r"^0*(\d{1,2})(?:er|e|eme|ieme)$")
_ABBREVIATED = 3  # letters
_AROUND = " \t<>\"'(),;:[]"


@dataclass(frozen=True, slots=True)
class Word:
    """One word looked for: the beginning of one, or a whole one."""

    text: str
    begins: bool = True


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must hold, in one of several ways; the first is as it was typed."""

    ways: tuple[tuple[Word, ...], ...]
    small: bool = False  # an article: it must be there where everything is as typed, and may be missing else

    @property
    def typed(self) -> str:
        return " ".join(word.text for word in self.ways[0])

    @property
    def plain(self) -> Word | None:
        """Its only word, where it is just that."""
        return self.ways[0][0] if len(self.ways) == 1 and len(self.ways[0]) == 1 else None

    @property
    def literal(self) -> str:
        """The one word that was typed; "" where there are several, or a number."""
        word = self.ways[0][0].text if len(self.ways[0]) == 1 else ""
        return word if word.isalpha() else ""

    @property
    def short(self) -> bool:
        """Too short to be looked up in the index of beginnings: it leaves nearly everybody."""
        word = self.plain
        return word is not None and word.begins and len(word.text) <= SHORT


@dataclass(frozen=True, slots=True)
class Typed:
    terms: tuple[Term, ...] = ()
    addresses: tuple[str, ...] = ()  # with an "@": whole, or their beginning


def typed(text: str) -> Typed:
    pieces = storable(text[:LONGEST]).split()
    addresses: list[str] = []
    rest: list[str] = []
    for piece in pieces:
        address = piece.strip(_AROUND).removeprefix("mailto:").lower()
        if "@" in address[1:]:
            addresses.append(address)
        else:
            rest += _words(piece)
    return Typed(terms(rest), tuple(addresses[:MOST_TERMS]))


def _words(piece: str) -> list[str]:
    found = words(piece)
    if len(found) > 1 and all(len(one) == 1 for one in found):
        return ["".join(found)]  # "C.H.U."
    if piece.startswith("@"):
        return [one for one in found if one not in EVERYWHERE]
    return found


def terms(found: list[str]) -> tuple[Term, ...]:
    """Words in the order they were typed, as terms."""
    kept = [_ordinal(one[:LONGEST_WORD]) for one in found[: 4 * MOST_TERMS]]
    kept = [one for one in kept if one not in _NOTHING] or kept
    kept = [one for one in kept if one not in _TITLES] or kept
    made: dict[str, Term] = {}
    at = 0
    while at < len(kept) and len(made) < MOST_TERMS:
        length, official = phrase(kept[at:])
        last = at + max(length, 1) == len(kept)
        term = _official(kept[at : at + length], official) if length else _plain(kept[at], last=last)
        made[term.typed] = term
        at += max(length, 1)
    return tuple(made.values())


def _ordinal(word: str) -> str:
    """ "3eme", "3e", "03e": "3"."""
    found = _ORDINAL.match(word) if word[:1].isdigit() else None
    return found[1] if found else word


def _plain(word: str, *, last: bool) -> Term:
    ways = [(_word(word),)]
    if last:
        ways += [tuple(map(_word, way)) for way in begun(word)]
    return Term(tuple(ways), small=word in _SMALL)


def _official(as_typed: list[str], official: tuple[tuple[str, ...], ...]) -> Term:
    ways = dict.fromkeys([tuple(as_typed), *official])
    return Term(tuple(tuple(map(_abbreviated, way)) for way in ways))


def _abbreviated(text: str) -> Word:
    """ "ch", "orl" are whole words: nearly everything else begins so."""
    return Word(text, begins=text not in LABELS and len(text) > _ABBREVIATED)


def _word(text: str) -> Word:
    return Word(text, begins=text not in LABELS and not (text.isdigit() and len(text) <= SHORT))
