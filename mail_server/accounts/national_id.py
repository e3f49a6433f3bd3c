"""The national identifier of a professional (idNat_PS) as accounts hold it; its form is the directory's to know.

Invariants: `normal` gives one spelling or None, for any text.
"""

from __future__ import annotations

from directory.identifiers.luhn import luhn_holds
from directory.identifiers.national import parse_person
from directory.identifiers.refused import IdentifierRefused

__all__ = ["is_test", "luhn_holds", "normal"]
_TEST = "899700"


def normal(typed: str) -> str | None:
    """As it is stored and compared; None for what is no identifier."""
    try:
        return parse_person(typed).value
    except IdentifierRefused:
        return None


def is_test(identifier: str) -> bool:
    """Whether it belongs to nobody: a person of test and demonstration."""
    return identifier.startswith(_TEST)
