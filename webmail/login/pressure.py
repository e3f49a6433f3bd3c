"""How many wrong answers are taken, from where and for whom, before the next one must wait.

What fails often is slowed (accounts.throttle). A network that failed often lately, and keeps several failures
waiting at once or comes while the whole node is under attack, is told to come back later; who comes fresh is not, so
nobody is locked out because others guess.

Invariants: memory is bounded; nothing that was typed is kept, only marks of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from mail_server.accounts.networks import place_of
from mail_server.accounts.throttle import Throttle
from webmail.login.problems import Problem

_WAITING_OF_ONE = 4
_WAITING_OF_ALL = 64


class Pressure:
    """One per kind of secret: logins, enrolment codes."""

    def __init__(self, throttle: Throttle, sleep: Callable[[float], Awaitable[None]], longest: float) -> None:
        self._throttle = throttle
        self._sleep = sleep
        self._retry_after = max(1, round(longest))
        self._waiting: Counter[str] = Counter()

    @property
    def throttle(self) -> Throttle:
        return self._throttle

    def enter(self, network: str, who: str) -> None:
        """Before a secret is looked at. Raises Problem too-many."""
        crowded = (
            self._waiting[place_of(network)] >= _WAITING_OF_ONE or self._waiting.total() >= _WAITING_OF_ALL
        )
        if crowded and self._throttle.suspect(network, who):
            raise Problem("too-many", retry_after=self._retry_after)

    async def failed(self, network: str, who: str) -> None:
        """Count a wrong answer, and let its answer wait."""
        delay = self._throttle.failed(network, who)
        if not delay:
            return
        place = place_of(network)
        self._waiting[place] += 1
        try:
            await self._sleep(delay)
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]

    def succeeded(self, network: str, who: str) -> None:
        self._throttle.succeeded(network, who)
