"""The INS number of a patient ("matricule INS"): 13 characters, a key of two digits, and why one is wrong.

Form (reference/mssante.md §5): sex, year, month (01-12, or 20-99 when it is not known), department (2A and 2B
in Corsica), commune, order; key = 97 - (the 13 as a number mod 97), with 2A read as 19 and 2B as 18.

Invariants: `parse` returns or raises `InsRefused`, nothing else; neither an `Ins` nor a refusal shows a digit
of the number in its repr or its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

INS_NIR = "1.2.250.1.213.1.4.8"
INS_NIA = "1.2.250.1.213.1.4.9"
TEST_RANGES = frozenset({"1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11"})  # test and demonstration NIR
KNOWN_RANGES = frozenset({INS_NIR, INS_NIA}) | TEST_RANGES

_BODY, _KEY = 13, 2
_SPACES = re.compile(r"[ \t\u00a0\u2009\u202f]+")
_CHARACTERS = re.compile(r"[0-9AB]*")
# Where letters may stand: "2A" and "2B" in the place of the department, nowhere else.
_SHAPE = re.compile(r"(?P<sex>[0-9])[0-9]{2}(?P<month>[0-9]{2})(?:[0-9]{2}|2[AB])[0-9]{6}")
_CORSICA = {"2A": "19", "2B": "18"}
_LETTER_AT = 7
_MEANT = range(_BODY - 1, _BODY + _KEY + 3)  # characters, where one or two slipped in or out
_FEW = 3  # characters that are no digits
_LONGEST = 64  # as typed: 15 characters and spaces between them fit many times

_WORDS = {
    "ins-length": (
        "Le numéro doit avoir 13 ou 15 caractères (15 avec les deux chiffres de contrôle)\u00a0: celui-ci en a {at}.",
        "The number has 13 or 15 characters (15 with its two check digits): this one has {at}.",
    ),
    "ins-characters": (
        "Le {at}e caractère du numéro n’est pas un chiffre (une lettre n’est possible qu’au 7e, 2A ou 2B en Corse).",
        "Character {at} of the number is no digit (a letter stands at the seventh alone: 2A or 2B for Corsica).",
    ),
    "ins-sex": (
        "Le premier chiffre du numéro n’existe pas : vérifiez-le.",
        "There is no number with this first digit: check it.",
    ),
    "ins-month": (
        "Le mois (quatrième et cinquième chiffres) n’est pas possible : vérifiez-le.",
        "The month (fourth and fifth digits) is not possible: check it.",
    ),
    "ins-key": (
        "Les deux derniers chiffres ne correspondent pas aux autres : il y a une faute de frappe.",
        "The last two digits do not match the others: one of them was mistyped.",
    ),
}


class InsRefused(ValueError):
    """A text that is no INS number. `reason` is a slug; `fr` and `en` tell a person what to look at."""

    def __init__(self, reason: str, at: int = 0) -> None:
        """`at`: how many characters there are, or which of them is wrong (the first is 1)."""
        super().__init__(reason)
        self.reason = reason
        self.fr, self.en = (words.replace("{at}", str(at)) for words in _WORDS[reason])


@dataclass(frozen=True, slots=True)
class Ins:
    """A number that passed its check."""

    number: str = field(repr=False)  # 15 characters, A and B in capitals

    @property
    def last_five(self) -> str:
        return self.number[-5:]

    @property
    def local_part(self) -> str:
        """As it stands in an address."""
        return self.number.lower()


def parse(text: str) -> Ins:
    """Read a number as people type it: with spaces or without, with its key or without. Raises InsRefused."""
    if len(text) > _LONGEST:
        raise InsRefused("ins-length", len(text))
    compact = _SPACES.sub("", text).upper()
    if not _CHARACTERS.fullmatch(compact):
        raise InsRefused("ins-characters", _no_digit(compact))
    if len(compact) not in (_BODY, _BODY + _KEY):
        raise InsRefused("ins-length", len(compact))
    body, given = compact[:_BODY], compact[_BODY:]
    shape = _SHAPE.fullmatch(body)
    if shape is None or not (given.isdigit() or not given):
        raise InsRefused("ins-characters", _no_digit(compact))
    if shape["sex"] not in "12345678":  # 1 and 2 for life; 3 to 8 while a number is being given
        raise InsRefused("ins-sex")
    if not (1 <= int(shape["month"]) <= 12 or int(shape["month"]) >= 20):
        raise InsRefused("ins-month")
    key = key_of(body)
    if given and given != key:
        raise InsRefused("ins-key")
    return Ins(body + key)


def like(text: str) -> bool:
    """Whether it was meant for a number, though a letter slipped in: about as long as one, and digits but for a few."""
    compact = _SPACES.sub("", text[:_LONGEST])
    digits = sum("0" <= one <= "9" for one in compact)
    return compact[:1].isdigit() and len(compact) in _MEANT and len(compact) - digits <= _FEW


def _no_digit(compact: str) -> int:
    """Where the first character stands that is none of such a number."""
    for at, one in enumerate(compact, start=1):
        corsican = at == _LETTER_AT and one in "AB" and compact[at - 2] == "2"
        if not ("0" <= one <= "9" or corsican):
            return at
    return len(compact)


def key_of(body: str) -> str:
    """The two check digits of the first 13 characters."""
    digits = body[:5] + _CORSICA.get(body[5:7], body[5:7]) + body[7:]
    return f"{97 - int(digits) % 97:02d}"
