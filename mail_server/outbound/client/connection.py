"""One connection to another operator's server: aiosmtplib's client, with PIPELINING and without its trust.

The library connects, says EHLO and QUIT and upgrades to TLS. It has no PIPELINING, pairs replies with commands by
hope, and rewrites and sends content in one piece; here replies are read by `ReplyReader`, counted against what was
asked, and content goes in slices.

Invariants: nothing but EHLO and STARTTLS is ever said in clear; clear text behind the answer to STARTTLS ends the
connection (RFC 3207 §5); each wait has a limit; after anything that was not asked for the connection is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections import deque
from typing import cast

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mail_server.outbound.client import content as octets
from mail_server.outbound.client import offers, outcomes, security
from mail_server.outbound.client.offers import Offers
from mail_server.outbound.client.replies import Reply, ReplyReader
from mail_server.outbound.interface import Outcome, Phase, Verdict

QUIT_SECONDS = 5.0


class Broken(aiosmtplib.SMTPServerDisconnected):
    """The connection is gone, or must not be used: `slug` says why."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


class NotConnected(Exception):
    """No connection fit for a letter came about."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Unfit(Exception):
    """The letter's bytes must not go to this server: `slug` says why."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


class RefusedEarly(Exception):
    """The peer answered before the letter's end."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.code))
        self.reply = reply


class PeerProtocol(SMTPProtocol):
    """aiosmtplib's protocol, whose replies wait in order for who asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._owed = 1  # the greeting
        self._broken: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- what the transport tells

    def data_received(self, data: bytes) -> None:
        if self._broken is not None:
            return
        reader = self._reader
        found = reader.feed(data, self._owed)
        welcome = min(len(found), self._owed)
        self._replies.extend(found[:welcome])
        self._owed -= welcome
        if not self._owed and (welcome < len(found) or reader.pending or reader.bad):
            self.give_up("unsolicited")
        elif reader.bad:
            self.give_up(reader.bad)
        elif found:
            self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._broken is None:
            alert = isinstance(exc, ssl.SSLError)
            self._broken = Broken(security.failure_of(exc) if alert and exc else "cut")
        super().connection_lost(exc)
        self._wake()

    # --- what the connection uses

    @property
    def usable(self) -> bool:
        """Whether another letter may go: nothing was said that was not asked for, and nobody hung up."""
        return self._broken is None and not self._replies and not self._owed and self.is_connected

    @property
    def broken(self) -> Broken | None:
        return self._broken

    def give_up(self, slug: str) -> None:
        if self._broken is None:
            self._broken = Broken(slug)
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()
        self._wake()

    def ask(self, data: bytes, answers: int) -> None:
        """Write commands, or content, that so many replies will answer. Raises Broken."""
        if self._broken is not None:
            raise self._broken
        self._owed += answers
        self.write(data)

    def expect(self) -> None:
        """A reply may come from now on, before what it answers has gone whole."""
        self._owed += 1

    def early(self) -> Reply | None:
        return self._replies[0] if self._replies else None

    async def reply(self) -> Reply:
        """The next reply. Raises Broken."""
        while not self._replies:
            if self._broken is not None:
                raise self._broken
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    async def drain(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._paused:
            try:
                await self._drain_helper()
            except OSError:
                raise self._broken or Broken("cut") from None

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """The library's own way to the next reply: for the greeting, EHLO and QUIT."""
        try:
            async with asyncio.timeout(timeout):
                reply = await self.reply()
        except TimeoutError:
            raise aiosmtplib.SMTPReadTimeoutError("no reply") from None
        return SMTPResponse(reply.code, reply.text.decode("utf-8", "replace"))

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        if self._broken is not None:
            raise self._broken
        self._owed += 1
        return await super().execute_command(*args, timeout=timeout)

    async def start_tls(
        self,
        tls_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> SMTPResponse:
        """As the library's, but clear text behind the answer ends it, and TLS errors keep their reason."""
        response = await self.execute_command(b"STARTTLS", timeout=timeout)
        if response.code != 220:
            raise aiosmtplib.SMTPResponseException(response.code, response.message)
        if self._broken is not None:
            raise Broken("starttls-injection" if self._broken.slug == "unsolicited" else self._broken.slug)
        self.transport = await self._loop.start_tls(
            cast(asyncio.WriteTransport, self.transport),
            self,
            tls_context,
            server_side=False,
            server_hostname=server_hostname,
            ssl_handshake_timeout=timeout,
        )
        self._over_ssl = True
        return response

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class PeerConnection(aiosmtplib.SMTP):
    """One connection to `host` (its name, for people and SNI) at `address`."""

    def __init__(self, host: str, address: str, port: int, own_name: str, context: ssl.SSLContext) -> None:
        super().__init__(
            hostname=address,
            port=port,
            local_hostname=own_name,
            start_tls=False,
            tls_context=context,
            timeout=None,
        )
        self.host = host
        self.context = context
        self.chain: tuple[bytes, ...] = ()
        self.offers = Offers()
        self.letters = 0
        self.dirty = False
        self.idle_until = 0.0
        self._peer: PeerProtocol | None = None
        self._phase = Phase.CONNECT
        self._greeting_seconds: float | None = None

    # --- coming about

    async def secure(self, connect_seconds: float, reply_seconds: float) -> None:
        """Connect, and be inside TLS with a verified chain. Raises NotConnected; then it is closed."""
        try:
            self._greeting_seconds = reply_seconds
            await self.connect(timeout=connect_seconds)
            self._phase = Phase.HELLO
            await self.ehlo(timeout=reply_seconds)
            await self._upgrade(connect_seconds)
        except BaseException as error:
            self.cut()
            if isinstance(error, Exception):
                raise NotConnected(self._failure(error)) from None
            raise

    async def _upgrade(self, seconds: float) -> None:
        self._phase = Phase.TLS
        if not self.supports_extension("starttls"):
            raise Broken("no-starttls")  # row 5: taken out of EHLO or not, nothing goes in clear
        sni = None if _is_address(self.host) else self.host
        await self.starttls(server_hostname=sni, timeout=seconds)
        tls = self.get_transport_info("ssl_object")
        self.chain = security.chain_of(tls) if isinstance(tls, ssl.SSLObject) else ()
        if not self.chain or not security.for_servers(self.chain[0]):
            raise Broken("certificate-wrong-purpose")

    async def hello(self, seconds: float) -> None:
        """EHLO again, inside TLS: what was offered in clear is forgotten. Raises NotConnected."""
        self._phase = Phase.HELLO
        try:
            await self.ehlo(timeout=seconds)
        except BaseException as error:
            self.cut()
            if isinstance(error, Exception):
                raise NotConnected(self._failure(error)) from None
            raise
        self.offers = offers.read(self.esmtp_extensions)

    async def _create_connection(self, timeout: float | None) -> SMTPResponse:
        assert self.loop is not None
        assert self.hostname is not None
        assert self.port is not None
        peer = self._peer = PeerProtocol(self.loop)
        async with asyncio.timeout(timeout):
            self.transport, _ = await self.loop.create_connection(lambda: peer, self.hostname, self.port)
        self.protocol = peer
        self._phase = Phase.GREETING
        response = await peer.read_response(self._greeting_seconds)
        if response.code != 220:
            raise aiosmtplib.SMTPConnectResponseError(response.code, response.message)
        return response

    def _failure(self, error: Exception) -> Outcome:
        phase = self._phase
        if isinstance(error, aiosmtplib.SMTPResponseException):
            reply = Reply(error.code, error.message.encode("utf-8", "replace"))
            return outcomes.of_reply(phase, reply, self.host)
        if isinstance(error, Broken):
            if error.slug.startswith(("our-certificate", "tls-", "certificate-")):
                phase = Phase.TLS  # in TLS 1.3 the refusal of our certificate comes with the first answer
            return outcomes.ours(Verdict.LATER, phase, error.slug, self.host)
        if isinstance(error, (TimeoutError, ConnectionAbortedError)):
            # What aborts by itself is a handshake that asyncio waited for long enough.
            return outcomes.ours(Verdict.LATER, phase, "timeout", self.host)
        if phase is Phase.TLS and isinstance(error, OSError):
            return outcomes.ours(Verdict.LATER, phase, security.failure_of(error), self.host)
        return outcomes.ours(Verdict.LATER, phase, _reason_of(error), self.host)

    # --- in use

    @property
    def peer(self) -> PeerProtocol:
        """Raises Broken when there is none."""
        if self._peer is None:
            raise Broken("cut")
        return self._peer

    @property
    def usable(self) -> bool:
        return self._peer is not None and self._peer.usable

    async def send_content(self, letter: bytes, slice_seconds: float) -> None:
        """After 354: the letter and its end. Raises Unfit before the first byte, RefusedEarly, Broken."""
        peer = self.peer
        length, eight_bit = len(letter), self.offers.eight_bit
        if length <= octets.SLICE:
            if slug := octets.fault(letter, 0, length, eight_bit=eight_bit):
                raise Unfit(slug)
            peer.ask(octets.stuffed(letter, 0, length), 1)
            return
        for begin, stop in octets.slices(length):
            if slug := octets.fault(letter, begin, stop, eight_bit=eight_bit):
                raise Unfit(slug)
            await asyncio.sleep(0)
        peer.expect()
        for begin, stop in octets.slices(length):
            early = peer.early()
            if early is not None:
                raise RefusedEarly(early)
            peer.ask(octets.stuffed(letter, begin, stop), 0)
            async with asyncio.timeout(slice_seconds):
                await peer.drain()
            await asyncio.sleep(0)

    # --- its end

    async def leave(self) -> None:
        """QUIT, without waiting long. Raises nothing."""
        with contextlib.suppress(Exception):
            if self.usable:
                await self.quit(timeout=QUIT_SECONDS)
        self.cut()

    def cut(self) -> None:
        """Hang up at once."""
        if self._peer is not None:
            self._peer.give_up("cut")
        self.close()


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _reason_of(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection-refused"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "unreachable"
    return "connection-lost" if isinstance(error, OSError) else "unexpected"
