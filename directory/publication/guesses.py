"""Who guesses addresses: lookups that find nobody have an allowance, so that names tried out tell little.

Whoever asks for an address that they have from somewhere finds it, as often as they like; who tries
`firstname.name@domain` mostly does not. So misses alone are counted, by the place of the network that asks
(`directory.harvest`), and beyond the allowance everything asked from there comes later, and at last is refused. From
where a listed operator's letters came lately, its lookups come too: it is allowed far more.

Invariants: an unknown address, a hidden one and a patient's are counted alike; a hit is never counted, and waits as
long as a miss would; domains that are not ours count for nothing; what is remembered of operators is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import Request

from directory.harvest import Allowance

_DAYS_KNOWN = 8 * 86_400_000  # ms since a listed operator's last letter from there
_MOST_PLACES = 10_000


class Guesses:
    """`place_of`: what an IP address is counted as."""

    def __init__(
        self,
        misses: Allowance,
        place_of: Callable[[str], str],
        has_domain: Callable[[str], bool],
        clock: Callable[[], int],
    ) -> None:
        self.misses = misses
        self._place_of = place_of
        self._has_domain = has_domain
        self._clock = clock
        self._operators: dict[str, int] = {}  # places, the one seen longest ago first

    def listed(self, host: str) -> None:
        """A listed operator proved from there who it is."""
        place = self._place_of(host)
        self._operators.pop(place, None)
        self._operators[place] = self._clock()
        if len(self._operators) > _MOST_PLACES:
            del self._operators[next(iter(self._operators))]

    def require(self, request: Request, door: str) -> None:
        """Raises TooMuch."""
        asker, trusted = self._asker(request)
        self.misses.require(asker, trusted=trusted, door=door)

    async def hit(self, request: Request) -> None:
        asker, trusted = self._asker(request)
        await asyncio.sleep(self.misses.delay(asker, trusted=trusted))

    async def missed(self, request: Request, domain: str, name: str, door: str) -> None:
        """`name`: what was asked for, so that the same question is counted once. Raises TooMuch."""
        asker, trusted = self._asker(request)
        if self._has_domain(domain.lower()):
            key = f"{name}@{domain}".lower()
            await asyncio.sleep(self.misses.shown(asker, [key], trusted=trusted, door=door))
        else:
            await asyncio.sleep(self.misses.delay(asker, trusted=trusted))

    def _asker(self, request: Request) -> tuple[str, bool]:
        place = self._place_of(request.client.host) if request.client else "unknown"
        seen = self._operators.get(place)
        return f"net:{place}", seen is not None and self._clock() - seen < _DAYS_KNOWN
