"""Enrolment codes: 12 characters of Crockford's base32, the last of which checks the others.

11 random characters are 55 bits: enough for a secret that is tried against the server only, dies after five wrong
answers and a month, and opens nothing without what else its addressee knows.

Invariants: `normal` returns 12 characters or None and never raises; O reads as 0, I and L as 1, case and dashes do
not matter; a code is never logged.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # without I, L, O, U
LENGTH = 12
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_LONGEST_TYPED = 64


def generate() -> str:
    """A new code, as it is stored nowhere."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return drawn + check_character(drawn)


def check_character(letters: str) -> str:
    """Sum of value times weight, modulo 32; the weight is the position plus one."""
    return ALPHABET[sum(_VALUE[letter] * weight for weight, letter in enumerate(letters, 1)) % 32]


def shown(code: str) -> str:
    """`ABCD-EFGH-JKMN`."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def normal(typed: str) -> str | None:
    """A code as it was typed; None when it cannot be one (mistyped: nothing needs to be looked up)."""
    if len(typed) > _LONGEST_TYPED:
        return None
    letters = "".join(typed.upper().replace("-", "").split()).translate(_READ_AS)
    if len(letters) != LENGTH or not set(letters) <= _VALUE.keys():
        return None
    return letters if check_character(letters[:-1]) == letters[-1] else None
