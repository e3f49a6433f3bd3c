"""Which domain has its turn: what the dispatcher keeps in memory, one small value per domain, never a letter.

Invariants: domains take turns, so that one with 100,000 letters waits for its turn like one with a single letter; a
domain whose connection failed is tried by one probe at a time, and all such domains together leave half of the places
to those that answer; the last quarter of the places is for domains that have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mail_server.store.interface import Sql


@dataclass(slots=True)
class Lane:
    domain: str
    due: int | None = None  # the earliest of what waits; None: nothing does, as far as is known
    retry_at: int = 0
    failures: int = 0
    held: bool = False
    busy: int = 0  # places it has now
    probe: bool = False  # its one place is that of a probe
    streak: int = 0  # letters in a row that its server put off at MAIL FROM

    def ready_at(self) -> int | None:
        return None if self.due is None or self.held else max(self.due, self.retry_at)


@dataclass(frozen=True, slots=True)
class Found:
    """A domain as its rows say."""

    domain: str
    failures: int
    retry_at: int
    held: bool
    due: int | None


def found(sql: Sql) -> list[Found]:
    """Domains with something that waits, or that are held or fail; with the earliest due of each.

    One step into the index for each domain, however long the queue.
    """
    return [
        Found(domain, failures, retry_at, hold is not None, due)
        for domain, failures, retry_at, hold, due in sql.all(
            "SELECT * FROM (SELECT d.domain, d.failures, d.retry_at, h.domain AS hold, (SELECT l.due"
            " FROM outbound_letter l WHERE l.domain = d.domain AND l.state = 0 AND l.held = 0 ORDER BY l.due LIMIT 1)"
            " AS due FROM outbound_domain d LEFT JOIN outbound_hold h ON h.domain = d.domain) f"
            " WHERE due IS NOT NULL OR failures > 0 OR hold IS NOT NULL"
        )
    ]


class Lanes:
    """Turns and places. Used on the loop alone."""

    def __init__(self, places: int, places_of_domain: int) -> None:
        self._places = places
        self._places_of_domain = places_of_domain
        self._lanes: dict[str, Lane] = {}
        self._waiting: dict[str, Lane] = {}  # those with something due, in the order of their turns
        self._busy = 0
        self._probing = 0

    def lane(self, domain: str) -> Lane:
        known = self._lanes.get(domain)
        if known is None:
            known = self._lanes[domain] = Lane(domain)
        return known

    def learn(self, rows: Iterable[Found]) -> None:
        """What other nodes and administrators changed. A due that is known here stays: it may be younger.

        A domain that is not among them has nothing that waits, is not held, and does not fail.
        """
        told = {row.domain: row for row in rows}
        for lane in self._lanes.values():
            if (lane.held or lane.failures) and lane.domain not in told:
                lane.failures, lane.retry_at, lane.held = 0, 0, False
        for row in told.values():
            lane = self.lane(row.domain)
            lane.failures, lane.retry_at, lane.held = row.failures, row.retry_at, row.held
            if row.due is not None:
                self.due(row.domain, row.due)

    def due(self, domain: str, at: int) -> None:
        lane = self.lane(domain)
        lane.due = at if lane.due is None else min(lane.due, at)
        self._waiting[domain] = lane

    def turns(self, now: int) -> Iterator[Lane]:
        """Domains whose turn it is, one after the other; each has a place from now on, until `leave`.

        What waited for the domain counts as seen: whoever takes the turn says what is due next.
        """
        for lane in list(self._waiting.values()):
            free = self._places - self._busy
            if free <= 0:
                return
            at = lane.ready_at()
            if at is None or at > now or not self._may(lane, free):
                continue
            del self._waiting[lane.domain]
            lane.due = None
            lane.busy += 1
            self._busy += 1
            lane.probe = lane.failures > 0
            self._probing += lane.probe
            yield lane

    def leave(self, lane: Lane) -> None:
        lane.busy -= 1
        self._busy -= 1
        self._probing -= lane.probe
        lane.probe = False

    def until_next(self, now: int) -> int | None:
        """ms until a domain that waits for a time may have its turn; None: none does."""
        waits = [
            at - now for lane in self._waiting.values() if (at := lane.ready_at()) is not None and at > now
        ]
        return min(waits, default=None)

    def any_ready(self, now: int) -> bool:
        return any((at := lane.ready_at()) is not None and at <= now for lane in self._waiting.values())

    @property
    def failing(self) -> int:
        return sum(1 for lane in self._lanes.values() if lane.failures)

    def _may(self, lane: Lane, free: int) -> bool:
        if lane.failures:
            return lane.busy == 0 and self._probing < max(1, self._places // 2)
        if lane.busy and free <= self._places // 4:
            return False
        return lane.busy < self._places_of_domain
