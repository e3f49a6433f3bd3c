"""What is told of a mailbox of each kind: its fields, which may change, and the name its letters carry.

The matrix of fields is the directory's (reference/mssante.md §3.1, row 25): address and kind are the account's and
never change; the rest may. The display name is ECO.2.2.7's (row 24).

Invariants: pure; a profile holds only fields of its kind; identifiers have their form and check digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from directory.identifiers.national import PersonId, StructureId, parse_person, parse_structure
from directory.identifiers.refused import IdentifierRefused
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Kind

_LONGEST = 120
_RANKS = range(1, 100)
_YES = {"yes": True, "oui": True, "true": True, "no": False, "non": False, "false": False}


@dataclass(frozen=True, slots=True)
class Profile:
    """One mailbox as a directory would list it. Names are `mailbox-mss` metadata's, in English."""

    title: str = ""  # PER: civility or title of exercise, "Dr"
    given_name: str = ""
    family_name: str = ""
    entity: str = ""  # PER: where they practise
    description: str = ""  # ORG, APP, CAB
    service: str = ""  # ORG, APP: the functional entity
    responsible: str = ""  # ORG, APP: who answers for it; never public
    id_pp: tuple[str, ...] = ()  # CAB: idNat_PS of the responsible practitioner, then of the co-holders
    id_nat_struct: str = ""  # ORG, APP
    rank: int = 1  # among the mailboxes of one holder; 1 is preferred
    red_list: bool = False  # not shown in open searches; letters still arrive


FIELDS_OF: Mapping[Kind, frozenset[str]] = {
    Kind.PER: frozenset({"title", "given_name", "family_name", "entity", "rank", "red_list"}),
    Kind.ORG: frozenset({"description", "service", "responsible", "id_nat_struct", "rank", "red_list"}),
    Kind.APP: frozenset({"description", "service", "responsible", "id_nat_struct", "rank", "red_list"}),
    Kind.CAB: frozenset({"description", "id_pp", "rank", "red_list"}),
    Kind.PATIENT: frozenset(),  # no patient is listed anywhere
}
NEVER_CHANGE = frozenset({"address", "kind"})
NAMES = tuple(field.name for field in fields(Profile))


def changed(profile: Profile, kind: Kind, given: Mapping[str, str]) -> Profile:
    """The profile with these fields as typed by an administrator. Raises AccountError, with nothing changed."""
    values: dict[str, object] = {}
    for name, typed in given.items():
        if name in NEVER_CHANGE:
            raise AccountError("field-immutable", f"The {name} of an account never changes.")
        if name not in FIELDS_OF[kind]:
            raise AccountError(
                "field-of-another-kind", f"Accounts of kind {kind.value} have no field {name[:40]!r}."
            )
        values[name] = _READERS[name](typed) if name in _READERS else _text(typed)
    return replace(profile, **values)  # type: ignore[arg-type]  # each reader gives its field's type


def display_name(profile: Profile, kind: Kind) -> str:
    """What stands before the address in From; "" when nothing is known.

    ECO.2.2.7: a person is title, given name, family name in capitals, entity, joined by underscores, title and
    entity where known; a service or software is its functional entity.
    """
    if kind is Kind.PER:
        if not (profile.given_name and profile.family_name):
            return ""
        parts = (profile.title, profile.given_name, profile.family_name.upper(), profile.entity)
        return "_".join(part for part in parts if part)
    return profile.service or profile.description


def _text(typed: str) -> str:
    text = " ".join(typed.split())
    if len(text) > _LONGEST or not text.isprintable():
        raise AccountError("field-refused", f"A field is one line of at most {_LONGEST} characters.")
    return text


def _rank(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and len(typed) < 3 and int(typed) in _RANKS):
        raise AccountError("field-refused", "A rank is a number from 1 (preferred) to 99.")
    return int(typed)


def _red_list(typed: str) -> bool:
    if (found := _YES.get(typed.strip().lower())) is None:
        raise AccountError("field-refused", "Say yes or no.")
    return found


def _people(typed: str) -> tuple[str, ...]:
    found = [_identifier(one, parse_person) for one in re.split(r"[,;]", typed) if one.strip()]
    return tuple(dict.fromkeys(found))


def _structure(typed: str) -> str:
    return _identifier(typed, parse_structure) if typed.strip() else ""


def _identifier(typed: str, parse: Callable[[str], PersonId | StructureId]) -> str:
    try:
        return parse(typed).value
    except IdentifierRefused as wrong:
        raise AccountError("identifier-refused", wrong.en) from None


_READERS = {"rank": _rank, "red_list": _red_list, "id_pp": _people, "id_nat_struct": _structure}
