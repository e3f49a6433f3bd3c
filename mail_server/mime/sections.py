"""Sections of a message as FETCH names them (RFC 9051 §6.4.5, §6.4.5.1), and BINARY (RFC 3516).

Invariants: a section is a slice of the message, or a selection of its header's own bytes; None (NIL) when the
message has no such part; `UnknownEncoding` is the one exception, and it carries no content.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Iterator, Sequence

from mail_server.mime.headers import decode_base64, select
from mail_server.mime.parts import Part

IDENTITY = frozenset({"7bit", "8bit", "binary", ""})
# RFC 2045 §6.7 rule 3: white space at the end of an encoded line is not the author's. The look-behind starts
# each run of blanks once, so that a long run costs its length.
_SLICE = 1 << 16
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


class UnknownEncoding(Exception):
    """The part's Content-Transfer-Encoding is not one we can undo (UNKNOWN-CTE)."""


def find_part(tree: Part, path: Sequence[int]) -> Part | None:
    """The part numbered `path`; the message itself for an empty path.

    Part 1 of a message that is not multipart is its body: the same `Part` as the message.
    """
    part = tree
    for depth, number in enumerate(path):
        if depth == 0 or part.is_message:
            inside = tree if depth == 0 else part.children[0]
            if not inside.is_multipart:
                if number != 1:
                    return None
                part = inside
                continue
        elif part.is_multipart:
            inside = part
        else:
            return None
        if not 1 <= number <= len(inside.children):
            return None
        part = inside.children[number - 1]
    return part


def section(
    message: bytes, tree: Part, path: Sequence[int], what: str = "", names: Collection[bytes | str] = ()
) -> bytes | None:
    """The bytes of `BODY[path.what (names)]`."""
    part = find_part(tree, path)
    if part is None:
        return None
    what = what.upper()
    if what == "":
        return part.body(message) if path else message
    if what == "MIME":
        return part.header(message) if path else None
    if path:
        # HEADER and TEXT after a number speak of the message inside a message/rfc822 part.
        if not part.is_message:
            return None
        part = part.children[0]
    if what == "TEXT":
        return part.body(message)
    if what == "HEADER":
        return part.header(message)
    if what == "HEADER.FIELDS":
        return select(part.header(message), names)
    if what == "HEADER.FIELDS.NOT":
        return select(part.header(message), names, exclude=True)
    return None


def decoded_body(message: bytes, part: Part) -> bytes:
    """A part's body without its transfer encoding. A multipart has none, whatever it says (RFC 2045 §6.4)."""
    body = part.body(message)
    encoding = part.encoding
    if part.type == "multipart" or encoding in IDENTITY:
        return body
    if encoding == "base64":
        return decode_base64(body)
    if encoding == "quoted-printable":
        return b"".join(map(_decoded_lines, whole_lines(body)))
    raise UnknownEncoding


def whole_lines(body: bytes) -> Iterator[bytes]:
    """Whole lines, in slices: one call over megabytes would keep all other threads waiting."""
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + _SLICE) + 1 or len(body)
        yield body[start:end]
        start = end


def _decoded_lines(lines: bytes) -> bytes:
    return binascii.a2b_qp(_TRAILING_BLANKS.sub(b"", lines))


def binary(message: bytes, tree: Part, path: Sequence[int]) -> bytes | None:
    """The bytes of `BINARY[path]`; the whole message, as it is, for an empty path."""
    if not path:
        return message
    part = find_part(tree, path)
    return None if part is None else decoded_body(message, part)


def binary_size(message: bytes, tree: Part, path: Sequence[int]) -> int | None:
    """`BINARY.SIZE[path]`: exact, as RFC 3516 §4.3 wants it."""
    found = binary(message, tree, path)
    return None if found is None else len(found)
