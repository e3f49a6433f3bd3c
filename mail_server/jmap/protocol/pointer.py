"""JSON pointers (RFC 6901) with the `*` of result references (RFC 8620 §3.7).

Invariants: never copies what it points at; `PointerError` is the one exception; the number of values a `*`
gathers is bounded.
"""

from __future__ import annotations

import re
from typing import Any, cast

MAX_GATHERED = 100_000
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class PointerError(ValueError):
    """The pointer is malformed or points at nothing."""


def tokens(pointer: str) -> list[str]:
    """RFC 6901 §3, §4: the unescaped reference tokens."""
    if pointer == "":
        return []
    if not pointer.startswith("/") or _BAD_ESCAPE.search(pointer):
        raise PointerError
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def evaluate(document: Any, pointer: str) -> Any:
    return _walk(document, tokens(pointer), 0)


def _walk(value: Any, path: list[str], at: int) -> Any:
    while at < len(path):
        step = path[at]
        at += 1
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if step not in members:
                raise PointerError
            value = members[step]
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            if step == "*":
                return _gather(items, path, at)
            if _INDEX.fullmatch(step) is None or int(step) >= len(items):
                raise PointerError
            value = items[int(step)]
        else:
            raise PointerError
    return value


def _gather(items: list[Any], path: list[str], at: int) -> list[Any]:
    """RFC 8620 §3.7: the rest of the path on each item; what comes out as an array is poured in."""
    found: list[Any] = []
    for item in items:
        value = _walk(item, path, at)
        if isinstance(value, list):
            found.extend(cast("list[Any]", value))
        else:
            found.append(value)
        if len(found) > MAX_GATHERED:
            raise PointerError
    return found
