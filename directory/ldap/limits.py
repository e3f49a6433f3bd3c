"""How much one place of the network, and all together, may take: connections, searches at once.

Invariants: whatever was taken is given back exactly once; places that are gone are forgotten; a search holds its turn
until its thread is done, also when nobody waits for it any more, so that abandoned searches cannot pile up; nobody has
more than half of the turns, however many connections they have.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from directory.ldap.interface import Place
from directory.ldap.settings import LdapSettings
from directory.turns import Turns

T = TypeVar("T")


@dataclass(slots=True)
class Counters:
    """What the door counted since it started; the node's metrics read it."""

    open: int = 0
    accepted: int = 0
    turned_away: int = 0
    handshakes_failed: int = 0
    protocol_errors: int = 0
    requests: int = 0
    searches: int = 0
    searching: int = 0  # threads at work
    entries: int = 0
    limited: int = 0  # searches that found more than is shown, or took too long
    harvest_refused: int = 0
    harvest_slowed: int = 0
    busy: int = 0  # requests beyond those that a connection may have outstanding
    abandoned: int = 0
    binds: int = 0
    bind_failures: int = 0
    stalled: int = 0  # connections ended because nothing was read
    failures: int = 0  # answered `other`: our own


class Limits:
    def __init__(self, settings: LdapSettings, place: Place) -> None:
        self._settings = settings
        self._place = place
        self._by_place: Counter[str] = Counter()
        self._turns = Turns((settings.searches + 1) // 2, of_all=settings.searches)
        self.counters = Counters()

    def connect(self, address: str) -> bool:
        place, counters = self._place(address), self.counters
        full = counters.open >= self._settings.connections
        if full or self._by_place[place] >= self._settings.connections_of_place:
            counters.turned_away += 1
            self._forget(place)
            return False
        self._by_place[place] += 1
        counters.open += 1
        counters.accepted += 1
        return True

    def disconnect(self, address: str) -> None:
        place = self._place(address)
        self.counters.open -= 1
        self._by_place[place] -= 1
        self._forget(place)

    def asker(self, address: str) -> str:
        return f"net:{self._place(address)}"

    async def in_thread(self, asker: str, work: Callable[[], T]) -> T:
        """`work` in a thread, when its turn comes. Who is cancelled leaves it to end by itself."""
        running = await self._turns.begun(asker, work)
        self.counters.searching += 1
        running.add_done_callback(self._searched)
        return await asyncio.shield(running)

    def _searched(self, _: asyncio.Future[Any]) -> None:
        self.counters.searching -= 1

    def _forget(self, place: str) -> None:
        if self._by_place[place] <= 0:
            del self._by_place[place]
