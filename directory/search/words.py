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
        if lowered.isalnum():
            return lowered
    else:
        lowered = _unmarked(text)
    return " ".join("".join(one if one.isalnum() else " " for one in lowered).split())


def words(text: str) -> list[str]:
    return normalised(text).split()


@functools.lru_cache(maxsize=65_536)
def _unmarked(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.translate(_APART))
    return "".join(one for one in apart if not unicodedata.combining(one)).casefold()
