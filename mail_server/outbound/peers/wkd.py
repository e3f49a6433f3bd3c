"""A Web Key Directory asked over the network (draft-koch-openpgp-webkey-service §3.1): one address, one answer.

The advanced method first; the direct one only where the name of the first does not exist, as the draft wants it.
Invariants: TLS under the health authorities alone, with the host's name checked; no redirect is followed, no proxy of
the environment used, nothing decompressed, no cookie kept; what a name service says leads into none of our networks
(`outbound.reach`); an answer has a clock and a size; an address is in no log.
Nobody vouches for the name service, and who forges "does not exist" would have another host of the domain answer: it is
not believed to take back what was published, unless it has published itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx

from directory.certificates.memory import wkd_hash
from directory.openpgp.transferable import MAX_CERTIFICATE
from directory.publication.capability import LARGEST_FIELD
from mail_server.outbound.client.names import split_port
from mail_server.outbound.reach import Reach, ReachTransport, led_inside

# They write each address that is asked for, at INFO and DEBUG; nothing may turn that on.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_OK = 200
_UNCHANGED = 304
_NONE = frozenset({404, 410})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_METHOD_SECONDS = 600.0  # how long it is remembered that a domain has no host of the advanced method
_HTTPS = 443
_IDLE_SECONDS = 30
_LONGEST_AGE = 9  # digits
_LONGEST_SIZE = 12
_LARGEST_POLICY = 16 * 1024


class Silent(Exception):
    """The operator did not answer, or not as a directory does. `slug` says how, and nothing of who was asked for."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operator says of one address."""

    data: bytes = field(repr=False)  # b"": there is nothing
    lasts: int | None = None  # ms that it may be used without asking again; None: it did not say
    tag: str = ""  # with which to ask whether it is still the same (RFC 9110 §8.8.3)
    unchanged: bool = False  # the answer before still stands; `data` is empty
    named: str = field(default="", repr=False)  # the address the certificate names, where it is another one
    largest: int = 0  # octets of a letter that the address takes; 0: its operator did not say


def lasts_of(cache_control: str) -> int | None:
    """Milliseconds that an answer may be used without asking again (RFC 9111 §5.2.2); None: it does not say."""
    for directive in cache_control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        value = value.strip('"')
        if name in ("no-store", "no-cache"):
            return 0
        if name == "max-age" and value.isascii() and value.isdigit() and len(value) <= _LONGEST_AGE:
            return int(value) * 1000
    return None


def largest_of(told: str) -> int:
    """Of the field that goes with a certificate; 0 for what is no such number."""
    return int(told) if told.isascii() and told.isdigit() and len(told) <= _LONGEST_SIZE else 0


