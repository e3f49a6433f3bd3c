"""A line as fields, and what fields have in common in both files.

Invariants: `fields_of` gives as many fields as the header has columns, or raises LineWrong; no field holds a control
character, nor one that turns the order of writing; identifiers are right or the line is wrong, with the exact reason.
"""

from __future__ import annotations

import functools
import re

from directory.identifiers.luhn import luhn_holds
from directory.identifiers.national import parse_person, parse_structure
from directory.identifiers.numbers import Finess, Siren, Siret
from directory.identifiers.refused import IdentifierRefused
from directory.imports.source import LONGEST_LINE
from directory.imports.wrong import LineWrong
from directory.model import Coded

_LONGEST = 500  # characters; what is listed goes into every answer and index as it is
_CONTROLS = bytes(one for one in range(32)) + b"\x7f"
# C1 controls, line and paragraph separators, marks that turn writing round.
_TURNING = re.compile("[\u0080-\u009f\u2028-\u202e\u2066-\u2069\ufeff]")
_TITLES = {"dr": "Dr", "docteur": "Dr", "pr": "Pr", "professeur": "Pr"}
_CIVILITIES = {
    "m": "M.",
    "monsieur": "M.",
    "mme": "Mme",
    "madame": "Mme",
    "mlle": "Mme",
    "mademoiselle": "Mme",
}
_FINESS, _SIREN, _SIRET = ("1", "finess"), ("2", "siren"), ("3", "siret")


def fields_of(line: bytes, count: int) -> list[str]:
    if len(line) > LONGEST_LINE:
        raise LineWrong("", f"line longer than {LONGEST_LINE} octets")
    if line.translate(None, _CONTROLS) != line:
        raise LineWrong("", "control character")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise LineWrong("", "not UTF-8") from None
    if len(text) != len(line) and _TURNING.search(text):
        raise LineWrong("", "control character")
    fields = text.split("|")
    if len(fields) == count + 1 and not fields[-1]:
        fields.pop()  # the line ends with a separator
    if len(fields) != count:
        raise LineWrong("", f"{len(fields)} columns in place of {count}")
    if len(line) > _LONGEST and max(map(len, fields)) > _LONGEST:
        raise LineWrong("", f"a value of more than {_LONGEST} characters")
    if "| " in text or " |" in text:
        return [one.strip() for one in fields]
    return fields


def shaped(line: bytes, count: int) -> list[str] | None:
    """The fields of a wrong line that has as many as it should, so that each stands where it belongs."""
    parts = line[:LONGEST_LINE].decode("utf-8", "replace").split("|")
    if len(parts) == count + 1 and not parts[-1].strip():
        parts.pop()
    return [one.strip() for one in parts] if len(parts) == count else None


def person_id(value: str, column: str) -> str:
    if len(value) == 12 and value[0] == "8" and value.isascii() and value.isdigit() and luhn_holds(value[1:]):
        return value
    try:
        return parse_person(value).value
    except IdentifierRefused as wrong:
        raise LineWrong(column, wrong.reason, wrong.en) from None


def structure_id(kind: str, number: str, column: str) -> str:
    """`kind` as the files write it: a code of TRE_G07, or its words."""
    found, *wrong = _structure(kind, number)
    if wrong:
        raise LineWrong(column, *wrong)
    return found


def finess(value: str, column: str) -> str:
    return _register("finess", value, column)


def siret(value: str, column: str) -> str:
    return _register("siret", value, column)


def siren(value: str, column: str) -> str:
    return _register("siren", value, column)


@functools.lru_cache(maxsize=4096)
def coded(code: str, label: str) -> Coded:
    return Coded(code, label)


@functools.lru_cache(maxsize=1024)
def title_of(*words: str) -> str:
    """ "Dr" of "DR", "Docteur"; a title before a civility; "" of what is neither."""
    plain = [one.strip(" .").lower() for one in words]
    found = [_TITLES[one] for one in plain if one in _TITLES]
    return next(iter([*found, *(_CIVILITIES[one] for one in plain if one in _CIVILITIES)]), "")


@functools.lru_cache(maxsize=65_536)
def _structure(kind: str, number: str) -> tuple[str] | tuple[str, str, str]:
    """The identifier, or "" and why it is none."""
    lowered = kind.strip().lower()
    prefix = next(
        (code for code, word in (_FINESS, _SIREN, _SIRET) if lowered == code or lowered.startswith(word)), ""
    )
    if not prefix and lowered[:1] in ("0", "4"):
        prefix = lowered[:1]
    try:
        return (parse_structure(prefix + number).value,)
    except IdentifierRefused as wrong:
        first = wrong.reason, wrong.en
    try:  # some files write the whole identifier
        return (parse_structure(number).value,)
    except IdentifierRefused:
        return "", *first


@functools.lru_cache(maxsize=65_536)
def _checked(name: str, value: str) -> tuple[str] | tuple[str, str, str]:
    try:
        return ({"finess": Finess, "siren": Siren, "siret": Siret}[name].parse(value).number,)
    except IdentifierRefused as wrong:
        return "", wrong.reason, wrong.en


def _register(name: str, value: str, column: str) -> str:
    if not value:
        return ""
    found, *wrong = _checked(name, value)
    if wrong:
        raise LineWrong(column, *wrong)
    return found
