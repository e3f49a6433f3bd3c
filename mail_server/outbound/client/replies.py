"""What another operator's server answers: read strictly, bounded, and reduced to what may be repeated.

Invariants: a reply has three digits, the same on each of its lines (RFC 5321 §4.2.1); a line, the lines of a reply
and what is held of an unfinished one are bounded; of the peer's words only printable ASCII goes on, at most 200
characters. Nothing here reads or writes a socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LONGEST_LINE = 2048  # RFC 5321 §4.5.3.1.5 says 512; what is longer than this is no reply
MOST_LINES = 128
LONGEST_REPLY = 32 * 1024
LONGEST_WORDS = 200

_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)")
_PRINTABLE = bytes(octet if 0x20 <= octet < 0x7F else 0x3F if octet >= 0x80 else 0x20 for octet in range(256))
_CODE = re.compile(rb"[2-5][0-9][0-9](?:[ -]|\Z)")
_SPACES = re.compile(r" {2,}")


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: bytes = field(repr=False)  # of each line what follows the code, joined by LF

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), when there is one and it agrees with the reply's class."""
        found = _ENHANCED.match(self.text)
        if found is None or found[1][0] != 0x30 + self.code // 100:
            return ""
        return found[1].decode("ascii")

    @property
    def said(self) -> str:
        """The peer's words, as far as they may be repeated to people."""
        text = self.text
        found = _ENHANCED.match(text)
        if found is not None:
            text = text[found.end() :]
        words = text[: 4 * LONGEST_WORDS].translate(_PRINTABLE).decode("ascii")
        return _SPACES.sub(" ", words).strip()[:LONGEST_WORDS]


class ReplyReader:
    """Bytes in, whole replies out. `bad` says why nothing more can be read: "garbage", "endless-reply"."""

    __slots__ = ("_code", "_held", "_lines", "_size", "bad")

    def __init__(self) -> None:
        self._held: bytes = b""
        self._code = b""
        self._lines: list[bytes] = []
        self._size = 0
        self.bad = ""

    @property
    def pending(self) -> bool:
        """Whether part of a reply is held."""
        return bool(self._held or self._lines)

    def feed(self, data: bytes, most: int = MOST_LINES) -> list[Reply]:
        """The replies that are whole now, those in front of what is no reply included.

        Not many more than `most` are read: a flood of them must not hold the loop.
        """
        if self._held:
            data = self._held + data
        found: list[Reply] = []
        begin = 0
        while not self.bad and len(found) <= most:
            end = data.find(b"\n", begin)
            if end < 0:
                break
            reply = self._line(data[begin:end])
            if reply is not None:
                found.append(reply)
            begin = end + 1
        rest = data[begin:] if begin else data
        if len(rest) > LONGEST_LINE and not self.bad:
            self.bad = "endless-reply"
        self._held = b"" if self.bad else rest
        return found

    def _line(self, line: bytes) -> Reply | None:
        if line.endswith(b"\r"):
            line = line[:-1]
        code, mark, text = line[:3], line[3:4], line[4:]
        self._size += len(line)
        if len(line) > LONGEST_LINE or self._size > LONGEST_REPLY or len(self._lines) >= MOST_LINES:
            self.bad = "endless-reply"
        elif not _CODE.match(line) or (self._lines and code != self._code):
            self.bad = "garbage"
        if self.bad:
            return None
        if mark == b"-":
            self._code = code
            self._lines.append(text)
            return None
        if self._lines:
            text = b"\n".join((*self._lines, text))
            self._lines.clear()
        self._size = 0
        return Reply(int(code), text)
