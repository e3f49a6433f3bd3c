"""How much one peer, one account and all together may take: connections, failed logins, octets of APPEND.

Invariant: whatever was taken is given back exactly once; the tables forget peers that are gone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.networks import place_of
from mail_server.imap.settings import ImapSettings


@dataclass(slots=True)
class Counters:
    """What the door counted since it started; the node's metrics read it."""

    open: int = 0
    accepted: int = 0
    turned_away: int = 0
    handshakes_failed: int = 0
    logins: int = 0
    login_failures: int = 0
    crowded_accounts: int = 0  # refused: too many connections of one account
    commands: int = 0
    bad_commands: int = 0
    messages_fetched: int = 0
    messages_appended: int = 0
    octets_sent: int = 0
    server_bugs: int = 0
    append_octets: int = 0  # held at this moment


@dataclass(slots=True)
class Limits:
    settings: ImapSettings
    counters: Counters = field(default_factory=Counters)
    _by_place: Counter[str] = field(default_factory=Counter[str])
    _by_account: Counter[str] = field(default_factory=Counter[str])

    def connect(self, address: str) -> bool:
        place = place_of(address)
        if (
            self.counters.open >= self.settings.max_connections
            or self._by_place[place] >= self.settings.max_connections_per_ip
        ):
            self.counters.turned_away += 1
            _forget_if_zero(self._by_place, place)
            return False
        self._by_place[place] += 1
        self.counters.open += 1
        self.counters.accepted += 1
        return True

    def disconnect(self, address: str) -> None:
        place = place_of(address)
        self.counters.open -= 1
        self._by_place[place] -= 1
        _forget_if_zero(self._by_place, place)

    def log_in(self, account: str) -> bool:
        if self._by_account[account] >= self.settings.max_connections_per_account:
            self.counters.crowded_accounts += 1
            return False
        self._by_account[account] += 1
        self.counters.logins += 1
        return True

    @property
    def fullest_place(self) -> int:
        return max(self._by_place.values(), default=0)

    @property
    def fullest_account(self) -> int:
        return max(self._by_account.values(), default=0)

    def log_out(self, account: str) -> None:
        self._by_account[account] -= 1
        _forget_if_zero(self._by_account, account)

    def hold(self, octets: int) -> bool:
        """Room for a message of this size, until `release`."""
        if self.counters.append_octets + octets > self.settings.append_budget:
            return False
        self.counters.append_octets += octets
        return True

    def release(self, octets: int) -> None:
        self.counters.append_octets -= octets


def _forget_if_zero(counter: Counter[str], key: Any) -> None:
    if counter[key] <= 0:
        del counter[key]
