"""A strict reader of IMAP parenthesised lists, so that a rendering that is not well-formed IMAP fails its test."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

_ATOM = re.compile(rb"NIL|\d+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def _value(data: bytes, at: int) -> tuple[Any, int]:
    if data[at : at + 1] == b"(":
        items: list[Any] = []
        at += 1
        while data[at : at + 1] != b")":
            if data[at : at + 1] == b" ":
                at += 1
            item, at = _value(data, at)
            items.append(item)
        return items, at + 1
    if match := _QUOTED.match(data, at):
        return re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
    if match := _LITERAL.match(data, at):
        end = match.end() + int(match[1])
        text = data[match.end() : end]
        assert len(text) == int(match[1])
        assert b"\0" not in text
        return text, end
    match = _ATOM.match(data, at)
    assert match, f"not IMAP at {at}"
    return (None if match[0] == b"NIL" else int(match[0])), match.end()


@pytest.fixture(scope="session")
def imap() -> Callable[[bytes], Any]:
    """Nested lists of bytes, int and None from the text of a parenthesised list."""

    def read(data: bytes) -> Any:
        value, end = _value(data, 0)
        assert end == len(data), "something follows the list"
        return value

    return read


@pytest.fixture(scope="session")
def crlf() -> Callable[[str], bytes]:
    """A message written in a test as text, with the line ends of mail."""
    return lambda text: text.replace("\n", "\r\n").encode()
