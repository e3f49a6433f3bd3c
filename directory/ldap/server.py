"""The LDAP door: listens, admits connections, watches over the silent ones, tells them when it stops.

Invariants: one task per connection, one sweep for all; TLS contexts are asked for at each handshake, so that a new
certificate serves from the next one on; nothing is left open when `start` fails.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
import time
from dataclasses import replace

from directory.harvest import Harvest
from directory.ldap.entries import Tree
from directory.ldap.interface import Capabilities, Certificates, Client, Logins, Place
from directory.ldap.limits import Counters, Limits
from directory.ldap.protocol import ResultCode
from directory.ldap.searching import Searcher
from directory.ldap.session import Services, Session
from directory.ldap.settings import LdapSettings
from directory.ldap.shell import Link
from directory.listings.interface import Listings

log = logging.getLogger("vaguemestre.ldap")
_SWEEP_SECONDS = 1.0
_SWEEP_SLICE = 100
_LINGER = 2.0


class LdapDoor:
    """389 with StartTLS and 636 with TLS from the first octet."""

    def __init__(
        self,
        settings: LdapSettings,
        *,
        listings: Listings,
        harvest: Harvest,
        logins: Logins,
        tls: ssl.SSLContext,
        certificates: Certificates,
        capabilities: Capabilities,
        place: Place,
    ) -> None:
        """Raises BadName for a base that is none."""
        self.settings = settings
        tree = Tree.at(settings.base)
        self.limits = Limits(settings, place)
        searcher = Searcher(listings, tree, certificates, capabilities)
        self._services = Services(settings, tree, searcher, logins, harvest, self.limits)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def counters(self) -> Counters:
        return self.limits.counters

    @property
    def ports(self) -> list[int]:
        """Ports really listened on, in the order StartTLS, TLS."""
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        hosts = [host.strip() for host in self.settings.host.split(",") if host.strip()]
        try:
            for host in hosts:
                for port, secure in ((self.settings.port, False), (self.settings.tls_port, True)):
                    if port is not None:
                        listener = _listener(host, port)
                        self._servers.append(
                            await loop.create_server(
                                lambda secure=secure: Link(
                                    lambda link: self._made(link, secure), hold=secure
                                ),
                                sock=listener,
                                backlog=1024,
                            )
                        )
        except OSError:
            await self._close()
            raise
        self._sweeping = loop.create_task(self._sweep())

    def reload_tls(self, tls: ssl.SSLContext) -> None:
        """For handshakes to come."""
        self._tls = tls

    async def stop(self) -> None:
        """A notice to all (RFC 4511 §4.4.1); what runs is not waited for, nothing here is ever half done."""
        self._stopping = True
        await self._close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        tasks = list(self._sessions.values())
        for session in list(self._sessions):
            session.dismiss(ResultCode.UNAVAILABLE, "The server is going down")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    # ── connections ──

    def _made(self, link: Link, secure: bool) -> None:
        address, port = link.peer
        if self._stopping or not self.limits.connect(address):
            link.abort()
            return
        client = Client(address, port, secrets.token_hex(8))
        session = Session(self._services, link, client, self._secure)
        self._sessions[session] = asyncio.get_running_loop().create_task(self._serve(session, secure))

    async def _secure(self, session: Session) -> None:
        """Raises ConnectionAbortedError."""
        try:
            await session.link.secure(self._tls, self.settings.handshake_timeout)
        except ConnectionAbortedError:
            self.counters.handshakes_failed += 1
            raise

    async def _serve(self, session: Session, secure: bool) -> None:
        link = session.link
        try:
            if secure:
                await self._secure(session)
                session.client = replace(session.client, tls=True, certificate=link.certificate)
            await session.run()
        except ConnectionError:
            pass
        except Exception as failure:
            self.counters.failures += 1
            log.error("session %s ended by %s", session.client.session, type(failure).__name__)
        finally:
            self._sessions.pop(session, None)
            self.limits.disconnect(session.client.address)
            link.close()
            # A client that reads no more would keep the last answer, and the socket, for ever.
            asyncio.get_running_loop().call_later(_LINGER, link.abort)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for number, session in enumerate(list(self._sessions)):
                if number % _SWEEP_SLICE == _SWEEP_SLICE - 1:
                    await asyncio.sleep(0)
                self._look_at(session, time.monotonic())

    def _look_at(self, session: Session, now: float) -> None:
        link = session.link
        if link.congested_since is not None and now - link.congested_since > self.settings.stall_timeout:
            self.counters.stalled += 1
            link.abort()
        elif session.idle and now - link.last_input > self.settings.idle_seconds:
            session.dismiss(ResultCode.UNAVAILABLE, "Too long without a request")


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener
