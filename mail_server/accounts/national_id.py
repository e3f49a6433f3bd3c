"""The national identifier of a professional (idNat_PS): "8" and the RPPS number, or "0" and the older ADELI one.

RPPS: 11 digits, the last by Luhn. ADELI: 9 characters, department first (2A and 2B in Corsica). Test people of the
national provider are 899700...: their digits are right too.

Invariants: `normal` gives one spelling or None, for any text.
"""

from __future__ import annotations

import re

_RPPS = re.compile(r"8([0-9]{11})")
_ADELI = re.compile(r"0(?:[0-9]{2}|2[AB])[0-9]{7}")
_LONGEST = 40  # as typed: its characters and spaces between them fit many times
_TEST = "899700"


def normal(typed: str) -> str | None:
    """As it is stored and compared; None for what is no identifier."""
    if len(typed) > _LONGEST or not typed.isascii():
        return None
    text = "".join(typed.split()).upper()
    if found := _RPPS.fullmatch(text):
        return text if luhn_holds(found[1]) else None
    return text if _ADELI.fullmatch(text) else None


def is_test(identifier: str) -> bool:
    """Whether it belongs to nobody: a person of test and demonstration."""
    return identifier.startswith(_TEST)


def luhn_holds(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: every second digit from the right doubled, their sum a multiple of ten."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character)
        total += (value * 2 - 9 if value > 4 else value * 2) if position % 2 else value
    return total % 10 == 0
