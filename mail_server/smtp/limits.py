"""Who may connect, and how much mail may be in flight.

Invariants: what was admitted or reserved is given back exactly once; nothing here blocks.
"""

from __future__ import annotations

from mail_server.accounts.networks import place_of


class ConnectionGate:
    """Connections at one time: in all, and from one peer (an IPv4 address or an IPv6 /64)."""

    __slots__ = ("_limit", "_limit_per_peer", "_of_peer", "open")

    def __init__(self, limit: int, limit_per_peer: int) -> None:
        self._limit = limit
        self._limit_per_peer = limit_per_peer
        self._of_peer: dict[str, int] = {}
        self.open = 0

    def admit(self, address: str) -> str | None:
        """A ticket to give back with `leave`, or None: too many."""
        ticket = place_of(address)
        held = self._of_peer.get(ticket, 0)
        if self.open >= self._limit or held >= self._limit_per_peer:
            return None
        self.open += 1
        self._of_peer[ticket] = held + 1
        return ticket

    @property
    def fullest_peer(self) -> int:
        return max(self._of_peer.values(), default=0)

    def leave(self, ticket: str) -> None:
        self.open -= 1
        held = self._of_peer[ticket] - 1
        if held:
            self._of_peer[ticket] = held
        else:
            del self._of_peer[ticket]


class ByteBudget:
    """One amount of memory for the mail of all sessions."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def fits(self, size: int) -> bool:
        return self.used + size <= self.limit


class Reservation:
    """One message's part of the budget."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0

    def reach(self, size: int) -> bool:
        """Hold at least `size` bytes. False, and nothing changes, when they are not there."""
        more = size - self._held
        if more <= 0:
            return True
        if not self._budget.fits(more):
            return False
        self._budget.used += more
        self._held = size
        return True

    def release(self) -> None:
        self._budget.used -= self._held
        self._held = 0
