"""Canonicalisation (RFC 6376 §3.4), as bytes in and bytes out.

Invariants: pure; what is given in slices comes to the same as what is given whole, wherever it was cut; the time taken
grows with the size alone, however strangely blanks and line ends are laid; a slice holds the interpreter for well under
a millisecond, so that a large letter is hashed in a thread beside a living loop.
"""

from __future__ import annotations

import hashlib
import re

SLICE = 1 << 17
_CRLF = b"\r\n"
_BLANKS = re.compile(rb"[ \t]++")
_FOLD = re.compile(rb"\r?\n")


def field(name: bytes, value: bytes) -> bytes:
    """One header field; `value` is all that follows the colon (RFC 6376 §3.4.2)."""
    unfolded = _FOLD.sub(b"", value)
    return name.strip(b" \t").lower() + b":" + _BLANKS.sub(b" ", unfolded).strip(b" \r\n") + _CRLF


class RelaxedBody:
    """The SHA-256 of a body, given slice after slice (RFC 6376 §3.4.4)."""

    __slots__ = ("_blank", "_carriage", "_hash", "_lines", "_written")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._blank = False  # a blank that a line end would swallow
        self._carriage = False  # a CR whose LF may come with the next slice
        self._lines = 0  # line ends that count only when something follows
        self._written = False

    def update(self, piece: bytes) -> None:
        if self._carriage:
            piece, self._carriage = b"\r" + piece, False
        if piece.endswith(b"\r"):
            piece, self._carriage = piece[:-1], True
        if self._blank:
            piece, self._blank = b" " + piece, False
        piece = _collapsed(piece).replace(b" \r\n", _CRLF)
        if piece.endswith(b" "):
            piece, self._blank = piece[:-1], True
        self._take(piece)

    def digest(self) -> bytes:
        if self._carriage:
            self._take(b" \r" if self._blank else b"\r")
        if self._written:
            # One line end closes what is not empty, whether it was there or not.
            self._hash.update(_CRLF)
        return self._hash.digest()

    def _take(self, piece: bytes) -> None:
        ends = _line_ends(piece)
        kept = piece[: len(piece) - 2 * ends] if ends else piece
        if kept:
            if self._lines:
                self._hash.update(_CRLF * self._lines)
            self._hash.update(kept)
            self._written = True
            self._lines = 0
        self._lines += ends


def relaxed_body(body: bytes) -> bytes:
    """A body as a verifier hashes it (RFC 6376 §3.4.4)."""
    kept = _without_last_ends(_collapsed(body).replace(b" \r\n", _CRLF))
    return kept + _CRLF if kept else b""


def simple_body(body: bytes) -> bytes:
    """The same of RFC 6376 §3.4.3: a body of nothing is one line end."""
    return _without_last_ends(body) + _CRLF


def body_hash(message: bytes, start: int) -> bytes:
    """Of the body that begins at `start`."""
    hashed = RelaxedBody()
    for at in range(start, len(message), SLICE):
        hashed.update(message[at : at + SLICE])
    return hashed.digest()


def _without_last_ends(body: bytes) -> bytes:
    return body[: len(body) - 2 * _line_ends(body)]


def _collapsed(piece: bytes) -> bytes:
    """Runs of blanks become one: as many passes as the longest run has binary digits."""
    if b"\t" in piece:
        piece = piece.replace(b"\t", b" ")
    while b"  " in piece:
        piece = piece.replace(b"  ", b" ")
    return piece


def _line_ends(piece: bytes) -> int:
    """How many CRLF stand at the end. By halves: a long tail of mixed CR and LF must not cost its square."""
    if not piece.endswith(_CRLF):
        return 0
    tail = len(piece) - len(piece.rstrip(_CRLF))
    pattern = _CRLF * (tail // 2)
    least, most = 1, tail // 2
    while least < most:
        middle = (least + most + 1) // 2
        if piece.endswith(pattern[: 2 * middle]):
            least = middle
        else:
            most = middle - 1
    return least
