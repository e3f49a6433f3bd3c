"""Numbers of registers: RPPS and ADELI of professionals; FINESS, SIREN and SIRET of structures.

RPPS: 11 digits, FINESS and SIREN: 9, SIRET: 14, the last by Luhn. ADELI: 9 characters, no check digit known. The
first two characters of an ADELI or FINESS number are a department: 2A and 2B in Corsica; there the check digit of a
FINESS number is not checked, since how a letter counts is told nowhere. A SIRET of La Poste (SIREN 356000000) has a
sum of digits that is a multiple of five, in place of Luhn (INSEE).

Invariants: each `parse` returns or raises IdentifierRefused, for any text, and gives one spelling: no spaces, capitals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from directory.identifiers.luhn import luhn_holds
from directory.identifiers.refused import IdentifierRefused

LONGEST = 40  # as typed: its characters and spaces between them fit many times
_LA_POSTE = "356000000"
_NIC = 5  # digits of a SIRET behind its SIREN
_DEPARTMENT = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]*")


@dataclass(frozen=True, slots=True)
class Rpps:
    number: str

    @classmethod
    def parse(cls, text: str) -> Rpps:
        return cls(_digits("rpps", 11, text))


@dataclass(frozen=True, slots=True)
class Adeli:
    number: str

    @classmethod
    def parse(cls, text: str) -> Adeli:
        return cls(_of_department("adeli", text))


@dataclass(frozen=True, slots=True)
class Finess:
    number: str

    @classmethod
    def parse(cls, text: str) -> Finess:
        number = _of_department("finess", text)
        if number.isdigit() and not luhn_holds(number):
            raise IdentifierRefused("finess-check-digit")
        return cls(number)


@dataclass(frozen=True, slots=True)
class Siren:
    number: str

    @classmethod
    def parse(cls, text: str) -> Siren:
        return cls(_digits("siren", 9, text))


@dataclass(frozen=True, slots=True)
class Siret:
    number: str

    @classmethod
    def parse(cls, text: str) -> Siret:
        return cls(_digits("siret", 14, text))

    @property
    def siren(self) -> Siren:
        return Siren(self.number[:-_NIC])


def compact(text: str) -> str:
    """Without the spaces that people type. Raises IdentifierRefused for what is far too long."""
    if len(text) > LONGEST:
        raise IdentifierRefused("too-long")
    return "".join(text.split()).upper()


def _digits(name: str, length: int, text: str) -> str:
    number = compact(text)
    if not (number.isascii() and number.isdigit()) and number:
        raise IdentifierRefused(f"{name}-characters")
    if len(number) != length:
        raise IdentifierRefused(f"{name}-length", length)
    if not (luhn_holds(number) or (name == "siret" and _of_la_poste(number))):
        raise IdentifierRefused(f"{name}-check-digit")
    return number


def _of_la_poste(number: str) -> bool:
    return number.startswith(_LA_POSTE) and sum(map(int, number)) % 5 == 0


def _of_department(name: str, text: str) -> str:
    number = compact(text)
    # Read before its length: a letter is what somebody looks at first.
    if len(number) > 1 and not _DEPARTMENT.fullmatch(number):
        raise IdentifierRefused(f"{name}-characters", corsica=True)
    if len(number) != 9:
        raise IdentifierRefused(f"{name}-length", 9)
    return number
