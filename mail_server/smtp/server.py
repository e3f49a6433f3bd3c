"""The SMTP door: three ports, one clock, one stop.

Invariants: nothing is accepted once `stop` is called; a transaction that is open then may finish within the
grace period; new contexts given to `reload_tls` serve the handshakes that begin afterwards; a handshake
that fails on the implicit TLS port is audited like one after STARTTLS.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import itertools
import logging
import socket
import ssl
from collections.abc import Callable, Mapping

from mail_server.accounts.interface import Accounts, Authenticator, Peer
from mail_server.delivery.interface import Delivery, Road
from mail_server.smtp.limits import ByteBudget, ConnectionGate
from mail_server.smtp.services import Counters, Services, SessionEvent, log
from mail_server.smtp.session import SmtpSession
from mail_server.smtp.settings import SmtpSettings
from mail_server.smtp.tls import SHUTDOWN_SECONDS, checked, plain_address, report_failed_handshake

_BACKLOG = 512
_WATCHED_AT_ONCE = 50
_ACCEPTED_AT_ONCE = 8  # when all come back together, those already here get their turn in between


class Entrance(enum.StrEnum):
    OPERATOR = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"


def _at_least_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def silence_aiosmtpd() -> None:
    """Its logger writes commands at INFO and content at DEBUG: no configuration may open it again."""
    logger = logging.getLogger("mail.log")
    logger.setLevel(logging.WARNING)
    logger.addFilter(_at_least_warning)  # adding the same filter again does nothing


class SmtpDoor:
    """`start`, `stop`, `reload_tls`; `ports` tells where it listens, `counters` what it has done."""

    def __init__(
        self,
        settings: SmtpSettings,
        delivery: Delivery,
        authenticator: Authenticator,
        accounts: Accounts,
        tls: Mapping[Road, ssl.SSLContext],
        on_event: Callable[[SessionEvent], None] | None = None,
    ) -> None:
        silence_aiosmtpd()
        self._settings = settings
        self._services = Services(
            settings=settings,
            delivery=delivery,
            authenticator=authenticator,
            accounts=accounts,
            tls=checked(tls),
            gate=ConnectionGate(settings.max_connections, settings.max_connections_per_peer),
            budget=ByteBudget(settings.memory_in_flight_bytes),
            on_event=on_event,
        )
        self._servers: list[asyncio.Server] = []
        self._listeners: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.ports: dict[Entrance, int] = {}

    @property
    def counters(self) -> Counters:
        return self._services.counters

    @property
    def open_connections(self) -> int:
        return self._services.gate.open

    @property
    def fullest_place(self) -> int:
        return self._services.gate.fullest_peer

    @property
    def bytes_in_flight(self) -> int:
        return self._services.budget.used

    def reload_tls(self, tls: Mapping[Road, ssl.SSLContext]) -> None:
        self._services.tls = checked(tls)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings
        try:
            await self._open(Entrance.OPERATOR, Road.OPERATOR, settings.operator_port)
            await self._open(Entrance.SUBMISSION, Road.CLIENT, settings.submission_port)
            await self._open(Entrance.SUBMISSIONS, Road.CLIENT, settings.submissions_port)
        except OSError:
            await self._close_listeners()
            raise
        self._keep(loop.create_task(self._tick()))

    async def stop(self) -> None:
        self._services.stopping = True
        await self._close_listeners()
        sessions = list(self._services.sessions)
        for session in sessions:
            session.retire()
        ends = [asyncio.ensure_future(session.finished()) for session in sessions]
        if ends:
            await asyncio.wait(ends, timeout=self._settings.stop_grace_seconds)
        for session in list(self._services.sessions):
            session.interrupt()
        if ends:
            await asyncio.wait(ends, timeout=1)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    # --- listening

    async def _open(self, entrance: Entrance, road: Road, port: int | None) -> None:
        if port is None:
            return
        loop = asyncio.get_running_loop()
        for listener in _listeners(self._settings.listen, port):
            self._listeners.append(listener)
            self.ports[entrance] = listener.getsockname()[1]
            if entrance is Entrance.SUBMISSIONS:
                self._accepting.append(loop.create_task(self._accept(listener, road)))
            else:
                factory = functools.partial(SmtpSession, self._services, road, loop)
                self._servers.append(await loop.create_server(factory, sock=listener, backlog=_BACKLOG))

    async def _accept(self, listener: socket.socket, road: Road) -> None:
        """Let in on the implicit TLS port.

        The loop's own TLS server tells nobody of a handshake that fails.
        """
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            if number % _ACCEPTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:  # out of file descriptors, or a peer already gone
                log.warning("accept failed: errno %s", error.errno)
                await asyncio.sleep(0.1)
                continue
            ticket = self._services.gate.admit(plain_address(address[0]))
            if ticket is None:
                self._services.counters.connections_refused += 1
                connection.close()
                continue
            session = SmtpSession(self._services, road, loop, ticket)
            self._keep(loop.create_task(self._secure(session, connection, address)))

    async def _secure(
        self, session: SmtpSession, connection: socket.socket, address: tuple[str, int]
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: session,
                connection,
                ssl=self._services.tls[session.road],
                ssl_handshake_timeout=self._settings.handshake_timeout_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except BaseException as error:
            session.forget()
            connection.close()
            if not isinstance(error, OSError):
                raise
            peer = Peer(plain_address(address[0]), address[1], "submission", session.id, False)
            report_failed_handshake(self._services, session.road, peer, error)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        period = self._settings.clock_period_seconds
        while True:
            await asyncio.sleep(period)
            now = loop.time()
            for number, session in enumerate(list(self._services.sessions), 1):
                session.watch(now)
                if number % _WATCHED_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_listeners(self) -> None:
        for server in self._servers:
            server.close()
        # The loop must have let go of a socket before it is closed, or its number may serve another.
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._accepting.clear()
        for listener in self._listeners:
            listener.close()
        self._servers.clear()
        self._listeners.clear()


def _listeners(addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    """Listening sockets. Port 0 takes a free one, the same for all addresses."""
    found: list[socket.socket] = []
    try:
        if not addresses:
            dual = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if dual else socket.AF_INET
            found.append(
                socket.create_server(("", port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual)
            )
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append(socket.create_server((address, port), family=family, backlog=_BACKLOG))
            port = port or found[0].getsockname()[1]
    except OSError:
        for listener in found:
            listener.close()
        raise
    for listener in found:
        listener.setblocking(False)
    return found
