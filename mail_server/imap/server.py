"""The IMAP door: listens, admits connections, watches over the silent ones, and says BYE when it stops.

Invariants: one task per connection and no timer of its own (one sweep a second serves all); a session whose
account or membership was withdrawn ends within a second, also in IDLE.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import time

from mail_server.accounts.interface import Accounts, Authenticator, Peer
from mail_server.delivery.interface import Delivery
from mail_server.imap.dialogue import run
from mail_server.imap.limits import Counters, Limits
from mail_server.imap.session import Audit, Services, Session
from mail_server.imap.settings import ImapSettings
from mail_server.imap.shell import SocketLink
from mail_server.store.interface import Store

log = logging.getLogger("vaguemestre.imap")
SWEEP_SECONDS = 1.0
_SWEEP_SLICE = 500


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
    ) -> None:
        self.settings = settings
        self.limits = Limits(settings)
        self._services = Services(settings, store, delivery, accounts, authenticator, audit, self.limits)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._sessions: dict[SocketLink, Session] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def counters(self) -> Counters:
        return self.limits.counters

    @property
    def ports(self) -> list[int]:
        """Ports really listened on, in the order STARTTLS, TLS."""
        return [server.sockets[0].getsockname()[1] for server in self._servers if server.sockets]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        hosts = [host.strip() for host in self.settings.host.split(",") if host.strip()]
        for port, implicit in ((self.settings.port, False), (self.settings.tls_port, True)):
            if port is not None:
                server = await loop.create_server(
                    lambda implicit=implicit: self._link(implicit), hosts, port, backlog=1024
                )
                self._servers.append(server)
        self._sweeper = loop.create_task(self._sweep())

    def reload_tls(self, tls: ssl.SSLContext) -> None:
        """For connections to come; those open keep what they agreed on."""
        self._tls = tls

    async def stop(self) -> None:
        """BYE to all; running commands have the settings' grace."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for link, session in self._sessions.items():
            session.farewell = "Server shutting down"
            link.wake()
        tasks = [link.task for link in self._sessions if link.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.settings.shutdown_grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        self._servers.clear()

    # ── connections ──

    def _link(self, implicit: bool) -> SocketLink:
        def admit(link: SocketLink) -> None:
            self._admit(link, implicit)

        return SocketLink(admit, lambda: self._tls, self.settings.handshake_timeout)

    def _admit(self, link: SocketLink, implicit: bool) -> None:
        address, port = link.peer
        if self._stopping or not self.limits.connect(address):
            if not implicit:
                link.write(b"* BYE [UNAVAILABLE] Too many connections\r\n")
            link.close()
            return
        peer = Peer(address, port, "imap", secrets.token_hex(8), tls=False)
        session = Session(self._services, link, peer)
        self._sessions[link] = session
        if implicit:
            link.hold_input()
        link.task = asyncio.get_running_loop().create_task(self._serve(link, session, implicit))

    async def _serve(self, link: SocketLink, session: Session, implicit: bool) -> None:
        try:
            if implicit:
                session.take_peer(await link.start_tls())
            await run(session)
        except ConnectionError:
            pass
        except Exception as error:
            log.error("session %s ended by %s", session.peer.session, type(error).__name__)
        finally:
            self._sessions.pop(link, None)
            self.limits.disconnect(session.peer.address)
            link.close()

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
        elif session.revoked():
            link.wake()
