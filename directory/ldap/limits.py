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
from functools import partial
from typing import Any, TypeVar

from directory.ldap.interface import Place
from directory.ldap.settings import LdapSettings

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


@dataclass(slots=True)
class _Share:
    """Of one asker: an account, or a place of the network."""

    turns: asyncio.Semaphore
    asked: int = 0  # searches that have a turn, or wait for one


class Limits:
    def __init__(self, settings: LdapSettings, place: Place) -> None:
        self._settings = settings
        self._place = place
        self._by_place: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(settings.searches)
        self._share = (settings.searches + 1) // 2
        self._shares: dict[str, _Share] = {}
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
        share = self._shares.setdefault(asker, _Share(asyncio.Semaphore(self._share)))
        share.asked += 1
        try:
            await share.turns.acquire()
        except BaseException:
            self._gone(asker, share)
            raise
        try:
            await self._turns.acquire()
        except BaseException:
            share.turns.release()
            self._gone(asker, share)
            raise
        self.counters.searching += 1
        try:
            running = asyncio.get_running_loop().run_in_executor(None, work)
        except BaseException:
            self._ended(asker, share)
            raise
        running.add_done_callback(partial(self._done, asker, share))
        return await asyncio.shield(running)

    def _done(self, asker: str, share: _Share, running: asyncio.Future[Any]) -> None:
        self._ended(asker, share)
        if not running.cancelled():
            running.exception()  # looked at, where nobody waits any more

    def _ended(self, asker: str, share: _Share) -> None:
        self.counters.searching -= 1
        self._turns.release()
        share.turns.release()
        self._gone(asker, share)

    def _gone(self, asker: str, share: _Share) -> None:
        share.asked -= 1
        if not share.asked:
            del self._shares[asker]

    def _forget(self, place: str) -> None:
        if self._by_place[place] <= 0:
            del self._by_place[place]
