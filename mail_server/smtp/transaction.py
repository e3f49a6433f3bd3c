"""MAIL, RCPT, DATA, BDAT: one letter after another.

Invariants: each recipient has its own reply; nothing of a message outlives its transaction, and what was
reserved for it is given back however it ends; only a complete message reaches delivery; whatever goes wrong
there is one refusal, and the session goes on.
"""

from __future__ import annotations

import secrets
import time
import traceback
from pathlib import PurePath

from mail_server.delivery.interface import Asked, Envelope, MailParameters, Road
from mail_server.smtp.connection import Connection
from mail_server.smtp.intake import Intake
from mail_server.smtp.protocol import bdat, parameters, replies, trace
from mail_server.smtp.protocol.bdat import ChunkedMessage
from mail_server.smtp.protocol.end_of_data import EndOfData, Fault
from mail_server.smtp.protocol.replies import CommandRefused, Reply
from mail_server.smtp.services import log
from policies.refusal import Refusal

_MOST_REFUSED_RECIPIENTS = (
    1000  # in one connection: each is an entry of the trace, and tells who has an account
)
_FAULTS = {
    Fault.BARE_NEWLINE_OR_NUL: (replies.BARE_NEWLINE_OR_NUL, "malformed_messages"),
    Fault.TOO_BIG: (replies.TOO_BIG, "oversize_messages"),
    Fault.MEMORY_FULL: (replies.MEMORY_FULL, "memory_refusals"),
}


