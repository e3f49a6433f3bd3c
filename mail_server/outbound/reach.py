"""Where other operators may lead us: never into our own networks.

What a name service answers, and what an operator's policy file or certificate says, is another's word. Followed blindly
it would have us open connections to this machine and to what stands beside it. So addresses that are nobody's on the
Internet (private, loopback, link-local, shared, multicast, reserved; RFC 6890) are connected to only where `[outbound]
inside` names them. What an administrator wrote down himself (`routes`, `wkd_routes`) is followed as it stands.

Invariants: it is the address connected to that is judged, not a name that may mean another one by then; an IPv4 address
inside an IPv6 one is judged as what it is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Collection, Iterable
from typing import cast

import httpcore
import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_Option = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
_LAST_32 = (1 << 32) - 1


class Inside(OSError):
    """Every address of a name is one of our own networks'."""

    def __init__(self) -> None:
        super().__init__("an address inside")


def led_inside(failure: BaseException) -> bool:
    """Whether a connection failed for that, through whatever a library made of it."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, Inside):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


class Reach:
    """`inside`: networks of ours that others may lead us to. Raises ValueError."""

    def __init__(self, inside: Iterable[str] = ()) -> None:
        self._inside = tuple(ipaddress.ip_network(one) for one in inside)

    def permits(self, address: str) -> bool:
        try:
            found = _plain(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        return self.inside(address) or (found.is_global and not found.is_multicast and not found.is_reserved)

    def inside(self, address: str) -> bool:
        """Whether it is an address of a network that the configuration names."""
        try:
            found = _plain(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        return any(found in network for network in self._inside if network.version == found.version)

    async def addresses(self, host: str, port: int) -> list[str]:
        """IP addresses of a host that may be connected to. Raises Inside, OSError (socket.gaierror)."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        every = list(dict.fromkeys(str(each[4][0]) for each in found))
        permitted = [each for each in every if self.permits(each)]
        if not permitted:
            raise Inside
        return permitted


def _plain(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _LAST_32)
    return address.ipv4_mapped or address.sixtofour or address


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, reach: Reach, configured: Collection[str]) -> None:
        self._reach = reach
        self._configured = configured
        self._open = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # the library's
        local_address: str | None = None,
        socket_options: Iterable[_Option] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if host in self._configured:
            return await self._open.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            addresses = await self._reach.addresses(host, port)
        except OSError as failure:
            raise httpcore.ConnectError from failure
        for address in addresses[:-1]:
            try:
                return await self._open.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._open.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._open.sleep(seconds)


class ReachTransport(httpx.AsyncHTTPTransport):
    """Connects where `reach` permits, and to the hosts that an administrator wrote down."""

    def __init__(
        self, tls: ssl.SSLContext, reach: Reach, configured: Collection[str], *, connections: int, idle: float
    ) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=idle,
            network_backend=_Backend(reach, configured),
        )
