"""The IMAP door: listens, admits connections, watches over the silent ones, and says BYE when it stops.

Invariants: one task per connection and no timer of its own (one sweep a second serves all); a session whose
account or membership was withdrawn ends within a second, also in IDLE.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable

from mail_server.accounts.access import Access
from mail_server.accounts.interface import Accounts, Authenticator, Peer
from mail_server.conversations.closings import Closings
from mail_server.delivery.interface import Delivery
from mail_server.delivery.receipts import Receipts
from mail_server.delivery.sharing import Sharing
from mail_server.imap.dialogue import run
from mail_server.imap.limits import Counters, Limits
from mail_server.imap.session import Audit, Services, Session
from mail_server.imap.settings import ImapSettings
from mail_server.imap.shell import SocketLink
from mail_server.store.interface import Store

log = logging.getLogger("vaguemestre.imap")
SWEEP_SECONDS = 1.0
LINGER_SECONDS = 10.0
_SWEEP_SLICE = 50
_ACCEPTED_AT_ONCE = 8  # when all come back together, those already here get their turn in between


class ImapDoor:
    """143 with STARTTLS and 993 with TLS from the first byte."""

    def __init__(
        self,
        settings: ImapSettings,
        store: Store,
        delivery: Delivery,
        accounts: Accounts,
        authenticator: Authenticator,
        tls: ssl.SSLContext,
        audit: Audit,
        trace_full: Callable[[], bool] = lambda: False,
        access: Access | None = None,
        sharing: Sharing | None = None,
        closings: Closings | None = None,
        receipts: Receipts | None = None,
    ) -> None:
        self.settings = settings
        self.limits = Limits(settings)
        self._services = Services(
            settings, store, delivery, accounts, authenticator, audit, self.limits, trace_full=trace_full,
            access=access, sharing=sharing, closings=closings, receipts=receipts,
        )  # fmt: skip
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: dict[SocketLink, Session] = {}
        self._stopping = False

    @property
    def counters(self) -> Counters:
        return self.limits.counters

    @property
    def ports(self) -> list[int]:
        """Ports really listened on, in the order STARTTLS, TLS."""
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
                    listener = self._listen(host, self.settings.tls_port)
                    self._keep(loop.create_task(self._accept(listener)))
        except OSError:
            await self._close_listeners()
            raise
        self._keep(loop.create_task(self._sweep()))

    def reload_tls(self, tls: ssl.SSLContext) -> None:
        """For handshakes to come, on both ports; connections open keep what they agreed on."""
        self._tls = tls

    async def stop(self) -> None:
        """BYE to all; running commands have the settings' grace."""
        self._stopping = True
        await self._close_listeners()
        for link, session in self._sessions.items():
            session.farewell = "Server shutting down"
            link.wake()
        tasks = [link.task for link in self._sessions if link.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.settings.shutdown_grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # ── listening ──

    def _listen(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        listener.setblocking(False)
        self._listeners.append(listener)
        return listener

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_listeners(self) -> None:
        for server in self._servers:
            server.close()
        # The loop must have let go of a socket before it is closed, or its number may serve another.
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        self._servers.clear()
        self._listeners.clear()

    def _link(self) -> SocketLink:
        """A connection in clear, until STARTTLS."""

        def made(link: SocketLink) -> None:
            address, port = link.peer
            if self._stopping or not self.limits.connect(address):
                link.write(b"* BYE [UNAVAILABLE] Too many connections, try again in a minute\r\n")
                link.close()
            else:
                self._begin(link, Peer(address, port, "imap", secrets.token_hex(8), tls=False))

        return SocketLink(made, lambda: self._tls, self.settings.handshake_timeout)

    async def _accept(self, listener: socket.socket) -> None:
        """TLS from the first byte; accepted here, so that each handshake takes the newest context."""
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            if number % _ACCEPTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:  # out of file descriptors, or a client already gone
                log.warning("accept failed: errno %s", error.errno)
                await asyncio.sleep(0.1)
                continue
            if self.limits.connect(str(address[0])):
                self._keep(loop.create_task(self._secure(connection, str(address[0]), int(address[1]))))
            else:
                connection.close()

    async def _secure(self, connection: socket.socket, address: str, port: int) -> None:
        begun = False

        def made(link: SocketLink) -> None:
            nonlocal begun
            begun = True
            peer = Peer(
                address, port, "imap", secrets.token_hex(8), True, link.peer_certificate, link.end_point
            )
            self._begin(link, peer)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: SocketLink(made, lambda: self._tls, self.settings.handshake_timeout),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self.settings.handshake_timeout,
            )
        except (OSError, TimeoutError) as error:  # no TLS, no session
            self._services.trace_handshake(Peer(address, port, "imap", secrets.token_hex(8), False), error)
        finally:
            if not begun:
                self.limits.disconnect(address)
                connection.close()

    # ── sessions ──

    def _begin(self, link: SocketLink, peer: Peer) -> None:
        session = Session(self._services, link, peer)
        self._sessions[link] = session
        link.task = asyncio.get_running_loop().create_task(self._serve(link, session))

    async def _serve(self, link: SocketLink, session: Session) -> None:
        try:
            await run(session)
        except ConnectionError:
            pass
        except Exception as error:
            log.error("session %s ended by %s", session.peer.session, type(error).__name__)
        finally:
            self._sessions.pop(link, None)
            self.limits.disconnect(session.peer.address)
            link.close()
            # A client that reads no more would keep the last answer, and the socket, for ever.
            asyncio.get_running_loop().call_later(LINGER_SECONDS, link.abort)

    # ── time and rights ──

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for number, (link, session) in enumerate(list(self._sessions.items())):
                if number % _SWEEP_SLICE == _SWEEP_SLICE - 1:
                    await asyncio.sleep(0)
                self._look_at(link, session, now)

    def _look_at(self, link: SocketLink, session: Session, now: float) -> None:
        if link.stalled_since is not None and now - link.stalled_since > self.settings.stall_timeout:
            link.abort()
            return
        logged_in = session.identity is not None
        silence = self.settings.idle_timeout if logged_in else self.settings.login_timeout
        since = link.last_input if logged_in else link.opened
        if now - since > silence and (link.waiting or not logged_in):
            if session.farewell is not None and now - since > silence + 10:
                link.abort()  # not even BYE gets through
                return
            session.farewell = "Too long without a command"
            link.wake()
        elif session.withdrawn() is not None:
            link.wake()
