"""The server's end of one LDAP connection, sans I/O: `receive` bytes, then `next_event` until it is None.

| state | what is read | what leads out of it |
|---|---|---|
| OPEN | any request | Bind: BINDING; StartTLS: SECURING; Unbind or a protocol error: CLOSED |
| BINDING | nothing: what comes waits (RFC 4511 §4.2.1) | `bind_answered`: OPEN |
| SECURING | nothing: whatever comes is a protocol error | `secured`: OPEN; `not_secured`: OPEN |
| CLOSED | nothing | |

Invariants: any bytes, cut anywhere, give events or ProtocolError and nothing else; a message longer than
`LARGEST_MESSAGE` is refused when its length is read, before it is kept; every request but Unbind and Abandon is
outstanding until `answered` or `abandoned`, and no number is outstanding twice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NoReturn

from directory.ldap.protocol import ber, messages, responses
from directory.ldap.protocol.codes import START_TLS, ResultCode
from directory.ldap.protocol.controls import Page, page_of
from directory.ldap.protocol.messages import Abandon, Bind, Extended, Request, RequestRefused, Unbind

LARGEST_MESSAGE = 65_536
MOST_OUTSTANDING = 64
MOST_OCTETS_OUTSTANDING = 262_144  # of the messages that ask: each is held until it is answered


class State(enum.Enum):
    OPEN = enum.auto()
    BINDING = enum.auto()
    SECURING = enum.auto()
    CLOSED = enum.auto()


class ProtocolError(Exception):
    """The connection must end, after `notice` was sent (RFC 4511 §4.1.1)."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.notice = responses.notice(ResultCode.PROTOCOL_ERROR, words)


@dataclass(frozen=True, slots=True)
class Requested:
    message_id: int
    tag: int
    request: Request
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing to do but to send this: the request was understood so far that its answer is known."""

    answer: bytes
    code: ResultCode


Event = Requested | Refused


class Connection:
    __slots__ = ("_at", "_buffer", "_octets", "_outstanding", "state")

    def __init__(self) -> None:
        self.state = State.OPEN
        self._buffer = bytearray()
        self._at = 0  # what lies before it was read
        self._outstanding: dict[int, tuple[int, int]] = {}  # tag and octets
        self._octets = 0  # of all that are outstanding

    # ── what came ──

    def receive(self, data: bytes) -> None:
        """Raises ProtocolError for what comes between a StartTLS and its handshake."""
        if self.state is State.CLOSED:
            return
        if self.state is State.SECURING and data:
            self._end("nothing may follow StartTLS before its answer")
        self._buffer += data

    @property
    def buffered(self) -> int:
        return len(self._buffer) - self._at

    def next_event(self) -> Event | None:
        """Raises ProtocolError."""
        if self.state is not State.OPEN:
            return None
        data = self._message()
        if data is None:
            return None
        try:
            envelope = messages.opened(data)
        except ber.Undecodable as wrong:
            self._end(str(wrong))
        message_id, tag = envelope.message_id, envelope.tag
        if message_id in self._outstanding and tag not in (messages.UNBIND, messages.ABANDON):
            # RFC 4511 §4.1.1.1: whose answer would be whose?
            self._end("a number that another request has")
        try:
            request = messages.request(data, envelope)
            return self._taken(message_id, tag, len(data), request, page_of(request, envelope.controls))
        except ber.Undecodable as wrong:
            self._end(str(wrong))
        except RequestRefused as refused:
            if tag in (messages.UNBIND, messages.ABANDON):
                # RFC 4511 §4.11: not answered. An unbind ends the connection whatever controls it has.
                return self._taken(message_id, tag, len(data), messages.request(data, envelope), None)
            return Refused(self._refusal(message_id, tag, refused), refused.code)

    def _message(self) -> bytes | None:
        buffer, at = self._buffer, self._at
        if at == len(buffer):
            buffer.clear()
            self._at = 0
            return None
        try:
            length = ber.message_length(buffer[at : at + 6], LARGEST_MESSAGE)
        except ber.Undecodable as wrong:
            self._end(str(wrong))
        if length is None or len(buffer) - at < length:
            if at:
                del buffer[:at]
                self._at = 0
            return None
        self._at = at + length
        return bytes(buffer[at : at + length])

    def _taken(self, message_id: int, tag: int, octets: int, request: Request, page: Page | None) -> Event:
        if isinstance(request, Unbind):
            self._close()
        elif not isinstance(request, Abandon):
            too_many = len(self._outstanding) >= MOST_OUTSTANDING
            if too_many or self._octets + octets > MOST_OCTETS_OUTSTANDING:
                busy = RequestRefused(ResultCode.BUSY, "too many requests at once")
                return Refused(self._refusal(message_id, tag, busy), busy.code)
            if isinstance(request, Bind):
                self.state = State.BINDING
            elif isinstance(request, Extended) and request.name == START_TLS:
                self._secure()
            self._outstanding[message_id] = tag, octets
            self._octets += octets
        return Requested(message_id, tag, request, page)

    def _secure(self) -> None:
        # RFC 4511 §4.14.1; what was slipped in behind it in clear must never be taken for what came over TLS.
        if self.buffered:
            self._end("nothing may follow StartTLS before its answer")
        self.state = State.SECURING

    @staticmethod
    def _refusal(message_id: int, tag: int, refused: RequestRefused) -> bytes:
        if tag == messages.EXTENDED:
            return responses.extended(message_id, refused.code, refused.words)
        return responses.result(message_id, tag, refused.code, refused.words)

    # ── what became of it ──

    @property
    def outstanding(self) -> int:
        return len(self._outstanding)

    def tag_of(self, message_id: int) -> int | None:
        """Of an outstanding request."""
        return held[0] if (held := self._outstanding.get(message_id)) is not None else None

    def answered(self, message_id: int) -> bool:
        """Before its last answer is sent. False: it is not outstanding any more, so that nothing may be sent."""
        held = self._outstanding.pop(message_id, None)
        if held is None:
            return False
        self._octets -= held[1]
        return True

    def abandoned(self, message_id: int) -> bool:
        """False: no such request is outstanding, or it cannot be abandoned (RFC 4511 §4.11: bind, StartTLS)."""
        if self.state is not State.OPEN:
            return False
        return self.answered(message_id)

    def bind_answered(self) -> None:
        if self.state is State.BINDING:
            self.state = State.OPEN

    def secured(self) -> None:
        """TLS is there, or will not be; requests are read again."""
        if self.state is State.SECURING:
            self.state = State.OPEN

    def _close(self) -> None:
        self.state = State.CLOSED
        self._buffer.clear()
        self._at = 0
        self._outstanding.clear()
        self._octets = 0

    def _end(self, words: str) -> NoReturn:
        self._close()
        raise ProtocolError(words)
