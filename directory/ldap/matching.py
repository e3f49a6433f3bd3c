"""Whether a filter is true of an entry (RFC 4511 §4.5.1.7), blind to case and accents.

True, False, or None for what is undefined: an attribute nobody knows, a rule it does not have, a value that is none of
its kind. An entry is found where the whole filter is True.

Invariants: pure; nothing is raised, whatever a filter holds; assertions are folded once, not for each entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rapidfuzz.distance import DamerauLevenshtein

from directory.ldap import schema
from directory.ldap.entries import Entry
from directory.ldap.protocol import names
from directory.ldap.protocol.filters import (
    And,
    Approx,
    Equal,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    Unrecognised,
)
from directory.ldap.schema import Attribute, Matching
from directory.search.departments import number_of
from directory.search.words import without_marks, words

Truth = bool | None
Predicate = Callable[[Entry], Truth]
_WRITTEN_OUT = {"st": "saint", "ste": "sainte"}
_TIME = re.compile(r"(\d{10})(\d{2})?(\d{2})?(?:[.,]\d+)?(Z|[+-]\d{2}(?:\d{2})?)")


def predicate(one: Filter) -> Predicate:
    match one:
        case And(inner):
            return _all([predicate(each) for each in inner])
        case Or(inner):
            return _any([predicate(each) for each in inner])
        case Not(inner):
            return _not(predicate(inner))
        case Present(attribute):
            return _present(attribute)
        case Equal(attribute, value):
            return _equal(attribute, value)
        case Substrings():
            return _substrings(one)
        case Approx(attribute, value):
            return _approx(attribute, value)
        case GreaterOrEqual(attribute, value):
            return _ordered(attribute, value, lambda held, asked: held >= asked)
        case LessOrEqual(attribute, value):
            return _ordered(attribute, value, lambda held, asked: held <= asked)
        case Extensible():
            return _extensible(one)
        case Unrecognised():
            return _undefined


def folded(matching: Matching, value: str) -> str | None:
    """What two values share that are equal; None: it is no value of that kind."""
    match matching:
        case Matching.TEXT:
            return plain(value)
        case Matching.ADDRESS:
            return address(value)
        case Matching.DEPARTMENT:
            return number_of(value).lower()
        case Matching.IDENTIFIER:
            # An object identifier and its name are the same.
            return (schema.class_name(value) or value).lower()
        case Matching.NAME:
            try:
                return str(names.Name(names.parsed(value).key))
            except names.BadName:
                return None
        case Matching.TIME:
            found = _TIME.fullmatch(value)
            return found[1] + (found[2] or "00") + (found[3] or "00") if found and found[4] == "Z" else None
        case Matching.EXACT:
            return value
        case Matching.BINARY:
            return None


def plain(text: str) -> str:
    """As words, with what the national files shorten written out."""
    return " ".join(_WRITTEN_OUT.get(one, one) for one in words(text))


def address(text: str) -> str:
    """An address, or a part of one: signs count, case and accents do not."""
    text = text.strip().lower()
    if text.isascii():
        return text
    return without_marks(text)


# ── logic ──


def _all(inner: list[Predicate]) -> Predicate:
    def holds(entry: Entry) -> Truth:
        found: Truth = True
        for each in inner:
            truth = each(entry)
            if truth is False:
                return False
            if truth is None:
                found = None
        return found

    return holds


def _any(inner: list[Predicate]) -> Predicate:
    def holds(entry: Entry) -> Truth:
        found: Truth = False
        for each in inner:
            truth = each(entry)
            if truth:
                return True
            if truth is None:
                found = None
        return found

    return holds


def _not(inner: Predicate) -> Predicate:
    def holds(entry: Entry) -> Truth:
        truth = inner(entry)
        return None if truth is None else not truth

    return holds


def _undefined(_: Entry) -> Truth:
    return None


# ── items ──


def _present(description: str) -> Predicate:
    attribute = schema.attribute(description)
    if attribute is None:
        return _undefined
    wanted = schema.with_subtypes(attribute)
    return lambda entry: any(entry.has(each) for each in wanted)


def _equal(description: str, value: bytes) -> Predicate:
    attribute = schema.attribute(description)
    return _undefined if attribute is None else _equals(attribute, attribute.matching, value)


def _equals(attribute: Attribute, matching: Matching, value: bytes) -> Predicate:
    asked = folded(matching, value.decode("utf-8", "replace"))
    if asked is None:
        return _undefined
    wanted = schema.with_subtypes(attribute)
    return lambda entry: any(folded(matching, held) == asked for held in _held(entry, wanted))


def _substrings(one: Substrings) -> Predicate:
    attribute = schema.attribute(one.attribute)
    if attribute is None or attribute.matching not in (Matching.TEXT, Matching.ADDRESS):
        return _undefined
    fold = plain if attribute.matching is Matching.TEXT else address
    pieces = [fold(piece.decode("utf-8", "replace")) for piece in one.pieces]
    first = 1 if one.initial is not None else 0
    last = len(pieces) - (1 if one.final is not None else 0)
    wanted = schema.with_subtypes(attribute)

    def found(held: str) -> bool:
        if first and not held.startswith(pieces[0]):
            return False
        at = len(pieces[0]) if first else 0
        for piece in pieces[first:last]:
            at = held.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return last == len(pieces) or (held.endswith(pieces[-1]) and len(held) - len(pieces[-1]) >= at)

    return lambda entry: any(found(fold(held)) for held in _held(entry, wanted))


def _approx(description: str, value: bytes) -> Predicate:
    """Each word begins one of the entry's, or is a typing error away from it."""
    attribute = schema.attribute(description)
    if attribute is None:
        return _undefined
    if attribute.matching is not Matching.TEXT:
        return _equals(attribute, attribute.matching, value)
    asked = plain(value.decode("utf-8", "replace")).split()
    wanted = schema.with_subtypes(attribute)

    def found(held: str) -> bool:
        there = plain(held).split()
        return all(any(_near(one, each) for each in there) for one in asked)

    return lambda entry: any(found(held) for held in _held(entry, wanted))


