"""How names are compared: what people type and what files hold become the same plain words.

NFKD, marks dropped, œ and æ taken apart, ß as ss, everything that is no letter or digit a space, lower case.
The same for SQLite and PostgreSQL, whose own folding is not asked (reference/libraries.md §1).

Invariants: pure; `normalised(normalised(x)) == normalised(x)`; the result is ASCII letters, digits and letters of
other scripts, separated by single spaces.
"""

from __future__ import annotations

import functools
import unicodedata

_APART = str.maketrans(
    {
        "œ": "oe",
        "Œ": "oe",
        "æ": "ae",
        "Æ": "ae",
        "ß": "ss",
        "ø": "o",
        "Ø": "o",
        "ł": "l",
        "Ł": "l",
        "đ": "d",
        "Đ": "d",
    }
)


def normalised(text: str) -> str:
    """As it is indexed and compared: "Cœur-de-Lion, Zoé" is "coeur de lion zoe"."""
    if text.isascii():
        lowered = text.lower()
        return lowered if lowered.isalnum() else " ".join(lowered.translate(_SIGNS).split())
    return _unmarked(text)


def storable(text: str) -> str:
    """As a database takes it: PostgreSQL has no room for NUL, nobody for half a character."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def words(text: str) -> list[str]:
    return normalised(text).split()


def without_marks(text: str) -> str:
    """NFKD without its combining marks.

    By pieces: marks are put in order at the price of their number squared, which for thousands in a row is a second
    that nobody else has a turn in. What is dropped needs no order, so that the pieces give what the whole would.
    """
    apart = (unicodedata.normalize("NFKD", text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))
    return "".join(one for piece in apart for one in piece if not unicodedata.combining(one))


_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}


def _unmarked(text: str) -> str:
    return _unmarked_once(text) if len(text) <= _REMEMBERED else _unmarked_now(text)


def _unmarked_now(text: str) -> str:
    plain = without_marks(text.translate(_APART)).casefold()
    return " ".join("".join(one if one.isalnum() else " " for one in plain).split())


_PIECE = 128
# Names come again and again; long texts are nobody's name.
_REMEMBERED = 80
_unmarked_once = functools.lru_cache(maxsize=65_536)(_unmarked_now)
