"""The end of DATA, found in chunks of any size.

Invariants: the message ends at the first CRLF.CRLF and nowhere else; a bare CR, a bare LF or a NUL makes it
refused (RFC 5321 §2.3.8: what one server takes for a line end and another does not is how a letter is
smuggled inside another); dots are unstuffed (§4.5.2); what comes after the end is handed back; once the
message is refused, nothing of it is held while the rest is drained. Work is done by whole-chunk bytes
methods, never line by line.
"""

from __future__ import annotations

import enum
from typing import Final

_END: Final = b"\r\n.\r\n"
_SMALL_PART: Final = 4096
_NOT_SUSPECT: Final = bytes(octet for octet in range(256) if octet not in b"\r\n\0")


class Fault(enum.Enum):
    """Why a message cannot be taken."""

    BARE_NEWLINE_OR_NUL = "bare-newline"
    TOO_BIG = "too-big"
    MEMORY_FULL = "memory-full"


def has_bare_newline_or_nul(part: bytes) -> bool:
    """Whether there is a CR, LF or NUL outside of CRLF pairs.

    Struck of every other octet, the part must be CR, LF, CR, LF...; and each CR must have had its LF beside it.
    """
    suspects = part.translate(None, _NOT_SUSPECT)
    pairs = len(suspects) >> 1
    return suspects != b"\r\n" * pairs or part.count(b"\r\n") != pairs


def add_part(parts: list[bytes], part: bytes) -> None:
    """Hold one more part; small ones together, for an object of one octet takes forty octets of memory."""
    if parts and len(parts[-1]) < _SMALL_PART:
        parts[-1] += part
    elif part:
        parts.append(part)


class EndOfData:
    """Feed it what comes after `354`; `feed` answers with the bytes after the end once it is there."""

    __slots__ = ("_first", "_held", "_limit", "drained", "fault", "parts", "size")

    def __init__(self, limit: int) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.fault: Fault | None = None
        self.drained = 0  # octets thrown away since the fault
        self._limit = limit
        # DATA's own CRLF counts as the one before a first line (RFC 5321 §4.1.1.4): it is put in front,
        # then cut off.
        self._held = b"\r\n"
        self._first = True

    def refuse(self, fault: Fault) -> None:
        """Keep the first fault, free what is held."""
        if self.fault is None:
            self.fault = fault
        self.parts.clear()

    def feed(self, chunk: bytes) -> bytes | None:
        data = self._held + chunk if self._held else chunk
        end = data.find(_END)
        if end >= 0:
            self._keep(data[: end + 2])
            self._held = b""
            return data[end + 5 :]
        split = len(data) - _tail_that_may_begin_the_end(data)
        self._held = data[split:]
        self._keep(data[:split])
        return None

    def _keep(self, part: bytes) -> None:
        """Check and unstuff a part.

        It never ends inside CRLF, nor just after a CRLF that a dot may follow.
        """
        if self.fault is not None:
            self.drained += len(part)
            return
        if not part:
            return
        if has_bare_newline_or_nul(part):
            self.refuse(Fault.BARE_NEWLINE_OR_NUL)
            return
        part = part.replace(b"\r\n.", b"\r\n")
        if self._first:
            part, self._first = part[2:], False
        self.size += len(part)
        if self.size > self._limit:
            self.refuse(Fault.TOO_BIG)
        else:
            add_part(self.parts, part)


def _tail_that_may_begin_the_end(data: bytes) -> int:
    """How many last octets could be the beginning of CRLF.CRLF."""
    for length in (4, 3, 2, 1):
        if data.endswith(_END[:length]):
            return length
    return 0
