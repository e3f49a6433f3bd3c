"""I-JSON (RFC 7493), read strictly: what two programs could understand differently is refused.

Invariants: only `NotJson` is raised, without a word of the input; no member twice in an object, no surrogate and
no noncharacter in a string, no NaN, and no nesting that would end the interpreter's stack.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Noncharacters (Unicode §23.7) and surrogates, which I-JSON keeps out of strings (RFC 7493 §2.1).
_UNFIT = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_ESCAPE = re.compile(rb"\\u(?:[dD][89a-fA-F]|[fF][dDfF])")
MAX_DEPTH = 64


class NotJson(ValueError):
    """The octets are not I-JSON."""


def decode(octets: bytes) -> Any:
    try:
        text = octets.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotJson from None
    if _too_deep(value):
        raise NotJson
    if _UNFIT.search(text) or (_ESCAPE.search(octets) and _holds_unfit(value)):
        raise NotJson
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson
    return members


def _no_constant(_: str) -> Any:
    raise NotJson


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _holds_unfit(value: Any) -> bool:
    """Whether an escape made a string that the text itself could not hold."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if _UNFIT.search(one):
                return True
        else:
            if isinstance(one, dict):
                waiting.extend(one)  # pyright: ignore[reportUnknownArgumentType]
            waiting.extend(_children(one))
    return False
