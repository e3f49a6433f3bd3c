"""Input as it came, and the command lines cut from it.

Invariants: a line ends with CRLF and nothing else (RFC 5321 §2.3.8); a line with a bare CR, bare LF or NUL
is one refused line, not two commands; a line too long is thrown away up to its end and never held.
"""

from __future__ import annotations

from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.replies import Reply


class Input:
    """Bytes received and not yet used. `limit` is the longest line of any kind, CRLF included."""

    __slots__ = ("_at", "_bytes", "_dropping", "_limit", "_searched")

    def __init__(self, limit: int) -> None:
        self._bytes = b""
        self._at = 0
        self._searched = 0
        self._limit = limit
        self._dropping = False

    def __len__(self) -> int:
        return len(self._bytes) - self._at

    def feed(self, data: bytes) -> None:
        held = len(self._bytes) - self._at
        if not held:
            self._bytes, self._at, self._searched = data, 0, 0
            return
        self._searched -= self._at
        self._bytes = self._bytes[self._at :] + data
        self._at = 0

    def take(self) -> bytes:
        """All of it: what follows is content, not commands."""
        data = self._bytes[self._at :] if self._at else self._bytes
        self.clear()
        return data

    def clear(self) -> None:
        self._bytes, self._at, self._searched, self._dropping = b"", 0, 0, False

    def line(self) -> bytes | Reply | None:
        """The next line without its CRLF, the reply to a line that is refused, or None: more is wanted."""
        newline = self._bytes.find(b"\n", max(self._at, self._searched))
        if newline < 0:
            self._searched = len(self._bytes)
            if len(self) >= self._limit:
                self._bytes, self._at, self._searched = b"", 0, 0
                self._dropping = True
            return None
        begin, self._at, self._searched = self._at, newline + 1, newline + 1
        if self._dropping or newline + 1 - begin > self._limit:
            self._dropping = False
            return replies.LINE_TOO_LONG
        if newline == begin or self._bytes[newline - 1] != 13:
            return replies.BARE_NEWLINE_IN_COMMAND
        line = self._bytes[begin : newline - 1]
        if b"\r" in line or b"\0" in line:
            return replies.BARE_NEWLINE_IN_COMMAND
        return line
