"""National identifiers: what names a professional (idNat_PS) and a structure (idNat_Struct) among all registers.

A digit says which register (TRE_G08, TRE_G07), its number follows. Professionals: 8 RPPS, 0 ADELI. Structures:
1 FINESS, 2 SIREN, 3 SIRET, 4 the practice of an RPPS number and 0 of an ADELI number, by a rank of two or three digits.

Invariants: `parse_person` and `parse_structure` return or raise IdentifierRefused, for any text; what they return is
equal for one person, or one structure, however it was typed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from directory.identifiers.numbers import Adeli, Finess, Rpps, Siren, Siret, compact
from directory.identifiers.refused import IdentifierRefused

_TEST = "899700"  # people of the national provider's tests belong to nobody
_RANKS = (2, 3)  # digits


class Register(enum.StrEnum):
    RPPS = "RPPS"
    ADELI = "ADELI"
    FINESS = "FINESS"
    SIREN = "SIREN"
    SIRET = "SIRET"
    PRACTICE = "practice"  # of a professional


@dataclass(frozen=True, slots=True)
class PersonId:
    """idNat_PS. `value` is the whole, `number` what stands in the register."""

    register: Register
    number: str
    value: str

    @property
    def is_test(self) -> bool:
        return self.value.startswith(_TEST)


@dataclass(frozen=True, slots=True)
class StructureId:
    """idNat_Struct. `rank` is a practice's, behind the number of the professional."""

    register: Register
    number: str
    value: str
    rank: str = ""


def parse_person(text: str) -> PersonId:
    typed = compact(text)
    match typed[:1]:
        case "8":
            return PersonId(Register.RPPS, Rpps.parse(typed[1:]).number, typed)
        case "0":
            return PersonId(Register.ADELI, Adeli.parse(typed[1:]).number, typed)
        case _:
            raise IdentifierRefused("person-prefix")


def parse_structure(text: str) -> StructureId:
    typed = compact(text)
    match typed[:1]:
        case "1":
            return StructureId(Register.FINESS, Finess.parse(typed[1:]).number, typed)
        case "2":
            return StructureId(Register.SIREN, Siren.parse(typed[1:]).number, typed)
        case "3":
            return StructureId(Register.SIRET, Siret.parse(typed[1:]).number, typed)
        case "4":
            return _practice(typed, 11)
        case "0":
            return _practice(typed, 9)
        case _:
            raise IdentifierRefused("structure-prefix")


def person(register: Register, number: str) -> PersonId:
    """Of a number whose register is known."""
    return parse_person(("8" if register is Register.RPPS else "0") + number)


def _practice(typed: str, length: int) -> StructureId:
    number, rank = typed[1 : 1 + length], typed[1 + length :].removeprefix("-")
    found = Rpps.parse(number).number if length == 11 else Adeli.parse(number).number
    if len(rank) not in _RANKS or not (rank.isascii() and rank.isdigit()):
        raise IdentifierRefused("structure-rank")
    return StructureId(Register.PRACTICE, found, f"{typed[0]}{found}{rank}", rank)
