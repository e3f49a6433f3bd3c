"""IMAP flags and JMAP keywords are one thing under two names (RFC 8621 §4.1.1).

Invariants: keywords are told in lower case; \\Deleted and \\Recent are no keywords; a keyword that IMAP could not
carry is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from mail_server.store.model import Flag, Placement

SYSTEM = {"$seen": Flag.SEEN, "$answered": Flag.ANSWERED, "$flagged": Flag.FLAGGED, "$draft": Flag.DRAFT}
_KEYWORD = re.compile(r"[!#$&\'+-Z^-z|}~\[]{1,255}")  # %x21-7e but ( ) { ] % * " \
MOST = 100


def is_keyword(word: Any) -> bool:
    return isinstance(word, str) and _KEYWORD.fullmatch(word) is not None


def keywords_of(placements: Sequence[Placement]) -> list[str]:
    """One set for the message: what any of its places has."""
    flags = Flag.NONE
    words: set[str] = set()
    for each in placements:
        flags |= each.flags
        words.update(word.lower() for word in each.keywords)
    return [name for name, flag in SYSTEM.items() if flags & flag] + sorted(words)


def read(value: Any) -> frozenset[str] | None:
    """A `keywords` object: every value true. None when it is not one."""
    if not isinstance(value, dict):
        return None
    words = cast("Mapping[str, Any]", value)
    if len(words) > MOST or not all(is_keyword(word) and each is True for word, each in words.items()):
        return None
    return frozenset(word.lower() for word in words)


def settable(letters: str, words: Iterable[str]) -> frozenset[str]:
    """Those that these rights let one set on a new letter; the others are left out, as APPEND does (RFC 4314 §4)."""
    return frozenset(word for word in words if ("s" if word == "$seen" else "w") in letters)


def split(words: Iterable[str], spelt: Sequence[Placement] = ()) -> tuple[Flag, frozenset[str]]:
    """System flags and the rest; a keyword that is there already keeps its spelling."""
    spelling = {word.lower(): word for each in spelt for word in each.keywords}
    flags = Flag.NONE
    others: set[str] = set()
    for word in words:
        if word in SYSTEM:
            flags |= SYSTEM[word]
        else:
            others.add(spelling.get(word, word))
    return flags, frozenset(others)
