"""What a client asks (RFC 4511 §4), as values, read from their encoding.

Invariants: `Undecodable` where the encoding is wrong, `RequestRefused` where it is right and says what cannot be done
(the session goes on); nothing else is raised. Passwords are in no repr.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from directory.ldap.protocol import ber, filters
from directory.ldap.protocol.ber import Undecodable
from directory.ldap.protocol.codes import ResultCode
from directory.ldap.protocol.filters import Filter, FilterRefused

MOST_ATTRIBUTES = 256
MOST_CONTROLS = 16

BIND, UNBIND, SEARCH, MODIFY, ADD, DELETE, RENAME, COMPARE, ABANDON, EXTENDED = (
    *(0x60, 0x42, 0x63, 0x66, 0x68, 0x4A, 0x6C, 0x6E, 0x50, 0x77),
)
ANSWERS = {BIND: 0x61, SEARCH: 0x65, MODIFY: 0x67, ADD: 0x69, DELETE: 0x6B, RENAME: 0x6D, COMPARE: 0x6F}
"""Tags of requests, and of what answers them; an extended request's is 0x78. Two are never answered."""
EXTENDED_ANSWER = 0x78


class RequestRefused(Exception):
    def __init__(self, code: ResultCode, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Scope(enum.IntEnum):
    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True)
class Control:
    kind: str
    critical: bool = False
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Simple:
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sasl:
    mechanism: str
    credentials: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bind:
    name: str = field(repr=False)
    authentication: Simple | Sasl


@dataclass(frozen=True, slots=True)
class Unbind:
    pass


@dataclass(frozen=True, slots=True)
class Search:
    base: str
    scope: Scope
    size_limit: int
    time_limit: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    entry: str
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """Add, delete, modify, rename: read no further, for nothing is changed here."""


@dataclass(frozen=True, slots=True)
class Abandon:
    operation: int


@dataclass(frozen=True, slots=True)
class Extended:
    name: str
    value: bytes | None = field(repr=False)


Request = Bind | Unbind | Search | Compare | Change | Abandon | Extended


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message whose parts are told apart, and not read yet."""

    message_id: int
    tag: int
    start: int
    stop: int
    controls: tuple[Control, ...]


def opened(data: bytes) -> Envelope:
    """RFC 4511 §4.1.1. `data` is one whole message."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    if end != len(data):
        raise Undecodable("something behind the message")
    begin, at = ber.expect(data, at, end, ber.INTEGER)
    message_id = ber.integer(data, begin, at)
    # RFC 4511 §4.1.1.1: zero is the server's own, for what nobody asked.
    if not 0 < message_id <= ber.LARGEST_INTEGER:
        raise Undecodable("a message of no number")
    tag, start, stop = ber.header(data, at, end)
    controls: tuple[Control, ...] = ()
    if stop < end:
        kind, begin, last = ber.header(data, stop, end)
        # RFC 4511 §4: trailing parts that are not known are passed over.
        if kind == 0xA0:
            controls = _controls(data, begin, last)
    return Envelope(message_id, tag, start, stop, controls)


def request(data: bytes, envelope: Envelope) -> Request:
    tag, start, stop = envelope.tag, envelope.start, envelope.stop
    match tag:
        case 0x63:
            return _search(data, start, stop)
        case 0x50:
            return Abandon(ber.integer(data, start, stop))
        case 0x60:
            return _bind(data, start, stop)
        case 0x42:
            return Unbind()
        case 0x77:
            return _extended(data, start, stop)
        case 0x6E:
            return _compare(data, start, stop)
        case 0x66 | 0x68 | 0x4A | 0x6C:
            return Change()
        case _:
            raise Undecodable("no request is tagged so")