def _near(asked: str, held: str) -> bool:
    if held.startswith(asked):
        return True
    most = 0 if len(asked) < 4 else 1 if len(asked) < 8 else 2
    return most > 0 and DamerauLevenshtein.distance(asked, held, score_cutoff=most) <= most


def _ordered(description: str, value: bytes, holds: Callable[[str, str], bool]) -> Predicate:
    attribute = schema.attribute(description)
    # RFC 4519 gives names no ordering rule.
    if attribute is None or attribute.matching is not Matching.TIME:
        return _undefined
    asked = folded(Matching.TIME, value.decode("utf-8", "replace"))
    if asked is None:
        return _undefined
    wanted = schema.with_subtypes(attribute)

    def found(entry: Entry) -> Truth:
        times = (folded(Matching.TIME, held) for held in _held(entry, wanted))
        return any(time is not None and holds(time, asked) for time in times)

    return found


def _extensible(one: Extensible) -> Predicate:
    attribute = schema.attribute(one.attribute) if one.attribute else None
    if one.attribute and attribute is None:
        return _undefined
    matching = schema.rule(one.rule) if one.rule else attribute.matching if attribute else None
    if matching is None:
        return _undefined
    of_entry = _equals(attribute, matching, one.value) if attribute else _equals_anywhere(matching, one.value)
    if not one.of_names:
        return of_entry
    asked = folded(matching, one.value.decode("utf-8", "replace"))

    def of_name(entry: Entry) -> Truth:
        for part in entry.name.parts:
            for kind, value in part:
                named = schema.attribute(kind)
                if (attribute is None or named == attribute) and folded(matching, value) == asked:
                    return True
        return False

    return of_entry if asked is None else _any([of_entry, of_name])


def _equals_anywhere(matching: Matching, value: bytes) -> Predicate:
    """RFC 4511 §4.5.1.7.7: a rule without an attribute asks all whose values it compares."""
    found = [
        _equals(each, matching, value)
        for each in schema.ATTRIBUTES
        if each.matching is matching and not each.operational
    ]
    return _any(found) if found else _undefined


def _held(entry: Entry, wanted: tuple[Attribute, ...]) -> Iterator[str]:
    for each in wanted:
        yield from entry.of(each)
