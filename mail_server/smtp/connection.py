"""aiosmtpd's SMTP class with its stream machinery taken out: bytes in, replies out, TLS, time.

Invariants: input is held in one bounded buffer, or goes straight to the message coming in; replies to
commands that came together leave together (RFC 2920 §3.2); STARTTLS drops what was received in clear (RFC
3207 §4.2); a lost connection wakes the session with `ConnectionLost` and interrupts nothing that is already
being delivered.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import cast

from aiosmtpd.smtp import SMTP

from mail_server.accounts import channel_binding
from mail_server.accounts.interface import Identity, Peer
from mail_server.accounts.standing import ended
from mail_server.delivery.interface import Road
from mail_server.smtp import tls
from mail_server.smtp.intake import Intake
from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.commands import LONGEST_LINE, Dialogue, line_limits
from mail_server.smtp.protocol.lines import Input
from mail_server.smtp.protocol.replies import Reply
from mail_server.smtp.services import Services, SessionEvent
from policies.refusal import Refusal

_HIGH_WATER, _LOW_WATER = 16 * 1024, 4 * 1024
_LINES_BEFORE_YIELD = 32  # commands that came together may not hold the loop (DESIGN §3: 2 ms)
LINGER_SECONDS = 5.0


class ConnectionLost(Exception):
    """The peer is gone, or was told to go."""


class Connection(SMTP):
    """One connection. `ticket` is its place in the gate, when the door has already let it in."""

    def __init__(
        self, services: Services, road: Road, loop: asyncio.AbstractEventLoop, ticket: str | None = None
    ):
        # aiosmtpd keeps these in one dict of the class, which each new connection clears for all.
        self.command_size_limits = {}
        super().__init__(None, hostname=services.settings.hostname, enable_SMTPUTF8=True, loop=loop)
        self.command_size_limits.update(line_limits(smtputf8=True))
        self.services = services
        self.settings = services.settings
        self.road = road
        self.id = secrets.token_hex(8)
        self.dialogue = Dialogue(client_road=road is Road.CLIENT)
        self.peer = Peer("", 0, "", self.id, False)
        self.identity: Identity | None = None
        self.deadline = math.inf
        self.implicit_tls = False
        self.eof = False
        self.closing = False
        self._clear_transport: asyncio.Transport | None = None
        self._ticket = ticket
        self._input = Input(LONGEST_LINE)
        self._intake: Intake | None = None
        self._owed: list[bytes] = []
        self._fresh = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._idle = False
        self._streak = 0

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = self._clear_transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.transport = wire
        self.session = self._create_session()
        self.implicit_tls = transport.get_extra_info("ssl_object") is not None
        self.dialogue.tls = self.implicit_tls
        address = transport.get_extra_info("peername") or ("", 0)
        self._know_peer(tls.plain_address(str(address[0])), int(address[1]))
        if self._ticket is None:
            self._ticket = self.services.gate.admit(self.peer.address)
        if self._ticket is None:
            self.services.counters.connections_refused += 1
            wire.write(replies.TOO_MANY_CONNECTIONS.wire)
            wire.close()
            return
        self.services.counters.connections += 1
        self.services.sessions.add(self)
        self._event("connected")
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    def _know_peer(self, address: str, port: int) -> None:
        protocol = "submission" if self.road is Road.CLIENT else "smtp"
        certificate = tls.peer_certificate(self._wire) if self.dialogue.tls else None
        end_point = channel_binding.of_connection(self._wire) if self.dialogue.tls else None
        self.peer = Peer(address, port, protocol, self.id, self.dialogue.tls, certificate, end_point)
        assert self.session is not None
        self.session.peer = self.id  # whatever aiosmtpd might log stays opaque

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        intake = self._intake
        if intake is not None:
            if not intake.feed(data, self.loop.time()):
                return
            self._intake = None
            self._input.feed(intake.rest)
        else:
            self._input.feed(data)
            if self._reading and len(self._input) > _HIGH_WATER:
                self._reading = False
                self._wire.pause_reading()
        self._fresh = True
        self._wake()

    def eof_received(self) -> bool:
        self.eof = True
        self._wake()
        return not self.dialogue.tls  # in clear, what was already asked is still answered

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = self.eof = True
        self.pause_writing()
        self.resume_writing()
        self._wake()
        self.forget()

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- what the door tells

    def watch(self, now: float) -> None:
        """Called about every second: whether the login still holds, time limits and the slowest pace."""
        intake = self._intake
        if not self.closing and (self._idle or intake is not None) and self.logged_out():
            return
        if intake is not None and not self.closing:
            if intake.too_slow(now, self.settings.min_bytes_per_second, self.settings.min_rate_after_seconds):
                self.services.counters.slow_senders += 1
                self.cut(self.audited(replies.TOO_SLOW, "slow-sender"))
            elif now > intake.deadline:
                self.services.counters.timeouts += 1
                self.cut(replies.TIMED_OUT)
        elif now > self.deadline:
            if self.closing:
                self._wire.abort()
                self.forget()
            else:
                self.services.counters.timeouts += 1
                self.cut(replies.TIMED_OUT)

    def logged_out(self) -> bool:
        """Whether what it logged in with holds no longer; then it is told, and the connection ends."""
        why = ended(self.services.accounts, self.identity) if self.identity is not None else None
        if why is None:
            return False
        self.cut(self.audited(replies.LOGIN_OVER, why.value))
        return True

    def retire(self) -> None:
        """The door is stopping: go if nothing is open (RFC 5321 §3.8)."""
        if self._idle and not self.dialogue.mail:
            self.cut(replies.SHUTTING_DOWN)

    def cut(self, reply: Reply) -> None:
        """Say why and hang up."""
        self._owed.append(reply.wire)
        self.hang_up()
        self._wake()

    async def finished(self) -> None:
        """Wait for the session's own end."""
        if self._handler_coroutine is not None:
            await asyncio.wait([self._handler_coroutine])

    def interrupt(self) -> None:
        """Grace is over."""
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        self._wire.abort()

    # --- what the session uses

    @property
    def _wire(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self.transport)

    def say(self, reply: Reply) -> None:
        self._owed.append(reply.wire)

    async def push(self, status: str | bytes) -> None:
        """aiosmtpd's way to answer; nothing is sent before the session needs more input."""
        line = status.encode("ascii", "replace") if isinstance(status, str) else status
        self._owed.append(line.replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n")

    async def flush(self) -> None:
        if self._owed and not self._wire.is_closing():
            self._wire.write(b"".join(self._owed))
        self._owed.clear()
        if self._writable is not None:
            self.deadline = min(self.deadline, self.loop.time() + self.settings.command_timeout_seconds)
            await self._writable
        if self.closing:
            raise ConnectionLost

    def hang_up(self) -> None:
        """Send what is owed and close; a peer that does not read is cut off a little later by `watch`."""
        if self._owed and not self._wire.is_closing():
            self._wire.write(b"".join(self._owed))
        self._owed.clear()
        self.closing = True
        self.deadline = self.loop.time() + LINGER_SECONDS
        self._wire.close()

    def forget(self) -> None:
        """Give the place in the gate back. Once."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self.services.gate.leave(ticket)
            self.services.sessions.discard(self)
            # aiosmtpd's tables of bound methods hold the session; without them it is freed at once.
            self._smtp_methods.clear()
            self._auth_methods.clear()
            self._event("closed")

    async def next_line(self, seconds: float) -> bytes | Reply:
        """The next command line, or the reply to one that cannot be read."""
        self._streak += 1
        if self._streak > _LINES_BEFORE_YIELD:
            self._streak = 0
            await self.flush()
            await asyncio.sleep(0)
        self.deadline = self.loop.time() + seconds
        while True:
            self._fresh = False
            line = self._input.line()
            if not self._reading and len(self._input) < _LOW_WATER and not self.closing:
                self._reading = True
                self._wire.resume_reading()
            if line is not None:
                break
            self._idle = True
            await self.flush()
            if self.services.stopping and not self.dialogue.mail:
                self.cut(replies.SHUTTING_DOWN)
            await self._wait()
            self._idle = False
        self.deadline = math.inf
        return line

    async def receive(self, intake: Intake) -> None:
        """Let the coming bytes go to `intake` until it has enough."""
        await self.flush()
        self.deadline = math.inf
        intake.begin(self.loop.time())
        before, self._fresh = self._input.take(), False
        if before and intake.feed(before, self.loop.time()):
            self._input.feed(intake.rest)
            return
        if not self._reading:
            self._reading = True
            self._wire.resume_reading()
        self._intake = intake
        try:
            await self._wait()
        finally:
            self._intake = None

    def audited(self, reply: Reply, reason: str, *detail: tuple[str, str]) -> Reply:
        """The reply of a refusal the door decides by itself, with the id under which the audit has it."""
        refusal = Refusal(reply.code, reply.enhanced, reply.text, reason)
        self.services.delivery.refused(self.road, self.peer, reason, (("reference", refusal.id), *detail))
        self._event("refused", f"{reason} {refusal.id}")
        return reply.referring(refusal.id)

    async def _wait(self) -> None:
        """Sleep until there is input, or the peer is gone."""
        if not self._fresh:
            if self.closing or self.eof:
                raise ConnectionLost
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.closing or not self._fresh:
            raise ConnectionLost

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _event(self, name: str, detail: str = "") -> None:
        self.services.event(SessionEvent(self.id, self.road, name, detail))
