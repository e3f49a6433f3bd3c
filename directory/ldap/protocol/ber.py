"""BER as LDAP uses it (RFC 4511 §5.1): definite lengths, one-octet tags, primitive strings.

Invariants: nothing but `Undecodable` is raised, whatever the octets; no value is copied before its length was checked
against what contains it; depth is the callers', who never descend without bound.
"""

from __future__ import annotations

from collections.abc import Iterable

SEQUENCE, SET = 0x30, 0x31
BOOLEAN, INTEGER, OCTET_STRING, ENUMERATED = 0x01, 0x02, 0x04, 0x0A
LARGEST_INTEGER = 2_147_483_647  # RFC 4511 §4.1.1: maxInt
_HIGH_TAG = 0x1F


class Undecodable(Exception):
    """The encoding is wrong: where one value ends and the next begins is not known any more."""


def header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, and where the contents of the value at `at` begin and end."""
    if at + 2 > end:
        raise Undecodable("a value is cut short")
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise Undecodable("a tag of several octets")
    if length >= 0x80:
        octets = length & 0x7F
        # RFC 4511 §5.1: only the definite form; four octets of it say more than a message may hold.
        if not 0 < octets <= 4:
            raise Undecodable("a length of no definite form")
        if at + octets > end:
            raise Undecodable("a length is cut short")
        length = int.from_bytes(data[at : at + octets], "big")
        at += octets
    if length > end - at:
        raise Undecodable("a value is longer than what contains it")
    return tag, at, at + length


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, stop = header(data, at, end)
    if found != tag:
        raise Undecodable(f"tag {found:#04x} where {tag:#04x} belongs")
    return start, stop


def integer(data: bytes, start: int, stop: int) -> int:
    """Contents of an INTEGER or ENUMERATED that fits 32 bits."""
    if not 1 <= stop - start <= 5:
        raise Undecodable("an integer of no or too many octets")
    return int.from_bytes(data[start:stop], "big", signed=True)


def boolean(data: bytes, start: int, stop: int) -> bool:
    if stop - start != 1:
        raise Undecodable("a boolean of no or many octets")
    return data[start] != 0


def message_length(buffer: bytes | bytearray, largest: int) -> int | None:
    """Octets of the message that the buffer begins with, known from its first ones; None: wait for more."""
    if not buffer:
        return None
    if buffer[0] != SEQUENCE:
        raise Undecodable("no message begins here")
    if len(buffer) < 2:
        return None
    length = buffer[1]
    if length < 0x80:
        return 2 + length
    octets = length & 0x7F
    if not 0 < octets <= 4:
        raise Undecodable("a length of no definite form")
    if len(buffer) < 2 + octets:
        return None
    length = int.from_bytes(buffer[2 : 2 + octets], "big")
    if length > largest:
        raise Undecodable("a message of more octets than are taken")
    return 2 + octets + length


# ── writing ──


def value(tag: int, contents: bytes) -> bytes:
    length = len(contents)
    if length < 0x80:
        return bytes((tag, length)) + contents
    if length < 0x100:
        return bytes((tag, 0x81, length)) + contents
    if length < 0x10000:
        return bytes((tag, 0x82, length >> 8, length & 0xFF)) + contents
    return bytes((tag, 0x84)) + length.to_bytes(4, "big") + contents


def sequence(parts: Iterable[bytes], tag: int = SEQUENCE) -> bytes:
    return value(tag, b"".join(parts))


def octets(contents: bytes, tag: int = OCTET_STRING) -> bytes:
    return value(tag, contents)


def number(of: int, tag: int = INTEGER) -> bytes:
    return value(tag, of.to_bytes((of.bit_length() >> 3) + 1, "big", signed=True))


def truth(of: bool, tag: int = BOOLEAN) -> bytes:
    return bytes((tag, 1, 0xFF if of else 0))
