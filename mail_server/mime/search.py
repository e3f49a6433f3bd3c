"""The text of a message for SEARCH BODY and TEXT: decoded, folded, piece by piece.

Invariants: never raises; decodes at most `cap` octets in all, one part at a time, and keeps none of them. Long text
is folded in slices: each call into Python's C code keeps all other threads waiting until it ends.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from mail_server.mime.charsets import decode_text
from mail_server.mime.headers import decoded, fields
from mail_server.mime.parts import Part
from mail_server.mime.sections import UnknownEncoding, decoded_body
from mail_server.mime.unicode_forms import MARKS, normalised

SEARCH_CAP = 8 << 20
_SLICE = 1 << 16


def fold(text: str) -> str:
    """The form both sides are compared in: in the manner of i;unicode-casemap (RFC 5051)."""
    if text.isascii():
        return text.lower()
    return normalised("NFKD", text.casefold())


def searchable_text(
    message: bytes, tree: Part, headers: bool = True, cap: int = SEARCH_CAP, overlap: int = 0
) -> Iterator[str]:
    """Folded pieces: the body's parts (BODY), and with `headers` the message's own header too (TEXT).

    A long part comes in several, each beginning with the last `overlap` characters of the one before.
    """
    for part in tree.walk():
        if cap <= 0:
            return
        if part is not tree or headers:
            block = message[part.header_start : min(part.body_start, part.header_start + cap)]
            cap -= len(block)
            for found in fields(block):
                yield fold(found.name + ": " + decoded(found.value))
        if part.type == "text":
            if part.size > cap:
                continue
            cap -= part.size
            try:
                text = decode_text(decoded_body(message, part), part.charset)
            except UnknownEncoding:
                text = decode_text(part.body(message), part.charset)
            yield from _folded(text, overlap)
            if part.subtype == "html" and "&" in text:
                yield from _folded(html.unescape(text), overlap)


def _folded(text: str, overlap: int) -> Iterator[str]:
    for start in range(0, max(len(text), 1), _SLICE):
        yield fold(text[max(0, start - overlap) : start + _SLICE])


def contains(message: bytes, tree: Part, needle: str, headers: bool = True) -> bool:
    """Whether the message's text holds `needle`, as a substring."""
    wanted = fold(needle)
    # Folding makes no text shorter: what matches begins and ends within as many characters as `wanted` has.
    pieces = searchable_text(message, tree, headers, overlap=len(wanted) + MARKS)
    return any(wanted in piece for piece in pieces)
