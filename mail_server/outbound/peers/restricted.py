"""Certificates that an operator gives to listed operators alone: its patients', and whoever is on the red list.

How it is found: a line of the policy file of the domain's Web Key Directory (draft-koch-openpgp-webkey-service §4.5
leaves keywords that begin with a domain name and an underscore to whoever has that name).

    vaguemestre.example_peers: mail.operator.example:8443

There, `POST /peers/certificate` with `{"address": "…"}` over mutual TLS is answered with `{"address", "certificate"}`.
Whose word that is: the operator's, and it may have gone bad. So the host is one of the operator's own names on the
trust list (or below one), or an address of a network that our configuration names; the port is one of those configured
(443, 8443); and none of our own networks is led into (`outbound.reach`).
Invariants: nothing is asked before the server's certificate was judged by the trust list for the very domain; an
address stands in a request's body, never in a URL or a log; no redirect is followed; an answer has a clock and a size.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from directory.openpgp.transferable import MAX_CERTIFICATE
from directory.publication.capability import LARGEST_FIELD
from mail_server.outbound.client.security import PeerSecurity, chain_of, failure_of, for_servers
from mail_server.outbound.peers.wkd import Answer, Silent, largest_of, lasts_of
from mail_server.outbound.reach import Inside, Reach
from policies.interface import PeerTrust

KEYWORD = "vaguemestre.example_peers"
PATH = "/peers/certificate"
_LINE = re.compile(
    rf"{re.escape(KEYWORD)}:[ \t]+([a-z0-9.-]{{1,253}}|\[[0-9a-f:]+\]):([0-9]{{1,5}})[ \t]*", re.I
)
_POLICY_SECONDS = 600.0  # how long it is remembered where a domain is asked, or that it is not
_LARGEST_HEAD = 16 * 1024
_LARGEST = MAX_CERTIFICATE * 2
_OK, _NOT_FOUND = 200, 404


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class RestrictedDirectory:
    """`policy` fetches the policy file of a domain: b"" for none, raises Silent."""

    def __init__(
        self,
        security: PeerSecurity,
        trust: PeerTrust,
        policy: Callable[[str], Awaitable[bytes]],
        *,
        seconds: float,
        ports: Collection[int] = (443, 8443),
        reach: Reach | None = None,
        names_of: Callable[[str], Collection[str]] = lambda domain: (domain,),
    ) -> None:
        """`names_of`: a domain's operator has these, on the trust list."""
        self._ports = frozenset(ports)
        self._reach = reach or Reach()
        self._names_of = names_of
        self._security = security
        self._trust = trust
        self._policy = policy
        self._seconds = seconds
        self._places: dict[str, tuple[_Place | None, float]] = {}

    async def ask(self, address: str) -> Answer:
        """An answer without data where there is no such certificate, or nobody to ask. Raises Silent."""
        domain = address.rpartition("@")[2]
        try:
            async with asyncio.timeout(self._seconds):
                place = await self._place(domain)
                if place is None:
                    return Answer(b"")
                reply = await self._post(place, domain, json.dumps({"address": address}).encode())
        except TimeoutError:
            raise Silent("timeout") from None
        except OSError as failure:
            tls = isinstance(failure, ssl.SSLError)
            raise Silent(failure_of(failure) if tls else "connect") from None
        if reply.status == _NOT_FOUND:
            return Answer(b"")
        if reply.status != _OK:
            raise Silent("status")
        return _read(reply, domain)

    def reload(self) -> None:
        """Our certificate anew. Raises OSError; then the old one stays."""
        self._security.reload()

    async def _place(self, domain: str) -> _Place | None:
        now = time.monotonic()
        known = self._places.get(domain)
        if known is not None and known[1] > now:
            return known[0]
        place = place_in(await self._policy(domain))
        self._places[domain] = (place, now + _POLICY_SECONDS)
        return place

    async def _post(self, place: _Place, domain: str, body: bytes) -> _Reply:
        reader, writer = await self._connected(place, await self._require_own(place, domain))
        try:
            await self._require_listed(cast(ssl.SSLObject, writer.get_extra_info("ssl_object")), domain)
            writer.write(
                f"POST {PATH} HTTP/1.1\r\nHost: {place.host}:{place.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\nUser-Agent: vaguemestre\r\n\r\n".encode()
                + body
            )
            await writer.drain()
            return await _reply(reader)
        finally:
            writer.transport.abort()

    async def _require_own(self, place: _Place, domain: str) -> list[str]:
        """Its addresses, where it may be connected to. Raises Silent, OSError."""
        host = place.host.strip("[]").rstrip(".")
        if place.port not in self._ports:
            raise Silent("foreign-port")
        try:
            addresses = await self._reach.addresses(host, place.port)
        except Inside:
            raise Silent("inside") from None
        names = [name.lower().rstrip(".") for name in self._names_of(domain)]
        own = any(host == name or ("." in name and host.endswith(f".{name}")) for name in names)
        if not own and not all(self._reach.inside(one) for one in addresses):
            raise Silent("foreign-host")
        return addresses

    async def _connected(
        self, place: _Place, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for at, address in enumerate(addresses, start=1):
            try:
                return await asyncio.open_connection(
                    address,
                    place.port,
                    ssl=self._security.context,
                    server_hostname=place.host.strip("[]"),
                    limit=_LARGEST_HEAD,
                )
            except OSError as failure:
                if at == len(addresses) or isinstance(failure, ssl.SSLError):
                    raise
        raise Silent("connect")

    async def _require_listed(self, tls: ssl.SSLObject, domain: str) -> None:
        """Whose certificate it is, before anything is told. Raises Silent."""
        chain = chain_of(tls)
        if not chain or not for_servers(chain[0]):
            raise Silent("not-a-server")
        standing = await self._trust.judge(chain, domain)
        if not standing.allowed:
            raise Silent(standing.reason)


def place_in(policy: bytes) -> _Place | None:
    """Where a policy file says that listed operators ask; None where it does not say."""
    for line in policy.decode("ascii", "replace").splitlines():
        if (told := _LINE.fullmatch(line)) is not None and 0 < int(told[2]) < 1 << 16:
            return _Place(told[1].lower(), int(told[2]))
    return None


async def _reply(reader: asyncio.StreamReader) -> _Reply:
    """HTTP/1.1 (RFC 9112 §4, §6.3), of a server that says how long its answer is. Raises Silent."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, *_ = head[0].split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        length = int(headers["content-length"])
        if version != "HTTP/1.1" or "transfer-encoding" in headers or not 0 <= length <= _LARGEST:
            raise Silent("protocol")
        return _Reply(int(status), headers, await reader.readexactly(length))
    except (ValueError, KeyError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise Silent("protocol") from None


def _read(reply: _Reply, domain: str) -> Answer:
    """Raises Silent."""
    try:
        told = cast("dict[str, Any]", json.loads(reply.body))
        named = str(told["address"]).lower()
        certificate = base64.b64decode(told["certificate"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Silent("protocol") from None
    # The certificate names the address that the operator has for this addressee, which need not tell who they are.
    if named.rpartition("@")[2] != domain or not certificate or len(certificate) > MAX_CERTIFICATE:
        raise Silent("protocol")
    lasts = lasts_of(reply.headers.get("cache-control", ""))
    return Answer(
        certificate, lasts, named=named, largest=largest_of(reply.headers.get(LARGEST_FIELD.lower(), ""))
    )
