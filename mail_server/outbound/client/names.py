"""What DNS says of other operators' servers: MX records and addresses, by dnspython, without holding the loop.

Invariants: an answer is bounded in names and addresses; silence of the name service is told apart from a name that
does not exist; the machine's hosts file comes first, as for any program. What DNS says is never a reason to trust:
the certificate is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX

MOST_HOSTS = 8
MOST_ADDRESSES = 4
_DNS_SECONDS = 10.0
_HOSTS = Path("/etc/hosts")
_LARGEST_HOSTS = 1 << 20
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\Z"
)


class NamesFailed(Exception):
    """The name service did not answer: the same may be known later."""


@dataclass(frozen=True, slots=True)
class Exchanger:
    preference: int
    host: str  # "" is the null MX (RFC 7505)


class Names(Protocol):
    async def exchangers(self, domain: str) -> tuple[Exchanger, ...]:
        """MX records, none when there are none. Raises NamesFailed."""
        ...

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IP addresses, none when the name has none. Raises NamesFailed."""
        ...


def is_name(host: str) -> bool:
    return bool(_NAME.match(host))


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class DnsNames:
    """`resolver`: "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"; "" for the system's."""

    def __init__(self, resolver: str = "", hosts: Path = _HOSTS) -> None:
        self._server = split_port(resolver, 53) if resolver else None
        self._hosts = hosts
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def exchangers(self, domain: str) -> tuple[Exchanger, ...]:
        found = [
            Exchanger(record.preference, record.exchange.to_text(omit_final_dot=True).lower().rstrip("."))
            for record in cast("list[MX]", await self._ask(domain, dns.rdatatype.MX))
        ]
        found.sort(key=lambda one: one.preference)
        return tuple(found[: 4 * MOST_HOSTS])

    async def addresses(self, host: str) -> tuple[str, ...]:
        if is_address(host):
            return (host,)
        known = await asyncio.to_thread(self._of_hosts_file, host)
        if known:
            return known[:MOST_ADDRESSES]
        answers = await asyncio.gather(
            self._ask(host, dns.rdatatype.A), self._ask(host, dns.rdatatype.AAAA), return_exceptions=True
        )
        found = [record.to_text() for answer in answers if isinstance(answer, list) for record in answer]
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if not found and failed:
            raise failed[0]
        return tuple(found[:MOST_ADDRESSES])

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list[dns.rdata.Rdata]:
        try:
            if self._resolver is None:
                self._resolver = self._open()
            answer = await self._resolver.resolve(
                dns.name.from_text(name), kind, search=False, lifetime=_DNS_SECONDS
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, ValueError):
            raise NamesFailed from None
        return list(answer)

    def _open(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=self._server is None)
        if self._server is not None:
            address, port = self._server
            resolver.nameservers = [address]
            resolver.port = port
        resolver.cache = dns.resolver.LRUCache(4096)
        return resolver

    def _of_hosts_file(self, host: str) -> tuple[str, ...]:
        try:
            with self._hosts.open("rb") as file:
                lines = file.read(_LARGEST_HOSTS).decode("utf-8", "replace").splitlines()
        except OSError:
            return ()
        words = (line.partition("#")[0].lower().split() for line in lines)
        return tuple(found[0] for found in words if host in found[1:] and is_address(found[0]))


def split_port(text: str, port: int) -> tuple[str, int]:
    """ "host", "host:port", "[address]:port", "address". Raises ValueError."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        given = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, given = text.partition(":")
    else:
        host, given = text, ""
    if given:
        port = int(given)
    if not host or not 0 < port < 65536:
        raise ValueError("not a host and port")
    return host.lower().rstrip("."), port
