"""From a filter to what the listings are asked: queries whose cards, together, are all that the filter may be true of.

What the queries find is then looked at one by one (`matching`): they may find more. One thing they do not find is a
substring in the middle of a word: `(sn=*artin)` finds no MARTIN, `(cn=*jean*)` finds Marie Jeanne.

Invariants: pure; `None` stands for "anybody", `()` for "nobody"; a conjunction asks for what each of its parts asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from directory.ldap import schema
from directory.ldap.entries import Tree
from directory.ldap.matching import address, plain
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
from directory.ldap.schema import Attribute
from directory.listings.interface import AddressMatch, Query
from directory.model import Kind

Plan = tuple[Query, ...] | None
MOST_QUERIES = 8
_ANYBODY: Plan = None
_NOBODY: Plan = ()
_BLANK = Query(typos=False, ranked=False)
_CLASSES = frozenset({"top", "person", "organizationalPerson", "inetOrgPerson", "vaguemestreMailbox"})
_NOBODY_HAS = frozenset({"dc", "employeeType", "createTimestamp", "creatorsName", "modifiersName"})
_JOINED = ("text", "family", "given", "organisation", "commune")  # fields that hold words


def plan(one: Filter, tree: Tree) -> Plan:
    match one:
        case And(inner):
            return _conjunction([plan(each, tree) for each in inner])
        case Or(inner):
            return _union([plan(each, tree) for each in inner])
        case Not():
            return _ANYBODY
        case Unrecognised() | GreaterOrEqual() | LessOrEqual():
            return _of_rarer(one)
        case Extensible():
            return _of_extensible(one, tree)
        case Present(description):
            return _of_presence(schema.attribute(description))
        case Equal(description, value) | Approx(description, value):
            text = value.decode("utf-8", "replace")
            found = _of_value(schema.attribute(description), text, tree, whole=True)
            if isinstance(one, Approx) and found:
                return tuple(replace(each, typos=True, ranked=True) for each in found)
            return found
        case Substrings():
            return _of_substrings(one, tree)


def together(plan: Sequence[Query]) -> Query | None:
    """One query instead of several that look for the same words in different fields, as mail programs ask.

    It finds all that they find, and perhaps more.
    """
    words: set[str] = set()
    for each in plan:
        held = [plain(text) for text in (each.text, each.family, each.given, each.address) if text]
        if len(held) != 1 or each != _only(each) or each.typos:
            return None
        words.add(held[0])
    return replace(_BLANK, text=words.pop(), kinds=plan[0].kinds) if len(words) == 1 else None


def _only(one: Query) -> Query:
    """The query without all that `together` does not look at."""
    kept = replace(_BLANK, text=one.text, family=one.family, given=one.given, kinds=one.kinds)
    if one.address:
        kept = replace(kept, address=one.address, address_match=one.address_match)
    return kept


def _conjunction(plans: Sequence[Plan]) -> Plan:
    found: Plan = _ANYBODY
    for each in sorted(plans, key=lambda one: MOST_QUERIES + 1 if one is None else len(one)):
        if each is None:
            continue
        if found is None or not each:
            found = each
        elif len(found) * len(each) <= MOST_QUERIES:
            found = tuple(_both(one, other) for one in found for other in each)
        # Else what is there already finds all that both find.
    return found


def _union(plans: Sequence[Plan]) -> Plan:
    found: dict[Query, None] = {}
    for each in plans:
        if each is None:
            return _ANYBODY
        found.update(dict.fromkeys(each))
    return tuple(found)


def _both(one: Query, other: Query) -> Query:
    changes: dict[str, object] = {"kinds": one.kinds & other.kinds}
    for name in _JOINED:
        mine, theirs = getattr(one, name), getattr(other, name)
        changes[name] = mine if mine == theirs else f"{mine} {theirs}".strip()
    for name in ("profession", "speciality", "department", "postcode", "national_id"):
        changes[name] = getattr(one, name) or getattr(other, name)
    exact = other if not one.address or other.address_match is AddressMatch.EXACT else one
    changes["address"], changes["address_match"] = exact.address, exact.address_match
    changes["typos"] = one.typos or other.typos
    changes["ranked"] = one.ranked or other.ranked
    return replace(one, **changes)  # pyright: ignore[reportArgumentType]


# ── items ──


def _of_rarer(one: Unrecognised | GreaterOrEqual | LessOrEqual) -> Plan:
    """Undefined of everybody, but for times."""
    if isinstance(one, Unrecognised):
        return _NOBODY
    attribute = schema.attribute(one.attribute)
    return _ANYBODY if attribute is not None and attribute.matching is schema.Matching.TIME else _NOBODY


def _of_extensible(one: Extensible, tree: Tree) -> Plan:
    if one.of_names:
        return _ANYBODY
    text = one.value.decode("utf-8", "replace")
    if one.attribute:
        return _of_value(schema.attribute(one.attribute), text, tree, whole=True)
    return _ANYBODY if schema.rule(one.rule) is not None else _NOBODY


def _of_presence(attribute: Attribute | None) -> Plan:
    if attribute is None or attribute not in schema.ATTRIBUTES or attribute.name in _NOBODY_HAS:
        return _NOBODY
    return _ANYBODY


def _of_substrings(one: Substrings, tree: Tree) -> Plan:
    attribute = schema.attribute(one.attribute)
    pieces = [piece.decode("utf-8", "replace") for piece in one.pieces]
    if attribute is None:
        return _NOBODY
    if attribute.name in ("mail", "uid"):
        return _of_address(one, pieces)
    return _of_value(attribute, " ".join(pieces), tree, whole=False)


def _of_address(one: Substrings, pieces: Sequence[str]) -> Plan:
    longest = max((address(piece) for piece in pieces), key=len)
    start = address(pieces[0]) if one.initial is not None else ""
    if start and ("@" in start or len(start) * 2 >= len(longest)):
        return (replace(_BLANK, address=start, address_match=AddressMatch.PREFIX),)
    # An address is looked for by the beginnings of its words; that its signs are there too is looked at later.
    return (
        (replace(_BLANK, address=longest, address_match=AddressMatch.CONTAINS),)
        if plain(longest)
        else _ANYBODY
    )


def _of_value(attribute: Attribute | None, text: str, tree: Tree, *, whole: bool) -> Plan:
    if attribute is None or attribute not in schema.ATTRIBUTES or attribute.name in _NOBODY_HAS:
        return _NOBODY
    if attribute.name in _EXACTLY:
        return _EXACTLY[attribute.name](text, tree) if whole else _ANYBODY
    field = _FIELDS.get(attribute.name)
    looked_for = plain(text)
    if field is None or not looked_for:
        return _ANYBODY
    return (replace(_BLANK, **{field: looked_for}),)  # pyright: ignore[reportArgumentType]


_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("name", "cn", "sn", "displayName", "title", "businessCategory", "ou", "description"), "text"
    ),
    "givenName": "text",
    "o": "organisation",
    "l": "commune",
    "postalCode": "postcode",
}
"""Where the words of a value are looked for. What is not here (a street, a country) narrows nothing."""


def _mail(text: str, _: Tree) -> Plan:
    return (replace(_BLANK, address=text.strip().lower(), address_match=AddressMatch.EXACT),)


def _class(text: str, _: Tree) -> Plan:
    return _ANYBODY if schema.class_name(text) in _CLASSES else _NOBODY


def _kind(text: str, _: Tree) -> Plan:
    return _ANYBODY if text.strip().upper() in Kind.__members__ else _NOBODY


def _dn(text: str, tree: Tree) -> Plan:
    try:
        found = tree.address_in(names.parsed(text))
    except names.BadName:
        return _NOBODY
    return _mail(found, tree) if found else _NOBODY


def _department(text: str, _: Tree) -> Plan:
    return (replace(_BLANK, department=text),) if text.strip() else _NOBODY


def _code(field: str) -> Callable[[str, Tree], Plan]:
    def of(text: str, _: Tree) -> Plan:
        return (replace(_BLANK, **{field: text.strip()}),) if text.strip() else _NOBODY  # pyright: ignore[reportArgumentType]

    return of


_EXACTLY: Mapping[str, Callable[[str, Tree], Plan]] = {
    "mail": _mail,
    "uid": _mail,
    "objectClass": _class,
    "structuralObjectClass": _class,
    "vaguemestreKind": _kind,
    "entryDN": _dn,
    "st": _department,
    "employeeNumber": _code("national_id"),
    "vaguemestreOrganisation": _code("organisation"),
    "vaguemestreProfession": _code("profession"),
    "vaguemestreSpeciality": _code("speciality"),
}
