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


_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}


def _unmarked(text: str) -> str:
    return _unmarked_once(text) if len(text) <= _REMEMBERED else _unmarked_now(text)


def _unmarked_now(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.translate(_APART))
    plain = "".join(one for one in apart if not unicodedata.combining(one)).casefold()
    return " ".join("".join(one if one.isalnum() else " " for one in plain).split())


# Names come again and again; long texts are nobody's name.
_REMEMBERED = 80
_unmarked_once = functools.lru_cache(maxsize=65_536)(_unmarked_now)
