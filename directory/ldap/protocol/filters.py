"""Search filters (RFC 4511 §4.5.1.7): values, their encoding, and their text (RFC 4515) for people.

Invariants: at most `DEEPEST` levels and `MOST_ITEMS` items are taken, else `FilterRefused`; a choice from a later
version of the protocol is `Unrecognised`, which is neither true nor false of anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from directory.ldap.protocol import ber
from directory.ldap.protocol.ber import Undecodable

DEEPEST = 32
MOST_ITEMS = 256
_CONTEXT = 0xC0
_AND, _OR, _NOT, _EQUAL, _SUBSTRINGS, _GREATER, _LESS, _PRESENT, _APPROX, _EXTENSIBLE = (
    *(0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0xA8, 0xA9),
)


class FilterRefused(Exception):
    """Well encoded, and more than is taken."""


@dataclass(frozen=True, slots=True)
class And:
    filters: tuple[Filter, ...]  # none: true of everything (RFC 4526)


@dataclass(frozen=True, slots=True)
class Or:
    filters: tuple[Filter, ...]  # none: true of nothing


@dataclass(frozen=True, slots=True)
class Not:
    filter: Filter


@dataclass(frozen=True, slots=True)
class Equal:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Substrings:
    attribute: str
    initial: bytes | None
    anywhere: tuple[bytes, ...]
    final: bytes | None

    @property
    def pieces(self) -> Iterator[bytes]:
        if self.initial is not None:
            yield self.initial
        yield from self.anywhere
        if self.final is not None:
            yield self.final


@dataclass(frozen=True, slots=True)
class GreaterOrEqual:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class LessOrEqual:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True)
class Approx:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Extensible:
    rule: str  # "" where the attribute's own is meant
    attribute: str  # "" where every attribute is meant that the rule serves
    value: bytes
    of_names: bool = False  # also the attributes of the entry's DN


@dataclass(frozen=True, slots=True)
class Unrecognised:
    choice: int


Filter = (
    And
    | Or
    | Not
    | Equal
    | Substrings
    | GreaterOrEqual
    | LessOrEqual
    | Present
    | Approx
    | Extensible
    | Unrecognised
)


# ── reading ──


def decoded(data: bytes, at: int, end: int) -> tuple[Filter, int]:
    """The filter at `at`, and where it ends."""
    return _Reader(data).read(at, end, 1)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0

    def read(self, at: int, end: int, depth: int) -> tuple[Filter, int]:
        data = self._data
        tag, start, stop = ber.header(data, at, end)
        self._items += 1
        if depth > DEEPEST:
            raise FilterRefused("the filter is nested too deeply")
        if self._items > MOST_ITEMS:
            raise FilterRefused("the filter has too many items")
        if tag == _EQUAL:
            return Equal(*self._assertion(start, stop)), stop
        if tag == _SUBSTRINGS:
            return self._substrings(start, stop), stop
        if tag in (_AND, _OR):
            inner: list[Filter] = []
            while start < stop:
                one, start = self.read(start, stop, depth + 1)
                inner.append(one)
            return (And if tag == _AND else Or)(tuple(inner)), stop
        if tag == _PRESENT:
            return Present(text(data, start, stop)), stop
        if tag == _NOT:
            one, after = self.read(start, stop, depth + 1)
            if after != stop:
                raise Undecodable("more than one filter under not")
            return Not(one), stop
        return self._rarer(tag, start, stop), stop

    def _rarer(self, tag: int, start: int, stop: int) -> Filter:
        if tag == _APPROX:
            return Approx(*self._assertion(start, stop))
        if tag == _GREATER:
            return GreaterOrEqual(*self._assertion(start, stop))
        if tag == _LESS:
            return LessOrEqual(*self._assertion(start, stop))
        if tag == _EXTENSIBLE:
            return self._extensible(start, stop)
        if tag & _CONTEXT != 0x80:
            raise Undecodable("no filter where one belongs")
        if tag & 0x1F < 10:
            raise Undecodable("a filter neither simple nor made up as its kind is")
        # RFC 4511 §4.5.1.7: a choice we do not know evaluates to Undefined.
        return Unrecognised(tag & 0x1F)

    def _assertion(self, start: int, stop: int) -> tuple[str, bytes]:
        data = self._data
        begin, end = ber.expect(data, start, stop, ber.OCTET_STRING)
        attribute = text(data, begin, end)
        begin, end = ber.expect(data, end, stop, ber.OCTET_STRING)
        if end != stop:
            raise Undecodable("an assertion with more than a value")
        return attribute, data[begin:end]

    def _substrings(self, start: int, stop: int) -> Substrings:
        data = self._data
        begin, end = ber.expect(data, start, stop, ber.OCTET_STRING)
        attribute = text(data, begin, end)
        at, last = ber.expect(data, end, stop, ber.SEQUENCE)
        initial: bytes | None = None
        final: bytes | None = None
        anywhere: list[bytes] = []
        while at < last:
            tag, begin, at = ber.header(data, at, last)
            self._items += 1
            if tag == 0x80 and initial is None and not anywhere and final is None:
                initial = data[begin:at]
            elif tag == 0x81 and final is None:
                anywhere.append(data[begin:at])
            elif tag == 0x82 and final is None:
                final = data[begin:at]
            else:
                raise Undecodable("substrings out of their order")
        if last != stop or (initial is None and not anywhere and final is None):
            raise Undecodable("substrings of nothing, or with more behind them")
        if self._items > MOST_ITEMS:
            raise FilterRefused("the filter has too many items")
        return Substrings(attribute, initial, tuple(anywhere), final)

    def _extensible(self, start: int, stop: int) -> Extensible:
        data, rule, attribute, of_names = self._data, "", "", False
        value: bytes | None = None
        highest = 0x80
        while start < stop:
            tag, begin, start = ber.header(data, start, stop)
            if tag <= highest:
                raise Undecodable("parts of an extensible match out of their order")
            highest = tag
            if tag == 0x81:
                rule = text(data, begin, start)
            elif tag == 0x82:
                attribute = text(data, begin, start)
            elif tag == 0x83:
                value = data[begin:start]
            elif tag == 0x84:
                of_names = ber.boolean(data, begin, start)
        if value is None:
            raise Undecodable("an extensible match of nothing")
        return Extensible(rule, attribute, value, of_names)


def text(data: bytes, start: int, stop: int) -> str:
    """A name as the client wrote it. What is no UTF-8 names nothing we know: it keeps a mark in its place."""
    return data[start:stop].decode("utf-8", "replace")


# ── writing ──


def encoded(one: Filter) -> bytes:
    match one:
        case And(inner) | Or(inner):
            return ber.sequence(map(encoded, inner), _AND if isinstance(one, And) else _OR)
        case Not(inner):
            return ber.value(_NOT, encoded(inner))
        case Equal(attribute, value):
            return _assertion(_EQUAL, attribute, value)
        case GreaterOrEqual(attribute, value):
            return _assertion(_GREATER, attribute, value)
        case LessOrEqual(attribute, value):
            return _assertion(_LESS, attribute, value)
        case Approx(attribute, value):
            return _assertion(_APPROX, attribute, value)
        case Present(attribute):
            return ber.octets(attribute.encode(), _PRESENT)
        case Substrings():
            return _substrings(one)
        case Extensible():
            return _extensible(one)
        case Unrecognised(choice):
            return ber.value(0x80 | choice, b"")


def _assertion(tag: int, attribute: str, value: bytes) -> bytes:
    return ber.value(tag, ber.octets(attribute.encode()) + ber.octets(value))


def _substrings(one: Substrings) -> bytes:
    pieces = [] if one.initial is None else [ber.octets(one.initial, 0x80)]
    pieces += [ber.octets(piece, 0x81) for piece in one.anywhere]
    if one.final is not None:
        pieces.append(ber.octets(one.final, 0x82))
    return ber.value(_SUBSTRINGS, ber.octets(one.attribute.encode()) + ber.sequence(pieces))


def _extensible(one: Extensible) -> bytes:
    parts: list[bytes] = []
    if one.rule:
        parts.append(ber.octets(one.rule.encode(), 0x81))
    if one.attribute:
        parts.append(ber.octets(one.attribute.encode(), 0x82))
    parts.append(ber.octets(one.value, 0x83))
    if one.of_names:
        parts.append(ber.truth(True, 0x84))
    return ber.sequence(parts, _EXTENSIBLE)


def shape(one: Filter) -> str:
    """RFC 4515's form without what was looked for: what a log may hold."""
    match one:
        case And(inner) | Or(inner):
            return f"({'&' if isinstance(one, And) else '|'}{''.join(map(shape, inner))})"
        case Not(inner):
            return f"(!{shape(inner)})"
        case Substrings():
            return f"({_name(one.attribute)}=*?*)"
        case Present(attribute):
            return f"({_name(attribute)}=*)"
        case Equal(attribute):
            return f"({_name(attribute)}=?)"
        case GreaterOrEqual(attribute):
            return f"({_name(attribute)}>=?)"
        case LessOrEqual(attribute):
            return f"({_name(attribute)}<=?)"
        case Approx(attribute):
            return f"({_name(attribute)}~=?)"
        case Extensible():
            return f"({_name(one.attribute)}:{_name(one.rule)}:=?)"
        case Unrecognised(choice):
            return f"([{choice}])"


def _name(attribute: str) -> str:
    return "".join(each for each in attribute[:64] if each.isascii() and (each.isalnum() or each in "-.;"))
