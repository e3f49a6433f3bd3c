"""CHUNKING (RFC 3030): a message in counted chunks.

Invariants: exactly `size` octets after a well-formed BDAT belong to its chunk, whatever is thought of them;
the message put together obeys the rules of DATA (no bare CR, bare LF or NUL, the same cap): a counted
message is not a way round them. Dots are plain dots here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.end_of_data import Fault, add_part, has_bare_newline_or_nul
from mail_server.smtp.protocol.replies import CommandRefused

_ARGUMENT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chunk:
    size: int
    last: bool


def chunk(argument: str) -> Chunk:
    """Parse what follows `BDAT ` (RFC 3030 §2)."""
    found = _ARGUMENT.fullmatch(argument)
    if found is None:
        raise CommandRefused(replies.CHUNK_SYNTAX)
    return Chunk(int(found[1]), found[2] is not None)


class ChunkedMessage:
    """Call `begin` at each BDAT, then `feed` until it answers with the bytes after the chunk."""

    __slots__ = ("_held", "_last", "_limit", "_missing", "drained", "fault", "parts", "size")

    def __init__(self, limit: int) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.fault: Fault | None = None
        self.drained = 0
        self._limit = limit
        self._missing = 0
        self._last = False
        self._held = b""

    def begin(self, this: Chunk) -> None:
        self._missing, self._last = this.size, this.last
        if self.size + this.size > self._limit:
            # Told at once by its count; its octets are still drained.
            self.refuse(Fault.TOO_BIG)
        if not this.size:
            # `BDAT 0 LAST` brings no octet, but may leave a CR of the chunk before without its LF.
            self._keep(b"", at_end=this.last)

    def refuse(self, fault: Fault) -> None:
        """Keep the first fault, free what is held."""
        if self.fault is None:
            self.fault = fault
        self.parts.clear()

    def feed(self, data: bytes) -> bytes | None:
        part, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(part)
        whole = not self._missing
        self._keep(part, at_end=whole and self._last)
        return rest if whole else None

    def _keep(self, part: bytes, *, at_end: bool) -> None:
        if self.fault is not None:
            self.drained += len(part)
            return
        part = self._held + part
        # A CR may have its LF in the next piece, or in the next chunk.
        self._held = b"\r" if part.endswith(b"\r") and not at_end else b""
        if self._held:
            part = part[:-1]
        if has_bare_newline_or_nul(part):
            self.refuse(Fault.BARE_NEWLINE_OR_NUL)
            return
        self.size += len(part)
        if self.size > self._limit:
            self.refuse(Fault.TOO_BIG)
        else:
            add_part(self.parts, part)
