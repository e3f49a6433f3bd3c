"""Whom a document may be carried to, by its codes of confidentiality (JDV_J08; reference/mssante.md §4.4, row 55).

The rule that decides at the door is Cedar's (`policies`, action `carry`); this is the same as a function, for composers
that must know before they build a letter, and for what the rule cannot see: combinations that are wrong for anybody.
Invariants: pure; a code that is not known never opens anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Literal

MASKED: Final = "MASQUE_PS"
INVISIBLE: Final = "INVISIBLE_PATIENT"
NOT_REPRESENTATIVES: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"
LEVELS: Final = frozenset({"N", "R", "V"})
KNOWN: Final = LEVELS | {MASKED, INVISIBLE, NOT_REPRESENTATIVES}

RecipientKind = Literal["patient", "professional", "organisation", "software"]

TO_PATIENT: Final = "carry-invisible-to-patient"
TO_PROFESSIONAL: Final = "carry-masked-to-professional"
COMBINATION: Final = "carry-wrong-combination"


def wrong(codes: AbstractSet[str]) -> bool:
    """Whether codes contradict each other, whoever receives: nobody could be shown such a document, or two levels."""
    return {MASKED, INVISIBLE} <= codes or len(codes & LEVELS) > 1 or len(codes) > 4


def refusal(codes: Iterable[str], recipient: RecipientKind) -> str:
    """The slug of why a document with these codes is not carried to this recipient; "" when it is."""
    held = frozenset(codes)
    if wrong(held):
        return COMBINATION
    if recipient == "patient" and INVISIBLE in held:
        return TO_PATIENT
    if recipient != "patient" and MASKED in held:
        return TO_PROFESSIONAL
    return ""


def together(documents: Iterable[Iterable[str]], recipient: RecipientKind) -> str:
    """For a letter with several documents: the first refusal among them, for the whole letter."""
    return next((slug for codes in documents if (slug := refusal(codes, recipient))), "")
