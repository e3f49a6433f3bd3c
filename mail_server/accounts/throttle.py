"""How long a failed login waits for its answer, and in which queue a password is checked.

Nobody is ever locked out: a right password is always accepted. What failures bring is a wait on the next
*failing* answer, and, for those who fail often, a queue of their own, so that a flood of wrong passwords from
one place delays that place and not the others.

Failures are counted for an address from a network place (slows one program with a stale password), for the
place (slows somebody who tries many addresses) and for the address (slows many places that try one address).

Invariants: memory is bounded; a success from a place forgets what that place failed on that address.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from mail_server.accounts.networks import place_of

_TRACKED = 20_000
_LONGEST_ADDRESS = 320  # RFC 5321 §4.5.3.1; what is longer was never an address
_SUSPECT_AFTER = 3
_FREE_FOR_PLACE = 20  # a hospital is one address on the network: stale passwords of many are no attack
_FREE_FOR_ACCOUNT = 10


class Throttle:
    def __init__(
        self,
        delay: float,
        longest: float,
        memory: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        free_of_place: int = _FREE_FOR_PLACE,
        free_of_account: int = _FREE_FOR_ACCOUNT,
    ) -> None:
        self._delay = delay
        self._longest = longest
        self._memory = memory
        self._clock = clock
        self._free_of_place = free_of_place
        self._free_of_account = free_of_account
        self.failures = 0  # since the start
        self.slowed = 0  # of these, how many had to wait
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def failed(self, place: str, address: str) -> float:
        """Count one failure; the seconds its answer waits."""
        place, address = place_of(place), _key(address)
        count = max(
            self._count((place, address)),
            self._count((place, "")) - self._free_of_place,
            self._count(("", address)) - self._free_of_account,
        )
        self.failures += 1
        self.slowed += count > 0
        return min(self._longest, self._delay * 2.0 ** min(count - 1, 16)) if count > 0 else 0.0

    def succeeded(self, place: str, address: str) -> None:
        self._failures.pop((place_of(place), _key(address)), None)

    def suspect(self, place: str, address: str) -> bool:
        """Whether this place fails so often that its passwords are checked behind the others'."""
        place, address = place_of(place), _key(address)
        return (
            self._recent((place, address)) >= _SUSPECT_AFTER
            or self._recent((place, "")) >= self._free_of_place + _SUSPECT_AFTER
        )

    @property
    def suspects(self) -> int:
        """Failures of the place or address that failed most lately."""
        return max((self._recent(key) for key in self._failures), default=0)

    def _recent(self, key: tuple[str, str]) -> int:
        count, last = self._failures.get(key, (0, 0.0))
        return count if self._clock() - last < self._memory else 0

    def _count(self, key: tuple[str, str]) -> int:
        count = self._recent(key) + 1
        self._failures[key] = (count, self._clock())
        self._failures.move_to_end(key)
        if len(self._failures) > _TRACKED:
            self._failures.popitem(last=False)
        return count


def _key(address: str) -> str:
    """What an attacker types is kept no longer than an address is."""
    return address[:_LONGEST_ADDRESS].lower()
