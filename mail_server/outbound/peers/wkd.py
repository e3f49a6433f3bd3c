"""A Web Key Directory asked over the network (draft-koch-openpgp-webkey-service §3.1): one address, one answer.

The advanced method first; the direct one only where the name of the first does not exist, as the draft wants it.
Invariants: TLS under the health authorities alone, with the host's name checked; no redirect is followed, no proxy of
the environment used, nothing decompressed, no cookie kept; an answer has a clock and a size; an address is in no log.
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
from pathlib import Path
from urllib.parse import quote

import httpx

from directory.openpgp.transferable import MAX_CERTIFICATE
from directory.service import wkd_hash

# They write each address that is asked for, at INFO and DEBUG; nothing may turn that on.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_OK = 200
_NONE = frozenset({404, 410})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_METHOD_SECONDS = 600.0  # how long it is remembered that a domain has no host of the advanced method
_HTTPS = 443


class Silent(Exception):
    """The operator did not answer, or not as a directory does. `slug` says how, and nothing of who was asked for."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


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
    ) -> None:
        self._routes = {domain.lower(): place for domain, place in routes.items()}
        self._seconds = seconds
        self._direct: dict[str, float] = {}  # domains without a host of the advanced method, until when
        self._published_directly: set[str] = set()
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30
            ),
            headers={"accept-encoding": "identity", "user-agent": "vaguemestre"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, address: str, *, known: bool = False) -> bytes:
        """What is published for an address; b"" when the operator says that there is nothing. Raises Silent.

        `known`: something was published for it before.
        """
        local, _, domain = address.rpartition("@")
        domain = domain.lower()
        try:
            # httpx counts each step of an answer apart: a peer that drips has a clock over all of it, too.
            async with asyncio.timeout(self._seconds):
                return await self._ask(local, domain, known=known)
        except (TimeoutError, httpx.TimeoutException):
            raise Silent("timeout") from None
        except httpx.ConnectError as failure:
            raise Silent("tls" if _is_tls(failure) else "connect") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise Silent("protocol") from None

    async def _ask(self, local: str, domain: str, *, known: bool) -> bytes:
        name = f"hu/{wkd_hash(local)}?l={quote(local, safe='')}"
        host = f"openpgpkey.{domain}"
        path = f"/.well-known/openpgpkey/{domain}/{name}"
        directly = domain not in self._routes and not await self._exists(host, domain)
        if directly:
            host, path = domain, f"/.well-known/openpgpkey/{name}"
        published = await self._get(*_where(self._routes.get(domain, ""), host), path)
        if directly and published:
            self._published_directly.add(domain)
        elif directly and known and domain not in self._published_directly:
            raise Silent("other-method")
        return published

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

    async def _get(self, place: str, host: str, path: str) -> bytes:
        """`place` is connected to; `host` is who must be there."""
        request = self._client.build_request(
            "GET", f"https://{place}{path}", headers={"host": host}, extensions={"sni_hostname": host}
        )
        request.extensions["timeout"] = self._client.timeout.as_dict()
        response = await self._client.send(request, stream=True)
        try:
            self._client.cookies.clear()
            if response.status_code in _NONE:
                return b""
            if response.status_code != _OK:
                raise Silent("redirect" if response.is_redirect else "status")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Silent("protocol")
            received = bytearray()
            async for piece in response.aiter_raw():
                received += piece
                if len(received) > MAX_CERTIFICATE:
                    raise Silent("too-large")
            if not received:
                raise Silent("protocol")
            return bytes(received)
        finally:
            await response.aclose()


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
