"""How many calls one key may make in a second, from a bucket that fills up again.

Invariants: memory is bounded by the keys in use; only the loop's thread asks.
"""

from __future__ import annotations

import time

_MOST = 4096


class Rate:
    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left: dict[str, tuple[float, float]] = {}  # calls left, when

    def take(self, key: str) -> bool:
        """Whether this call is within bounds."""
        now = time.monotonic()
        left, at = self._left.get(key, (float(self._per_second), now))
        left = min(float(self._per_second), left + (now - at) * self._per_second)
        if len(self._left) >= _MOST and key not in self._left:
            self._left.clear()
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1
