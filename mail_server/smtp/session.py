"""The SMTP session: aiosmtpd's command table, driven by our own loop and core.

Invariants: no input ends in an exception that leaves the session; before TLS nothing but EHLO, NOOP,
STARTTLS and QUIT is obeyed; on the client road nothing but who is authenticated sends; every reply has its
enhanced code.
"""

from __future__ import annotations

import asyncio

from mail_server.accounts.interface import Exchange, Identity
from mail_server.smtp import tls
from mail_server.smtp.connection import ConnectionLost
from mail_server.smtp.protocol import parameters, replies, sasl
from mail_server.smtp.protocol.commands import LAST_IN_GROUP
from mail_server.smtp.protocol.replies import CommandRefused, Reply
from mail_server.smtp.transaction import Transactions
from policies.refusal import Refusal

# Commands whose refusal protects somebody: the audit has them, the others only annoy the client that is wrong.
_TRACED = {
    replies.STARTTLS_FIRST: "starttls-first",
    replies.ENCRYPT_FIRST: "auth-before-tls",
    replies.AUTHENTICATE_FIRST: "not-authenticated",
}


class SmtpSession(Transactions):
    """One peer's session, from the greeting to the end."""

    _errors = 0
    _login_failures = 0

    async def _handle_client(self) -> None:
        try:
            await self._greet()
            seconds = self.settings.greeting_timeout_seconds
            while not self.closing:
                await self._obey(await self.next_line(seconds))
                seconds = self.settings.command_timeout_seconds
        except ConnectionLost:
            pass
        except asyncio.CancelledError:
            self.say(replies.SHUTTING_DOWN)
            raise
        except Exception as error:
            self.say(self.incident(error))
        finally:
            self.reset()
            if not self.closing:
                self.hang_up()

    async def _greet(self) -> None:
        """RFC 5321 §3.1: the server speaks first; who does not wait is no mail program."""
        if not self.implicit_tls and self.settings.greeting_pause_seconds:
            await asyncio.sleep(self.settings.greeting_pause_seconds)
        if self.closing:
            raise ConnectionLost
        if len(self._input):
            self._out_of_turn()
        else:
            self.say(replies.greeting(self.hostname))

    async def _obey(self, line: bytes | Reply) -> None:
        try:
            await self._dispatch(line)
        except CommandRefused as refused:
            self._complain(refused.reply)
        except Refusal as refusal:
            await self.push(refusal.smtp_line)
            if not refusal.temporary:
                self._count_error()
        except ConnectionLost:
            raise
        except Exception as error:
            self.say(self.incident(error))

    async def _dispatch(self, line: bytes | Reply) -> None:
        if isinstance(line, Reply):
            raise CommandRefused(line)
        verb_octets, _, argument = line.partition(b" ")
        verb = verb_octets.decode("ascii", "replace").upper()
        method = self._smtp_methods.get(verb)
        if method is None:
            raise CommandRefused(replies.UNKNOWN_COMMAND)
        if len(line) + 2 > self.command_size_limits.get(verb, self.command_size_limit):
            raise CommandRefused(replies.AUTH_LINE_TOO_LONG if verb == "AUTH" else replies.LINE_TOO_LONG)
        try:
            text = argument.decode("utf-8").strip(" ")
        except UnicodeDecodeError:
            raise CommandRefused(replies.BAD_SYNTAX) from None
        objection = (
            None if verb == "BDAT" else self.dialogue.objection(verb)
        )  # BDAT must swallow its chunk first
        if objection is not None:
            raise CommandRefused(objection)
        if verb in LAST_IN_GROUP and len(self._input):
            self._out_of_turn()
            return
        await method(text or None)

    def _complain(self, reply: Reply) -> None:
        """A command that was not understood or came at the wrong time."""
        reason = _TRACED.get(reply)
        self.say(self.audited(reply, reason) if reason else reply)
        self._count_error()

    def _count_error(self) -> None:
        """Too many end the session: each refused MAIL is an entry of the trace, for a peer nobody knows."""
        self._errors += 1
        if self._errors >= self.settings.max_errors and not self.closing:
            self.cut(self.audited(replies.TOO_MANY_ERRORS, "too-many-errors"))

    def _out_of_turn(self) -> None:
        self.services.counters.out_of_turn += 1
        self.cut(self.audited(replies.OUT_OF_TURN, "out-of-turn"))

    # --- who is there

    async def smtp_EHLO(self, hostname: str | None) -> None:
        self._hello("EHLO", hostname)
        self._owed.append(replies.extended_hello(self.hostname, self._keywords()))

    async def smtp_HELO(self, hostname: str | None) -> None:
        self._hello("HELO", hostname)
        self.say(replies.hello(self.hostname))

    def _hello(self, verb: str, hostname: str | None) -> None:
        name = parameters.hello_name(hostname or "")
        self.reset()  # RFC 5321 §4.1.4
        self.dialogue.hello = verb
        assert self.session is not None
        self.session.host_name = name
        self.session.extended_smtp = verb == "EHLO"

    def _keywords(self) -> list[str]:
        keywords = [
            "PIPELINING",
            f"SIZE {self.settings.max_message_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
            "CHUNKING",
        ]
        if not self.dialogue.tls:
            keywords.append("STARTTLS")
        elif self.dialogue.client_road and not self.dialogue.authenticated:
            mechanisms = self.services.authenticator.mechanisms(self.peer)
            if mechanisms:
                keywords.append("AUTH " + " ".join(mechanisms))
        return keywords

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        if arg:
            raise CommandRefused(replies.NO_ARGUMENT)
        self.reset()
        self.say(replies.READY_FOR_TLS)
        try:
            dropped = await self._start_tls()
        except OSError as error:
            self._handshake_failed(error)
            return
        if dropped:
            self.audited(replies.OUT_OF_TURN, "clear-text-after-starttls", ("octets", str(dropped)))
        self._event("secured")

    async def _start_tls(self) -> int:
        """Go on under TLS.

        How many octets of clear text were waiting, and dropped. Raises as the handshake does.
        """
        await self.flush()
        dropped = len(self._input)
        self._input.clear()
        secured = await self.loop.start_tls(
            self._wire,
            self,
            self.services.tls[self.road],
            server_side=True,
            ssl_handshake_timeout=self.settings.handshake_timeout_seconds,
            ssl_shutdown_timeout=tls.SHUTDOWN_SECONDS,
        )
        if secured is None:
            raise ConnectionLost
        self.transport = secured
        self.dialogue.secured()
        self.session = self._create_session()
        self._know_peer(self.peer.address, self.peer.port)
        return dropped

    def _handshake_failed(self, error: OSError) -> None:
        """A STARTTLS that came to nothing;

        asyncio does not tell the protocol of the loss, so everything ends here.
        """
        self.closing = True
        tls.report_failed_handshake(self.services, self.road, self.peer, error)
        if self._clear_transport is not None:
            self._clear_transport.abort()
        self.forget()

    async def smtp_AUTH(self, arg: str | None) -> None:
        mechanism, response = sasl.auth(arg or "")
        try:
            exchange = self.services.authenticator.begin(mechanism, self.peer)
            if response is None:
                response = await self._challenge(b"")
            identity = await self._exchange(exchange, response)
        except Refusal as refusal:
            await self.push(refusal.smtp_line)
            self._login_failed()
            return
        except (CommandRefused, ConnectionLost):
            raise
        except Exception as error:
            self.say(replies.AUTH_UNAVAILABLE.referring(self.incident_id(error)))
            return
        self.identity = identity
        self.dialogue.authenticated = True
        assert self.session is not None
        self.session.authenticated = True
        self.services.counters.logins += 1
        self._event("authenticated", identity.mechanism)
        self.say(replies.AUTHENTICATED)

    async def _exchange(self, exchange: Exchange, response: bytes) -> Identity:
        while True:
            step = await exchange.step(response)
            if isinstance(step, Identity):
                return step
            response = await self._challenge(step)

    async def _challenge(self, challenge: bytes) -> bytes:
        if len(self._input):
            # RFC 4954 §4: the client waits for each challenge.
            self._out_of_turn()
            raise ConnectionLost
        self._owed.append(replies.challenge(sasl.encoded(challenge)))
        line = await self.next_line(self.settings.command_timeout_seconds)
        if isinstance(line, Reply):
            raise CommandRefused(replies.AUTH_LINE_TOO_LONG if line is replies.LINE_TOO_LONG else line)
        return sasl.response(line)

    def _login_failed(self) -> None:
        self.services.counters.logins_failed += 1
        self._login_failures += 1
        if self._login_failures >= self.settings.max_login_failures:
            self.cut(self.audited(replies.TOO_MANY_ERRORS, "too-many-login-failures"))

    # --- the rest

    async def smtp_RSET(self, arg: str | None) -> None:
        self._without_argument(arg)
        self.reset()
        self.say(replies.OK)

    async def smtp_NOOP(self, arg: str | None) -> None:
        self.say(replies.OK)

    async def smtp_QUIT(self, arg: str | None) -> None:
        self._without_argument(arg)
        self.cut(replies.BYE)

    async def smtp_VRFY(self, arg: str | None) -> None:
        if not arg:
            raise CommandRefused(replies.BAD_SYNTAX)
        self.say(replies.CANNOT_VERIFY)  # RFC 5321 §7.3: who has an account is nobody's to ask

    async def smtp_EXPN(self, arg: str | None) -> None:
        raise CommandRefused(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str | None) -> None:
        self.say(replies.HELP)

    def _without_argument(self, arg: str | None) -> None:
        if arg:
            raise CommandRefused(replies.NO_ARGUMENT)
