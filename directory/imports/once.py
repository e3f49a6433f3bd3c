"""Which owners stand on more than one line, without holding every owner of a file in memory.

Invariant: who was given before is always told; one in some thousand is told who was not (they are then looked at
together with nobody, which does no harm).
"""

from __future__ import annotations

_BITS = 25
_SLOTS = 1 << _BITS
_MASK = _SLOTS - 1


class OnceFilter:
    """A Bloom filter of one octet a slot, three slots a key."""

    def __init__(self) -> None:
        self._slots = bytearray(_SLOTS)

    def again(self, key: object) -> bool:
        """Whether `key` was given before."""
        hashed = hash(key)
        first, second = hashed & _MASK, (hashed >> _BITS) & _MASK
        third = (first * 0x9E3779B1 ^ hashed >> 38) & _MASK
        slots = self._slots
        if slots[first] and slots[second] and slots[third]:
            return True
        slots[first] = slots[second] = slots[third] = 1
        return False
