"""How much was taken lately: a sliding window of sixty slices.

Invariants: what is counted is never less than what was taken within the window, and no more than that and one slice
before it; a window holds at most sixty-one numbers; time that goes backwards counts as standing still.
"""

from __future__ import annotations

import math
from collections import deque

_SLICES = 60


class Window:
    __slots__ = ("_latest", "_slice", "_slices", "total")

    def __init__(self, seconds: float) -> None:
        self._slice = seconds / _SLICES
        self._slices: deque[list[int]] = deque()  # [number of the slice, taken in it]
        self._latest = 0
        self.total = 0

    def used(self, now: float) -> int:
        """Taken within the window that ends now."""
        self._forget(self._number(now))
        return self.total

    def add(self, now: float, amount: int) -> None:
        number = self._number(now)
        self._forget(number)
        if self._slices and self._slices[-1][0] == number:
            self._slices[-1][1] += amount
        else:
            self._slices.append([number, amount])
        self.total += amount

    def seconds_until(self, now: float, room: int) -> int:
        """Whole seconds until the total has fallen to `room` or less, at least one."""
        self._forget(self._number(now))
        left = self.total
        for number, amount in self._slices:
            if left <= room:
                break
            left -= amount
            end = (number + _SLICES + 1) * self._slice
            wait = max(1, math.ceil(end - now))
            if left <= room:
                return wait
        return 1

    def _number(self, now: float) -> int:
        self._latest = max(self._latest, math.floor(now / self._slice))
        return self._latest

    def _forget(self, number: int) -> None:
        while self._slices and self._slices[0][0] < number - _SLICES:
            self.total -= self._slices.popleft()[1]
