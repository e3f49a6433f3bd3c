"""The server's end of one IMAP connection, sans I/O: `receive` bytes, then `next_event` until it is None.

One event at a time, because a command may change how the bytes after it are read (IDLE, AUTHENTICATE,
STARTTLS). A synchronising literal yields `ContinuationWanted`; APPEND's message yields `MessageAnnounced`
first, and waits for `accept_message` or `refuse_message`, so that nothing large is taken before someone
agreed to hold it.

Invariants: any bytes, cut anywhere, give events and never an exception; what is kept of an unfinished
command stays under `Caps`; message literals are a list of chunks, joined once.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

from mail_server.imap.protocol.commands import Append, Command
from mail_server.imap.protocol.lexer import BadCharset, Malformed
from mail_server.imap.protocol.parser import parse, parse_append, split
from mail_server.imap.protocol.states import ALLOWED, State


@dataclass(frozen=True, slots=True)
class Caps:
    line: int = 65_536  # one line
    command: int = 262_144  # all lines and literals of a command, its message apart
    early_command: int = 65_536  # the same before login
    literal: int = 65_536
    early_literal: int = 4_096
    message: int = 26_214_400
    skipped: int = 67_108_864  # octets of a refused literal we still read past
    skipped_line: int = 1_048_576  # the same of a line


@dataclass(frozen=True, slots=True)
class CommandReceived:
    command: Command


@dataclass(frozen=True, slots=True)
class CommandRejected:
    """Answer `tag status text`; `* BYE` and close when fatal."""

    tag: bytes  # b"*" when the line had none
    text: str
    status: str = "BAD"
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class ContinuationWanted:
    """Answer `+ ` so that the client sends its literal (RFC 9051 §7.6)."""


@dataclass(frozen=True, slots=True)
class MessageAnnounced:
    tag: bytes
    append: Append
    size: int
    synchronizing: bool  # the client waits for `+ ` before it sends


@dataclass(frozen=True, slots=True)
class MessageReceived:
    tag: bytes
    append: Append
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LineReceived:
    """A line asked for by `expect_line`: a SASL response, DONE."""

    line: bytes = field(repr=False)


Event = (
    CommandReceived | CommandRejected | ContinuationWanted | MessageAnnounced | MessageReceived | LineReceived
)

_MARKER = re.compile(rb"(~?)\{(\d{1,20})(\+?)\}\Z")
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,255}(?= |\Z)')


class _Phase(enum.Enum):
    LINE = enum.auto()
    LITERAL = enum.auto()
    DECIDING = enum.auto()  # a message was announced, nobody has agreed yet
    MESSAGE = enum.auto()
    SKIPPING = enum.auto()


class Connection:
    __slots__ = (
        "_announced",
        "_buffer",
        "_chunks",
        "_dead",
        "_discarding",
        "_kept",
        "_literals",
        "_message",
        "_missing",
        "_phase",
        "_raw_line",
        "_scanned",
        "_skipped",
        "_text",
        "caps",
        "state",
        "utf8",
    )

    def __init__(self, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self.state = State.NOT_AUTHENTICATED
        self.utf8 = False  # mailbox names after ENABLE IMAP4rev2
        self._buffer = bytearray()
        self._scanned = 0  # no line end before this offset
        self._raw_line = False
        self._dead = False
        self._reset()

    def _reset(self) -> None:
        self._phase = _Phase.LINE
        self._text = b""  # the command's lines so far, literal markers left in place
        self._literals: list[bytes] = []
        self._kept = 0
        self._missing = 0  # octets of the literal (or of what is skipped) still to come
        self._chunks: list[bytes] = []
        self._message: bytes | None = None
        self._announced: MessageAnnounced | None = None
        self._discarding: CommandRejected | None = None  # said once the rest of the command was read
        self._skipped = 0

    # ── what the session calls ──

    def receive(self, data: bytes) -> None:
        if self._phase is _Phase.MESSAGE and not self._buffer and len(data) <= self._missing:
            self._chunks.append(data)  # no copy for the bulk of a message
            self._missing -= len(data)
            return
        self._buffer += data

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def expect_line(self) -> None:
        """The next line is no command: it comes as LineReceived."""
        self._raw_line = True

    def discard_input(self) -> None:
        """Forget what came before TLS began (RFC 9051 §6.2.1: no injected command survives)."""
        self._buffer.clear()
        self._scanned = 0
        self._reset()

    def accept_message(self) -> None:
        """Take the announced message; the session sends the continuation if the client waits for one."""
        if self._phase is _Phase.DECIDING and self._announced is not None:
            self._phase = _Phase.MESSAGE
            self._missing = self._announced.size

    def refuse_message(self) -> None:
        """Do not take it; the session has answered the tag. What comes unasked is read past."""
        if self._phase is not _Phase.DECIDING or self._announced is None:
            return
        if self._announced.synchronizing:
            self._reset()
            return
        self._phase, self._missing = _Phase.SKIPPING, self._announced.size
        self._announced = None
        self._discarding = CommandRejected(b"", "")

    def next_event(self) -> Event | None:
        """The next event, or None until more bytes arrive (or until someone decided on a message)."""
        while not self._dead:
            if self._phase is _Phase.DECIDING:
                return None
            if self._phase is not _Phase.LINE and not self._fill():
                return None
            line = self._line()
            event = self._overlong() if line is None else self._take_line(line)
            if event is not None:
                return event
            if line is None:
                return None
        return None

    # ── literals ──

    def _fill(self) -> bool:
        """Take what the buffer holds of a literal; True when it is whole."""
        taken = min(self._missing, len(self._buffer))
        if taken:
            if self._phase is not _Phase.SKIPPING:
                self._chunks.append(bytes(self._buffer[:taken]))
            del self._buffer[:taken]
            self._scanned = 0
            self._missing -= taken
        if self._missing:
            return False
        if self._phase is not _Phase.SKIPPING:
            whole = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = []
            if self._phase is _Phase.MESSAGE:
                self._message = whole
            else:
                self._literals.append(whole)
        self._phase = _Phase.LINE
        return True

    def _announce(self, tag: bytes, name: str, at: int, marker: re.Match[bytes]) -> Event | None:
        """A line ended in `{n}`: make ready for the literal, or refuse it (RFC 7888 §4)."""
        size, waits = int(marker[2]), not marker[3]
        caps = self.caps
        early = self.state is State.NOT_AUTHENTICATED
        if name == "APPEND":
            try:
                append = parse_append(self._text[at : -len(marker[0])], self._literals, self.utf8)
            except Malformed as problem:
                return self._refuse(CommandRejected(tag, str(problem)), size, waits)
            if append is not None:
                if size > caps.message:
                    return self._refuse(CommandRejected(tag, "[TOOBIG] Message too large", "NO"), size, waits)
                append = Append(append.mailbox, append.flags, append.received_at, binary=bool(marker[1]))
                self._announced = MessageAnnounced(tag, append, size, waits)
                self._phase = _Phase.DECIDING
                return self._announced
        if size > (caps.early_literal if early else caps.literal):
            return self._refuse(CommandRejected(tag, "[TOOBIG] Literal too large"), size, waits)
        self._kept += size
        if self._kept > (caps.early_command if early else caps.command):
            return self._refuse(CommandRejected(tag, "[TOOBIG] Command too large"), size, waits)
        self._phase, self._missing = _Phase.LITERAL, size
        return ContinuationWanted() if waits else None

    def _refuse(self, rejection: CommandRejected, size: int, waits: bool) -> Event | None:
        if waits:  # the client sends nothing more of this command
            self._reset()
            return rejection
        if size > self.caps.skipped:
            return self._fatal(rejection.text)
        self._phase, self._missing = _Phase.SKIPPING, size
        self._discarding = rejection
        return None

    def _fatal(self, text: str) -> CommandRejected:
        self.discard_input()
        self._dead = True
        return CommandRejected(b"*", text, "BYE", fatal=True)

    # ── lines ──

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        return line[:-1] if line.endswith(b"\r") else line

    def _overlong(self) -> Event | None:
        """A line without end: drop what came of it, and the connection in the end."""
        if len(self._buffer) <= self.caps.line:
            return None
        if self._discarding is None:
            tag = _TAG.match(self._text or bytes(self._buffer[:256]))
            self._discarding = CommandRejected(tag[0] if tag else b"*", "Line too long")
        self._skipped += len(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return (
            self._fatal("Line too long") if self._raw_line or self._skipped > self.caps.skipped_line else None
        )

    def _take_line(self, line: bytes) -> Event | None:
        if self._raw_line:
            self._raw_line = False
            return LineReceived(line)
        marker = _MARKER.search(line)
        if self._discarding is not None:
            return self._go_on_discarding(marker)
        if self._message is not None:
            return self._end_of_append(line, marker)
        self._kept += len(line)
        if not self._text and not line.strip():
            return None
        self._text += line
        shape = split(self._text)
        if shape is None:
            tag = _TAG.match(self._text)
            return self._reject(CommandRejected(tag[0] if tag else b"*", "Not a command"), marker)
        tag, name, at = shape
        problem = self._forbidden(tag, name, line)
        if problem is not None:
            return self._reject(problem, marker)
        if marker is not None:
            return self._announce(tag, name, at, marker)
        text, literals = self._text[at:], self._literals
        self._reset()
        try:
            return CommandReceived(parse(tag, name, text, literals, self.utf8))
        except BadCharset:
            return CommandRejected(tag, "[BADCHARSET (US-ASCII UTF-8)] Charset not supported", "NO")
        except Malformed as malformed:
            return CommandRejected(tag, str(malformed))

    def _forbidden(self, tag: bytes, name: str, line: bytes) -> CommandRejected | None:
        allowed = ALLOWED.get(name)
        if allowed is None:
            return CommandRejected(tag, "Unknown command")
        if self.state not in allowed:
            return CommandRejected(tag, f"{name} is not allowed now")
        early = self.state is State.NOT_AUTHENTICATED
        if len(line) > self.caps.line or self._kept > (
            self.caps.early_command if early else self.caps.command
        ):
            return CommandRejected(tag, "[TOOBIG] Command too large")
        return None

    def _reject(self, rejection: CommandRejected, marker: re.Match[bytes] | None) -> Event | None:
        if marker is None:
            self._reset()
            return rejection
        return self._refuse(rejection, int(marker[2]), not marker[3])

    def _go_on_discarding(self, marker: re.Match[bytes] | None) -> Event | None:
        rejection = self._discarding
        if rejection is None:
            return None
        if marker is not None and marker[3]:
            return self._refuse(rejection, int(marker[2]), waits=False)
        self._reset()
        return rejection if rejection.text else None

    def _end_of_append(self, line: bytes, marker: re.Match[bytes] | None) -> Event | None:
        announced, message = self._announced, self._message
        if announced is None or message is None or line.strip():
            tag = announced.tag if announced else b"*"
            self._message = self._announced = None
            return self._reject(CommandRejected(tag, "One message at a time"), marker)
        self._reset()
        return MessageReceived(announced.tag, announced.append, message)
