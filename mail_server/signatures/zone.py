"""Keys of others, from the DNS: asked beside the loop's work, together, within one bound of time.

Invariants: a name is absent, has one record, or is not known *now*: the last is never taken for the first (RFC 6376
§6.1.2); a domain whose keys nobody tells is asked about again after half a minute, not by every letter, and costs the
letters of other domains nothing (whoever signs a letter chooses whose name servers are silent); nothing raises.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Iterable

import dns.asyncresolver
import dns.exception
import dns.rdtypes.ANY.TXT
import dns.resolver

_REMEMBERED = 1000  # names
_SILENT_SECONDS = 30.0
_LONGEST_RECORD = 4096


class NoKey(enum.Enum):
    ABSENT = "no key for signature"
    SEVERAL = "several keys for one selector"
    UNKNOWN = "key not available now"


Key = str | NoKey


class Zone:
    def __init__(
        self, resolver: str, seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = resolver
        self._seconds = seconds
        self._monotonic = monotonic
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._silent: dict[str, float] = {}  # domains, until when they are left alone

    async def keys(self, names: Iterable[str]) -> dict[str, Key]:
        wanted = list(dict.fromkeys(names))
        found = await asyncio.gather(*(self.key(name) for name in wanted))
        return dict(zip(wanted, found, strict=True))

    async def key(self, name: str) -> Key:
        domain = name.rpartition("._domainkey.")[2]
        if self._monotonic() < self._silent.get(domain, 0.0):
            return NoKey.UNKNOWN
        try:
            answer = await self._opened().resolve(name, "TXT", lifetime=self._seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return NoKey.ABSENT
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoResolverConfiguration):
            if len(self._silent) >= _REMEMBERED:
                self._silent.clear()
            self._silent[domain] = self._monotonic() + _SILENT_SECONDS
            return NoKey.UNKNOWN
        except (dns.exception.DNSException, OSError, ValueError):
            return NoKey.UNKNOWN
        texts = [
            b"".join(one.strings).decode("utf-8", "replace")
            for one in answer
            if isinstance(one, dns.rdtypes.ANY.TXT.TXT)
        ]
        records = [one for one in texts if "p=" in one and len(one) <= _LONGEST_RECORD]
        if not records:
            return NoKey.ABSENT
        return records[0] if len(records) == 1 else NoKey.SEVERAL

    def _opened(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            host, port = address(self._address)
            resolver = dns.asyncresolver.Resolver(configure=not host)
            if host:
                resolver.nameservers, resolver.port = [host], port
            resolver.cache = dns.resolver.LRUCache(_REMEMBERED)
            resolver.timeout = self._seconds / 2
            self._resolver = resolver
        return self._resolver


def address(text: str) -> tuple[str, int]:
    """ "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"; ("", 53) for the system's."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest.lstrip(":") or 53)
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host:
        return host, int(port)
    return text, 53


def zone_line(selector: str, domain: str, record: str) -> str:
    """As a zone file has it: strings of 255 octets at most (RFC 1035 §3.3)."""
    pieces = [record[at : at + 255] for at in range(0, len(record), 255)]
    quoted = " ".join(f'"{piece}"' for piece in pieces)
    return f"{selector}._domainkey.{domain}. 3600 IN TXT ( {quoted} )"