def _bind(data: bytes, start: int, stop: int) -> Bind:
    begin, at = ber.expect(data, start, stop, ber.INTEGER)
    version = ber.integer(data, begin, at)
    begin, at = ber.expect(data, at, stop, ber.OCTET_STRING)
    name = data[begin:at]
    tag, begin, at = ber.header(data, at, stop)
    # RFC 4511 §4.2: said in a bind response, so that the client can ask for version 3.
    if version != 3:
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "only version 3 is spoken here")
    if tag == 0x80:
        return Bind(_utf8(name), Simple(data[begin:at]))
    if tag == 0xA3:
        first, last = ber.expect(data, begin, at, ber.OCTET_STRING)
        mechanism = _utf8(data[first:last])
        credentials = None
        if last < at:
            begin, _ = ber.expect(data, last, at, ber.OCTET_STRING)
            credentials = data[begin:at]
        return Bind(_utf8(name), Sasl(mechanism.upper(), credentials))
    raise RequestRefused(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "this way to log in is not known here")


def _search(data: bytes, start: int, stop: int) -> Search:
    begin, at = ber.expect(data, start, stop, ber.OCTET_STRING)
    base = data[begin:at]
    begin, at = ber.expect(data, at, stop, ber.ENUMERATED)
    scope = ber.integer(data, begin, at)
    begin, at = ber.expect(data, at, stop, ber.ENUMERATED)
    dereferencing = ber.integer(data, begin, at)
    begin, at = ber.expect(data, at, stop, ber.INTEGER)
    size = ber.integer(data, begin, at)
    begin, at = ber.expect(data, at, stop, ber.INTEGER)
    seconds = ber.integer(data, begin, at)
    begin, at = ber.expect(data, at, stop, ber.BOOLEAN)
    types_only = ber.boolean(data, begin, at)
    try:
        what, at = filters.decoded(data, at, stop)
    except FilterRefused as refused:
        raise RequestRefused(ResultCode.ADMIN_LIMIT_EXCEEDED, str(refused)) from None
    begin, last = ber.expect(data, at, stop, ber.SEQUENCE)
    attributes: list[str] = []
    while begin < last:
        first, begin = ber.expect(data, begin, last, ber.OCTET_STRING)
        if len(attributes) == MOST_ATTRIBUTES:
            raise RequestRefused(ResultCode.ADMIN_LIMIT_EXCEEDED, "too many attributes are asked for")
        attributes.append(filters.text(data, first, begin))
    if scope not in (0, 1, 2) or not 0 <= dereferencing <= 3:
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "this scope or dereferencing is not known")
    if not (0 <= size <= ber.LARGEST_INTEGER and 0 <= seconds <= ber.LARGEST_INTEGER):
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "a limit out of its bounds")
    return Search(_utf8(base), Scope(scope), size, seconds, types_only, what, tuple(attributes))


def _compare(data: bytes, start: int, stop: int) -> Compare:
    begin, at = ber.expect(data, start, stop, ber.OCTET_STRING)
    name = data[begin:at]
    at, last = ber.expect(data, at, stop, ber.SEQUENCE)
    begin, at = ber.expect(data, at, last, ber.OCTET_STRING)
    attribute = filters.text(data, begin, at)
    begin, at = ber.expect(data, at, last, ber.OCTET_STRING)
    return Compare(_utf8(name), attribute, data[begin:at])


def _extended(data: bytes, start: int, stop: int) -> Extended:
    begin, at = ber.expect(data, start, stop, 0x80)
    name = filters.text(data, begin, at)
    value = None
    if at < stop:
        tag, begin, at = ber.header(data, at, stop)
        if tag == 0x81:
            value = data[begin:at]
    return Extended(name, value)


def _controls(data: bytes, start: int, stop: int) -> tuple[Control, ...]:
    found: list[Control] = []
    while start < stop:
        at, last = ber.expect(data, start, stop, ber.SEQUENCE)
        if len(found) == MOST_CONTROLS:
            raise Undecodable("too many controls")
        begin, at = ber.expect(data, at, last, ber.OCTET_STRING)
        kind, critical, value = filters.text(data, begin, at), False, None
        if at < last and data[at] == ber.BOOLEAN:
            begin, at = ber.expect(data, at, last, ber.BOOLEAN)
            critical = ber.boolean(data, begin, at)
        if at < last and data[at] == ber.OCTET_STRING:
            begin, at = ber.expect(data, at, last, ber.OCTET_STRING)
            value = data[begin:at]
        found.append(Control(kind, critical, value))
        start = last
    return tuple(found)


def _utf8(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "a name that is no UTF-8") from None
