"""The letter's bytes as they go after 354: dots doubled, in slices short enough for the event loop.

Invariants: lines end with CRLF and nothing else, before the first byte goes (a bare CR or LF is how one letter is
smuggled inside another); only the dots at the begin of lines are doubled (RFC 5321 §4.5.2); CRLF.CRLF stands at the
end alone.
"""

from __future__ import annotations

from collections.abc import Iterator

SLICE = 64 * 1024
END = b".\r\n"


def slices(length: int, size: int = SLICE) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + size, length)) for begin in range(0, length, size))


def has_bare_line_end(content: bytes, begin: int, stop: int) -> bool:
    """Whether a CR, an LF or a NUL in this slice is none of a CRLF's."""
    piece = content[begin:stop] if begin or stop < len(content) else content
    pairs = piece.count(b"\r\n")
    feeds, returns = piece.count(b"\n") - pairs, piece.count(b"\r") - pairs
    if feeds and begin and piece[:1] == b"\n" and content[begin - 1] == 0x0D:
        feeds -= 1
    if returns and piece[-1:] == b"\r" and content[stop : stop + 1] == b"\n":
        returns -= 1
    return bool(feeds or returns or b"\0" in piece)


def fault(content: bytes, begin: int, stop: int, *, eight_bit: bool) -> str:
    """Why this slice must not go, as a slug; "" when it may."""
    if has_bare_line_end(content, begin, stop):
        return "bare-line-end"
    return "" if eight_bit or content[begin:stop].isascii() else "eight-bit-not-offered"


def stuffed(content: bytes, begin: int, stop: int) -> bytes:
    """One slice with its dots doubled, and the end of the letter after the last one."""
    piece = content[begin:stop].replace(b"\r\n.", b"\r\n..")
    before = content[max(0, begin - 2) : begin]
    if content[begin : begin + 1] == b"." and (begin == 0 or before == b"\r\n"):
        piece = b"." + piece
    elif before[-1:] == b"\r" and content[begin : begin + 2] == b"\n." and stop - begin > 1:
        piece = b"\n.." + piece[2:]
    if stop == len(content):
        piece += END if content.endswith(b"\r\n") or not content else b"\r\n" + END
    return piece
