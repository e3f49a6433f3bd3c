"""Which domains are not asked for a while, because they did not answer; and how many are asked at a time.

Invariants: one slow domain takes its own places alone; after `_SILENCES` in a row it is left alone for a time that
doubles; then one question goes ahead of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

_SILENCES = 2
_FIRST_PAUSE = 30_000  # ms
LONGEST_PAUSE = 900_000
_OF_DOMAIN = 4


@dataclass(slots=True)
class _Domain:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OF_DOMAIN))
    silences: int = 0
    closed_until: int = 0
    pause: int = _FIRST_PAUSE


class Circuit:
    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._domains: dict[str, _Domain] = {}

    def places(self, domain: str) -> asyncio.Semaphore:
        return self._of(domain).places

    def closed(self, domain: str) -> bool:
        """Whether the domain is left alone now."""
        known = self._domains.get(domain)
        return known is not None and self._clock() < known.closed_until

    def admits(self, domain: str) -> bool:
        """Whether this question may be put now: the first one after a pause goes alone."""
        known = self._domains.get(domain)
        if known is None or self._clock() >= known.closed_until:
            if known is not None and known.silences >= _SILENCES:
                known.closed_until = self._clock() + known.pause  # the others wait for this one's outcome
            return True
        return False

    def answered(self, domain: str) -> None:
        known = self._of(domain)
        known.silences, known.closed_until, known.pause = 0, 0, _FIRST_PAUSE

    def silent(self, domain: str) -> None:
        known = self._of(domain)
        known.silences += 1
        if known.silences == _SILENCES:
            known.closed_until = self._clock() + known.pause
        elif known.silences > _SILENCES:
            known.pause = min(known.pause * 2, LONGEST_PAUSE)
            known.closed_until = self._clock() + known.pause

    @property
    def open(self) -> int:
        """How many domains are left alone now."""
        now = self._clock()
        return sum(one.closed_until > now for one in self._domains.values())

    def _of(self, domain: str) -> _Domain:
        return self._domains.setdefault(domain, _Domain())
