"""Arguments of a method, read with their types (RFC 8620 §1.1 to §1.4).

Invariants: whatever is wrong with an argument is `invalidArguments`; an argument nobody knows is refused too;
null counts as absent where a default exists.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mail_server.jmap.protocol.errors import MethodError, invalid_arguments
from mail_server.jmap.protocol.request import ID

LARGEST = 2**53 - 1
_UTC = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def is_reference(value: Any) -> bool:
    """An id, or `#` and a creation id (RFC 8620 §5.3)."""
    return isinstance(value, str) and is_id(value.removeprefix("#"))


class Given:
    """The arguments of one call."""

    __slots__ = ("_arguments",)

    def __init__(self, arguments: Mapping[str, Any], *known: str) -> None:
        if not arguments.keys() <= {"accountId", *known}:
            raise invalid_arguments("An argument is unknown")
        self._arguments = arguments

    def has(self, name: str) -> bool:
        return self._arguments.get(name) is not None

    def text(self, name: str) -> str | None:
        value = self._arguments.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid_arguments(f"{name} is a string")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._arguments.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid_arguments(f"{name} is true or false")
        return value

    def number(self, name: str, default: int | None = None, *, lowest: int = 0) -> int | None:
        value = self._arguments.get(name)
        if value is None:
            return default
        found = whole(value, lowest)
        if found is None:
            raise invalid_arguments(f"{name} is a whole number from {lowest} on")
        return found

    def ids(self, name: str) -> list[str] | None:
        """Each once, in the order given."""
        value = self._arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(map(is_reference, cast("list[Any]", value))):
            raise invalid_arguments(f"{name} is an array of ids")
        return list(dict.fromkeys(cast("list[str]", value)))

    def id(self, name: str) -> str | None:
        value = self._arguments.get(name)
        if value is not None and not is_id(value):
            raise invalid_arguments(f"{name} is an id")
        return value

    def texts(self, name: str) -> list[str] | None:
        value = self._arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[Any]", value)):
            raise invalid_arguments(f"{name} is an array of strings")
        return list(dict.fromkeys(cast("list[str]", value)))

    def objects(self, name: str) -> dict[str, dict[str, Any]]:
        """An object of objects by id; nothing when it is null."""
        value = self._arguments.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            by_id = cast("dict[str, Any]", value)
            if all(is_reference(key) and isinstance(each, dict) for key, each in by_id.items()):
                return by_id
        raise invalid_arguments(f"{name} is an object of objects by id")

    def object(self, name: str) -> dict[str, Any] | None:
        value = self._arguments.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid_arguments(f"{name} is an object")
        return cast("dict[str, Any] | None", value)

    def array(self, name: str) -> list[Any]:
        value = self._arguments.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise invalid_arguments(f"{name} is an array")
        return cast("list[Any]", value)

    def properties(self, known: Sequence[str] | frozenset[str], name: str = "properties") -> list[str] | None:
        wanted = self.texts(name)
        if wanted is not None and not set(wanted) <= set(known):
            raise invalid_arguments(f"{name} names an unknown property")
        return wanted


def whole(value: Any, lowest: int = 0) -> int | None:
    """A whole number of JSON within I-JSON's range; 3.0 is one (RFC 8620 §1.3), true is not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if lowest <= value <= LARGEST else None


def utc_ms(value: Any) -> int | None:
    """Milliseconds of a UTCDate (RFC 8620 §1.4); None when it is none."""
    match = _UTC.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(match[1] + "+00:00")
    except ValueError:
        return None
    fraction = int((match[2] or "0")[:3].ljust(3, "0"))
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1) + fraction


def utc_text(ms: int) -> str:
    """A UTCDate, to the second."""
    return (_EPOCH + datetime.timedelta(seconds=ms // 1000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def within(count: int, most: int) -> None:
    if count > most:
        raise MethodError("requestTooLarge")