class Transactions(Connection):
    """The commands that carry letters."""

    _open: Envelope | None = None
    _chunked: Intake | None = None
    _messages = 0
    _refused_recipients = 0

    async def smtp_MAIL(self, arg: str | None) -> None:
        extended = self.dialogue.hello == "EHLO"
        command = parameters.mail(arg or "", extended=extended, auth_offered=self.dialogue.client_road)
        if self._messages >= self.settings.max_messages_per_connection:
            self.cut(replies.TOO_MANY_MESSAGES)
            return
        if command.size is not None:
            if command.size > self.settings.max_message_bytes:
                self.services.counters.oversize_messages += 1
                self.say(self.audited(replies.TOO_BIG, "too-big", ("size", str(command.size))))
                return
            if not self.services.budget.fits(command.size):
                self.services.counters.memory_refusals += 1
                self.say(self.audited(replies.MEMORY_FULL, "memory-full"))
                return
        given = MailParameters(
            command.size, command.smtputf8, command.body, ret=command.ret, envid=command.envid
        )
        sender = await self.services.delivery.admit_sender(
            self.road, command.address, given, self.peer, self.identity
        )
        self._open = Envelope(sender, given)
        self.dialogue.mail = True
        self.say(replies.SENDER_OK)

    async def smtp_RCPT(self, arg: str | None) -> None:
        envelope = self._open
        assert envelope is not None
        command = parameters.recipient(
            arg or "",
            extended=self.dialogue.hello == "EHLO",
            smtputf8=envelope.parameters.smtputf8,
            postmaster_domain=self.settings.hostname,
        )
        if self.dialogue.recipients >= self.settings.max_recipients:
            self.say(replies.TOO_MANY_RECIPIENTS)
            return
        try:
            asked = Asked(command.notify, command.orcpt)
            recipient = await self.services.delivery.admit_recipient(envelope, command.address, asked)
        except Exception as error:
            self.dialogue.refused_recipients += 1
            self.services.counters.recipients_refused += 1
            if isinstance(error, Refusal):
                await self.push(error.smtp_line)
            else:
                self.say(self.incident(error))
            self._refused_recipients += 1
            if self._refused_recipients >= _MOST_REFUSED_RECIPIENTS:
                self.cut(self.audited(replies.TOO_MANY_ERRORS, "too-many-refused-recipients"))
            return
        envelope.add(recipient)
        self.dialogue.recipients += 1
        self.services.counters.recipients_accepted += 1
        self.say(replies.RECIPIENT_OK)

    async def smtp_DATA(self, arg: str | None) -> None:
        assert self._open is not None
        if arg:
            raise CommandRefused(replies.NO_ARGUMENT)
        limit = self.settings.max_message_bytes
        intake = self._intake_for(EndOfData(limit))
        try:
            # A declared size is reserved only now, when the bytes do follow: MAIL alone holds nothing back.
            if not intake.reserve(self._open.parameters.size or 0):
                self.services.counters.memory_refusals += 1
                self.reset()
                self.say(self.audited(replies.MEMORY_FULL, "memory-full"))
                return
            self.say(replies.SEND_MESSAGE)
            await self.receive(intake)
            await self._conclude(intake)
        finally:
            intake.close()

    async def smtp_BDAT(self, arg: str | None) -> None:
        try:
            chunk = bdat.chunk(arg or "")
        except CommandRefused as refused:
            # Where the next command begins cannot be told: the chunk must not be read as commands.
            self.cut(refused.reply)
            return
        objection = self.dialogue.objection("BDAT")
        intake, self._chunked = (
            self._chunked or self._intake_for(ChunkedMessage(self.settings.max_message_bytes)),
            None,
        )
        assert isinstance(intake.reader, ChunkedMessage)
        if objection is not None:
            intake.reader.refuse(Fault.TOO_BIG)
        keep = False
        try:
            if chunk.size > 2 * self.settings.max_message_bytes:
                self.cut(self.audited(replies.CHUNK_TOO_BIG, "too-big", ("size", str(chunk.size))))
                return
            intake.reader.begin(chunk)
            self.dialogue.chunks = self.dialogue.mail
            if chunk.size:
                await self.receive(intake)
            if objection is not None:
                # RFC 3030 §2: the octets of a refused chunk are taken and thrown away.
                raise CommandRefused(objection)
            if chunk.last or intake.reader.fault is not None:
                await self._conclude(intake)
            else:
                keep = True
                self.say(replies.chunk_taken(chunk.size))
        finally:
            if keep:
                self._chunked = intake
            else:
                intake.close()

    def reset(self) -> None:
        """Forget the open transaction (RSET, EHLO, STARTTLS, end of a message, end of the session)."""
        if self._chunked is not None:
            self._chunked.close()
            self._chunked = None
        self._open = None
        self.dialogue.end_transaction()

    def incident(self, error: BaseException) -> Reply:
        """The reply to something unforeseen."""
        return replies.INTERNAL.referring(self.incident_id(error))

    def incident_id(self, error: BaseException) -> str:
        """Under this id the log has where and of what kind the error was;

        never its text, which may hold content.
        """
        self.services.counters.internal_errors += 1
        reference = secrets.token_hex(5)
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        place = f"{PurePath(frames[0].filename).name}:{frames[0].lineno}" if frames else "?"
        log.error("session %s incident %s: %s at %s", self.id, reference, type(error).__name__, place)
        return reference

    def _intake_for(self, reader: EndOfData | ChunkedMessage) -> Intake:
        limit = self.settings.max_message_bytes
        return Intake(reader, self.services.budget, limit, self.settings.data_timeout_seconds)

    async def _conclude(self, intake: Intake) -> None:
        """The message is whole, or refused: answer, and be ready for the next one."""
        counters = self.services.counters
        counters.bytes_received += intake.reader.size
        self._messages += 1
        envelope = self._open
        assert envelope is not None
        fault = intake.reader.fault
        if fault is not None:
            counters.messages_refused += 1
            reply, counter = _FAULTS[fault]
            setattr(counters, counter, getattr(counters, counter) + 1)
            reply = self.audited(reply, fault.value)
            self.reset()
            if intake.endless:
                self.cut(reply)
            else:
                self.say(reply)
            return
        if self.logged_out():
            return  # what was logged in with ended while the letter came in
        await self._deliver(envelope, intake)
        # The sender must hear of a letter at once, whatever it has sent since.
        await self.flush()

    async def _deliver(self, envelope: Envelope, intake: Intake) -> None:
        envelope.trace = self._trace_line(envelope)
        message = await intake.message()
        try:
            accepted = await self.services.delivery.deliver(envelope, message)
        except Refusal as refusal:
            self.services.counters.messages_refused += 1
            await self.push(refusal.smtp_line)
        except Exception as error:
            self.services.counters.messages_refused += 1
            self.say(self.incident(error))
        else:
            self.services.counters.messages_accepted += 1
            self._event("accepted", accepted.id)
            self.say(replies.accepted(accepted.id))
        finally:
            del message
            intake.close()
            self.reset()

    def _trace_line(self, envelope: Envelope) -> bytes:
        assert self.session is not None
        from_operator = self.road is Road.OPERATOR
        return trace.received(
            client=self.session.host_name or "",
            network=self.peer.address if from_operator else "",
            by=self.settings.hostname,
            protocol=trace.protocol_name(
                extended=self.dialogue.hello == "EHLO",
                tls=self.peer.tls,
                authenticated=self.identity is not None,
                smtputf8=envelope.parameters.smtputf8,
            ),
            identifier=f"{self.id}.{self._messages}",
            at=time.time(),
        )
