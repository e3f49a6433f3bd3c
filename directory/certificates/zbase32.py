"""z-base-32, as a Web Key Directory names its files (RFC 6189 §5.1.6)."""

from __future__ import annotations

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


def zbase32(data: bytes) -> str:
    """Five bits a character, the last ones padded with zero bits."""
    bits = len(data) * 8
    padded = -bits % 5
    value = int.from_bytes(data, "big") << padded
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(bits + padded - 5, -1, -5))
