"""Where a domain's mail goes: a configured route, its MX records, or the server that the trust list names.

Invariants: only a domain of the trust list is ever looked up; nothing that the name service says, or leaves unsaid,
fails a letter, or leads into our own networks (`outbound.reach`): nobody vouches for its answers, and the list says
that the domain takes mail; servers of one preference are tried in an order that differs from letter to letter
(RFC 5321 §5.1), those that did not answer lately last.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.outbound.client import outcomes
from mail_server.outbound.client.names import MOST_HOSTS, Names, NamesFailed, is_address, is_name, split_port
from mail_server.outbound.interface import Outcome, Phase, Verdict
from mail_server.outbound.reach import Reach

REMEMBERED_SECONDS = 60.0
_MOST_REMEMBERED = 10_000
_ABSENT_SECONDS = 60.0


class Listed(Protocol):
    """What is asked of the trust list (`policies.interface.PeerTrust`)."""

    def listed(self, domain: str) -> bool: ...
    def host_of(self, domain: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Host:
    name: str  # or an IP address
    port: int
    preference: int = 0
    configured: bool = field(default=False, compare=False)  # by an administrator, wherever it leads


class NoRoute(Exception):
    """Nowhere to go: now, or ever."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def _no_route(verdict: Verdict, phase: Phase, reason: str) -> NoRoute:
    return NoRoute(outcomes.ours(verdict, phase, reason))


class Routes:
    """`configured`: of the settings, domain to "host:port". Raises ValueError for one that cannot be read."""

    def __init__(
        self,
        configured: Mapping[str, str],
        listed: Listed,
        names: Names,
        *,
        use_mx: bool,
        port: int,
        reach: Reach | None = None,
    ) -> None:
        self._reach = reach or Reach()
        self._configured = {domain.lower(): split_port(there, port) for domain, there in configured.items()}
        self._listed = listed
        self._names = names
        self._use_mx = use_mx
        self._port = port
        self._known: dict[str, tuple[float, tuple[Host, ...]]] = {}
        self._absent: dict[tuple[str, int], float] = {}

    async def of(self, domain: str) -> tuple[Host, ...]:
        """Its servers, best first. Raises NoRoute."""
        if not self._listed.listed(domain):
            raise _no_route(Verdict.LATER, Phase.TRUST, "not-listed")
        configured = self._configured.get(domain)
        if configured is not None:
            return (Host(*configured, configured=True),)
        now = asyncio.get_running_loop().time()
        known = self._known.get(domain)
        if known is not None and known[0] > now:
            return known[1]
        found = await self._look_up(domain)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[domain] = (now + REMEMBERED_SECONDS, found)
        return found

    async def addresses(self, host: Host) -> tuple[str, ...]:
        """Raises NoRoute."""
        try:
            found = await self._names.addresses(host.name)
        except NamesFailed:
            raise _no_route(Verdict.LATER, Phase.ROUTE, "dns-failed") from None
        if not found:
            raise _no_route(Verdict.LATER, Phase.ROUTE, "name-unknown")
        if host.configured:
            return found
        permitted = tuple(one for one in found if self._reach.permits(one))
        if not permitted:
            raise _no_route(Verdict.LATER, Phase.ROUTE, "inside")
        return permitted

    def ordered(self, hosts: Sequence[Host], open_now: Collection[tuple[str, int]]) -> list[Host]:
        """For one letter: by preference; of one preference, those with an open connection first, then by lot."""
        now = asyncio.get_running_loop().time()

        def place(host: Host) -> tuple[bool, int, bool, float]:
            key = (host.name, host.port)
            absent = self._absent.get(key, 0.0) > now
            return absent, host.preference, key not in open_now, random.random()  # noqa: S311

        return sorted(hosts, key=place) if len(hosts) > 1 else list(hosts)

    def was_absent(self, host: Host) -> None:
        """It gave no connection: others are tried before it for a while."""
        if len(self._absent) >= _MOST_REMEMBERED:
            self._absent.clear()
        self._absent[host.name, host.port] = asyncio.get_running_loop().time() + _ABSENT_SECONDS

    def was_there(self, host: Host) -> None:
        if self._absent:
            self._absent.pop((host.name, host.port), None)

    async def _look_up(self, domain: str) -> tuple[Host, ...]:
        found: tuple[Host, ...] = ()
        if self._use_mx:
            found = await self._exchangers(domain)
        if not found:
            named = self._listed.host_of(domain).lower().rstrip(".")
            # RFC 5321 §5.1: without MX records the domain itself is the server.
            host = named if is_name(named) or is_address(named) else domain if self._use_mx else ""
            found = (Host(host, self._port),) if host else ()
        if not found:
            raise _no_route(Verdict.LATER, Phase.ROUTE, "no-host")
        return found

    async def _exchangers(self, domain: str) -> tuple[Host, ...]:
        try:
            records = await self._names.exchangers(domain)
        except NamesFailed:
            raise _no_route(Verdict.LATER, Phase.ROUTE, "dns-failed") from None
        if len(records) == 1 and not records[0].host:
            # RFC 7505 §3 would have it returned at once; but whoever forges this one answer could return them all.
            raise _no_route(Verdict.LATER, Phase.ROUTE, "null-mx")
        # An MX that is an address, or no name at all, is no server (RFC 5321 §5.1).
        usable = [record for record in records if is_name(record.host) and not is_address(record.host)]
        return tuple(Host(record.host, self._port, record.preference) for record in usable[:MOST_HOSTS])
