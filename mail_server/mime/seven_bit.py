"""A letter written again so that every server can take it: no octet above 127 in a body, no line beyond what SMTP has.

RFC 6152 §3: what is not 7-bit may go to a server without 8BITMIME only once it is converted; RFC 6376 §5.3: who signs
converts first. Invariants: each part decodes to what it said; header fields keep their bytes, but for those in 8 bits
(`ascii_header`) and what names the encoding; what somebody signed or encrypted (RFC 1847 §2.1) is not touched; a letter
that needs nothing is given back itself.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from mail_server.mime.ascii_header import ascii_header
from mail_server.mime.build import base64_lines
from mail_server.mime.headers import first, select
from mail_server.mime.parts import Part, parse
from mail_server.mime.sections import IDENTITY, whole_lines

_CLOSED = frozenset({"signed", "encrypted"})
_LONGEST = 999  # 998 octets and the CR before the LF (RFC 5321 §4.5.3.1.6)
_ENCODING = "content-transfer-encoding"


def is_seven_bit(message: bytes, tree: Part) -> bool:
    """Whether there is nothing for `seven_bit` to do."""
    if not tree.header(message).isascii():
        return False
    return not any(_unfit(message, one) or not one.header(message).isascii() for one in _open(tree))


def seven_bit(message: bytes, tree: Part | None = None) -> bytes:
    tree = tree or parse(message)
    if is_seven_bit(message, tree):
        return message
    made = _written(message, tree)
    if made != message and first(tree.header(message), "mime-version") is None:
        made = b"MIME-Version: 1.0\r\n" + made  # RFC 2045 §4: without it the encoding would say nothing
    return made


def _open(part: Part) -> Iterator[Part]:
    """Of the tree, all but what lies in what is signed or encrypted."""
    if _is_closed(part):
        return
    yield part
    for child in part.children:
        yield from _open(child)


def _is_closed(part: Part) -> bool:
    return part.is_multipart and part.subtype in _CLOSED


def _unfit(message: bytes, part: Part) -> bool:
    if part.children or part.encoding not in IDENTITY or part.type in ("multipart", "message"):
        return False
    for piece in whole_lines(part.body(message)):
        if not piece.isascii() or max(map(len, piece.split(b"\n"))) > _LONGEST:
            return True
    return False


def _written(message: bytes, part: Part) -> bytes:
    """Header and body of a part."""
    header, body = ascii_header(part.header(message)), part.body(message)
    if _is_closed(part):
        return header + body
    if part.children:
        inside = _inside(message, part)
        if inside == body:
            return header + body
        if inside.isascii() and part.encoding in ("8bit", "binary"):
            header = _labelled(header, b"7bit")  # RFC 2045 §6.4: of a composite it says what lies below
        return header + inside
    if not _unfit(message, part):
        return header + body
    if part.type == "text" and b"\0" not in body:
        printable = _printable(body)
        if len(printable) <= len(body) * 4 // 3 + 256:
            return _labelled(_described(header, part, body), b"quoted-printable") + printable
    encoded = base64_lines(body)
    return _labelled(_described(header, part, body), b"base64") + encoded.removesuffix(b"\r\n")


def _inside(message: bytes, part: Part) -> bytes:
    pieces: list[bytes] = []
    position = part.body_start
    for child in part.children:
        pieces += (message[position : child.header_start], _written(message, child))
        position = child.body_end
    return b"".join((*pieces, message[position : part.body_end]))


def _printable(body: bytes) -> bytes:
    """Quoted-printable (RFC 2045 §6.7), lines as they are."""
    made: list[bytes] = []
    for piece in whole_lines(body):
        lines = piece.split(b"\r\n")
        encoded = (binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines)
        made.append(b"\r\n".join(encoded))
    return b"".join(made)


def _described(header: bytes, part: Part, body: bytes) -> bytes:
    """What nobody named is text, in UTF-8 if it can be, else in an encoding that is not known (RFC 1428 §3)."""
    if b"content-type" in part.fields:
        return header
    try:
        body.decode()
        charset = b"utf-8"
    except UnicodeDecodeError:
        charset = b"unknown-8bit"
    return b"Content-Type: text/plain; charset=" + charset + b"\r\n" + header


def _labelled(header: bytes, encoding: bytes) -> bytes:
    kept = select(header, (_ENCODING,), exclude=True)
    return b"Content-Transfer-Encoding: " + encoding + b"\r\n" + kept
