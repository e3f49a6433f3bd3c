"""The check digit of French registers: ISO/IEC 7812-1 annex B.

Invariants: pure; one mistyped digit never holds, nor two neighbours exchanged (but 0 and 9).
"""

from __future__ import annotations

_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_ZERO = ord("0")


def luhn_holds(digits: str) -> bool:
    """Every second digit from the right doubled (its own digits added), the sum a multiple of ten."""
    octets = digits.encode("ascii")
    plain, doubled = octets[::-2], octets[-2::-2].translate(_DOUBLED)
    return (sum(plain) - _ZERO * len(plain) + sum(doubled)) % 10 == 0


def luhn_digit(digits: str) -> str:
    """The digit that makes `digits` hold when it stands behind them."""
    return next(one for one in "0123456789" if luhn_holds(digits + one))