def tls_of(authorities: Path) -> ssl.SSLContext:
    """Under these authorities alone. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=str(authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class WkdClient:
    def __init__(
        self,
        tls: ssl.SSLContext,
        routes: Mapping[str, str],
        *,
        seconds: float,
        connections: int,
        transport: httpx.AsyncBaseTransport | None = None,
        reach: Reach | None = None,
    ) -> None:
        """`routes`: followed as they stand, wherever `reach` permits."""
        self._routes = {domain.lower(): place for domain, place in routes.items()}
        self._seconds = seconds
        self._direct: dict[str, float] = {}  # domains without a host of the advanced method, until when
        self._published_directly: set[str] = set()
        configured = {split_port(place, _HTTPS)[0] for place in self._routes.values()}
        self._client = httpx.AsyncClient(
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
            transport=transport
            or ReachTransport(tls, reach or Reach(), configured, connections=connections, idle=_IDLE_SECONDS),
            headers={"accept-encoding": "identity", "user-agent": "vaguemestre"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, address: str, *, known: bool = False) -> bytes:
        """What is published for an address; b"" when the operator says that there is nothing. Raises Silent.

        `known`: something was published for it before.
        """
        return (await self.ask(address, known=known)).data

    async def ask(self, address: str, *, known: bool = False, tag: str = "") -> Answer:
        """As `fetch`. `tag`: of the answer before, which is then not sent again where it still stands."""
        local, _, domain = address.rpartition("@")
        name = f"hu/{wkd_hash(local)}?l={quote(local, safe='')}"
        return await self._within(domain.lower(), name, known=known, tag=tag)

    async def policy(self, domain: str) -> bytes:
        """The policy file of a domain; b"" for none. Raises Silent."""
        found = (await self._within(domain.lower(), "policy", known=False, tag="")).data
        return found[:_LARGEST_POLICY]

    async def _within(self, domain: str, name: str, *, known: bool, tag: str) -> Answer:
        try:
            # httpx counts each step of an answer apart: a peer that drips has a clock over all of it, too.
            async with asyncio.timeout(self._seconds):
                return await self._ask(domain, name, known=known, tag=tag)
        except (TimeoutError, httpx.TimeoutException):
            raise Silent("timeout") from None
        except httpx.ConnectError as failure:
            caused = "tls" if _is_tls(failure) else "inside" if led_inside(failure) else "connect"
            raise Silent(caused) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise Silent("protocol") from None

    async def _ask(self, domain: str, name: str, *, known: bool, tag: str) -> Answer:
        host = f"openpgpkey.{domain}"
        path = f"/.well-known/openpgpkey/{domain}/{name}"
        directly = domain not in self._routes and not await self._exists(host, domain)
        if directly:
            host, path = domain, f"/.well-known/openpgpkey/{name}"
        answer = await self._get(*_where(self._routes.get(domain, ""), host), path, tag)
        if directly and (answer.data or answer.unchanged):
            self._published_directly.add(domain)
        elif directly and known and domain not in self._published_directly:
            raise Silent("other-method")
        return answer

    async def _exists(self, host: str, domain: str) -> bool:
        """Whether the host of the advanced method has an address."""
        now = time.monotonic()
        if self._direct.get(domain, 0.0) > now:
            return False
        try:
            await asyncio.get_running_loop().getaddrinfo(host, _HTTPS, type=socket.SOCK_STREAM)
        except socket.gaierror as failure:
            if failure.errno not in _NO_SUCH_NAME:
                raise Silent("name") from None
            self._direct[domain] = now + _METHOD_SECONDS
            return False
        self._direct.pop(domain, None)
        return True

    async def _get(self, place: str, host: str, path: str, tag: str) -> Answer:
        """`place` is connected to; `host` is who must be there."""
        headers = {"host": host} | ({"if-none-match": tag} if tag else {})
        request = self._client.build_request(
            "GET", f"https://{place}{path}", headers=headers, extensions={"sni_hostname": host}
        )
        request.extensions["timeout"] = self._client.timeout.as_dict()
        response = await self._client.send(request, stream=True)
        try:
            self._client.cookies.clear()
            lasts = lasts_of(response.headers.get("cache-control", ""))
            largest = largest_of(response.headers.get(LARGEST_FIELD, ""))
            if response.status_code in _NONE:
                return Answer(b"", lasts)
            if response.status_code == _UNCHANGED and tag:
                return Answer(b"", lasts, tag, unchanged=True, largest=largest)
            if response.status_code != _OK:
                raise Silent("redirect" if response.is_redirect else "status")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Silent("protocol")
            received = bytearray()
            async for piece in response.aiter_raw():
                received += piece
                if len(received) > MAX_CERTIFICATE:
                    raise Silent("too-large")
            if not received and not path.endswith("policy"):
                raise Silent("protocol")
            return Answer(bytes(received), lasts, _tag(response.headers.get("etag", "")), largest=largest)
        finally:
            await response.aclose()


def _tag(told: str) -> str:
    """What is sent back as it came: nothing else than a short entity tag."""
    fits = len(told) <= 128 and told.isascii() and told.isprintable() and told.endswith('"')
    return told if fits and told.removeprefix("W/").startswith('"') else ""


def _where(route: str, host: str) -> tuple[str, str]:
    """Where to connect, and whose name the certificate must carry: a route to a host says it itself, one to an IP
    address leaves it to the domain."""
    if not route:
        return host, host
    place, _, port = route.rpartition(":") if not route.endswith("]") and ":" in route else (route, "", "")
    place = place or route
    shown = f"{place}:{port}" if port else place
    try:
        ipaddress.ip_address(place.strip("[]"))
    except ValueError:
        return shown, place
    return shown, host


def _is_tls(failure: BaseException) -> bool:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
