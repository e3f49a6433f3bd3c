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
from collections.abc import Coroutine
from typing import Any

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
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def counters(self) -> Counters:
        return self.limits.counters

    @property
    def ports(self) -> list[int]:
        """Ports really listened on, in the order StartTLS, TLS."""
        return [listener.getsockname()[1] for listener in self._listeners]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        hosts = [host.strip() for host in self.settings.host.split(",") if host.strip()]
        try:
            for host in hosts:
                if self.settings.port is not None:
                    listener = self._listen(host, self.settings.port)
                    self._servers.append(await loop.create_server(self._link, sock=listener, backlog=1024))
                if self.settings.tls_port is not None:
                    self._keep(self._accept(self._listen(host, self.settings.tls_port)))
        except OSError:
            await self._close()
            raise
        self._keep(self._sweep())

    def reload_tls(self, tls: ssl.SSLContext) -> None:
        """For handshakes to come."""
        self._tls = tls

    async def stop(self) -> None:
        """A notice to all (RFC 4511 §4.4.1); what runs is not waited for, nothing here is ever half done."""
        self._stopping = True
        await self._close()
        tasks = list(self._sessions.values())
        for session in list(self._sessions):
            session.dismiss(ResultCode.UNAVAILABLE, "The server is going down")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ── listening ──

    def _listen(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        listener.setblocking(False)
        self._listeners.append(listener)
        return listener

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        # A loop must have let go of a socket before it is closed: its number may serve another at once.
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        self._servers.clear()
        self._listeners.clear()

    # ── connections ──

    def _link(self) -> Link:
        """In clear, until StartTLS."""
        return Link(lambda link: self._made(link, admitted=False))

    def _made(self, link: Link, *, admitted: bool) -> None:
        address, port = link.peer
        if self._stopping or not (admitted or self.limits.connect(address)):
            link.abort()
            return
        tls = link.layer is not None
        client = Client(address, port, secrets.token_hex(8), tls, link.certificate if tls else None)
        session = Session(self._services, link, client, self._secure)
        self._sessions[session] = asyncio.get_running_loop().create_task(self._serve(session))

    async def _accept(self, listener: socket.socket) -> None:
        """TLS from the first octet. Accepted here, for a server of the loop keeps the context it began with."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, (address, *_) = await loop.sock_accept(listener)
            except OSError as error:  # out of file descriptors, or a client already gone
                log.warning("accept failed: errno %s", error.errno)
                await asyncio.sleep(_SWEEP_SECONDS / 10)
                continue
            if self.limits.connect(str(address)):
                self._keep(self._shake_hands(connection, str(address)))
            else:
                connection.close()

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        begun = False

        def made(link: Link) -> None:
            nonlocal begun
            begun = not self._stopping
            self._made(link, admitted=True)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Link(made),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self.settings.handshake_timeout,
            )
        except (OSError, TimeoutError):
            self.counters.handshakes_failed += 1
        finally:
            if not begun:
                self.limits.disconnect(address)
                connection.close()

    async def _secure(self, session: Session) -> None:
        """Raises ConnectionAbortedError."""
        try:
            await session.link.secure(self._tls, self.settings.handshake_timeout)
        except ConnectionAbortedError:
            self.counters.handshakes_failed += 1
            raise

    async def _serve(self, session: Session) -> None:
        link = session.link
        try:
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
