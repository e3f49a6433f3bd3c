"""Telling an IHE XDM archive from any other attachment, without unpacking it.

Invariants: never raises; decodes the first bytes of a part and, only for a ZIP, its end, where the directory
of its entries lies. What it answers is a finding, not a check: nothing here trusts the archive.
"""

from __future__ import annotations

import binascii
import struct

from mail_server.mime import Part

_HEAD = 256
_TAILS = (24_576, 196_608)  # encoded octets looked at: most directories fit the first
_MAX_ENTRIES = 2000
_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"
# How "PK\3\4" begins, by transfer encoding.
_STARTS = {"base64": b"UEsDB", "quoted-printable": b"PK=03=04"}
_MAGIC = b"PK\x03\x04"


def is_zip(message: bytes, part: Part) -> bool:
    """Whether a leaf's content begins like a ZIP archive, whatever its type and name say."""
    start = part.body_start
    return (
        message[start : min(start + 16, part.body_end)]
        .lstrip()
        .startswith(_STARTS.get(part.encoding, _MAGIC))
    )


def is_xdm(message: bytes, part: Part) -> bool:
    """Whether a ZIP holds `IHE_XDM/` or a `METADATA.XML` (IHE ITI-32)."""
    head = _decoded(
        part.encoding, message[part.body_start : min(part.body_start + _HEAD, part.body_end)], False
    )
    if len(head) >= 30:
        (length,) = struct.unpack_from("<H", head, 26)
        if _named(head[30 : 30 + length]):
            return True
    tail = b""
    for size in _TAILS:
        start = max(part.body_start, part.body_end - size)
        tail = _decoded(part.encoding, message[start : part.body_end], True)
        directory = _directory(tail)
        if directory >= 0:
            return _lists_xdm(tail, directory)
        if start == part.body_start:
            break
    return _lists_xdm(tail, tail.find(_ENTRY))


def _named(name: bytes) -> bool:
    name = name.upper().replace(b"\\", b"/")
    return name.startswith(b"IHE_XDM/") or name.rpartition(b"/")[2] == b"METADATA.XML"


def _directory(tail: bytes) -> int:
    """Where the central directory begins in `tail`; -1 when it begins before, or there is none."""
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 16:
        return -1
    (size,) = struct.unpack_from("<I", tail, end + 12)
    return end - size if size <= end and tail.startswith(_ENTRY, end - size) else -1


def _lists_xdm(tail: bytes, position: int) -> bool:
    for _ in range(_MAX_ENTRIES):
        if position < 0 or not tail.startswith(_ENTRY, position) or len(tail) < position + 46:
            return False
        name, extra, comment = struct.unpack_from("<HHH", tail, position + 28)
        position += 46
        if _named(tail[position : position + name]):
            return True
        position += name + extra + comment
    return False


def _decoded(encoding: str, chunk: bytes, from_end: bool) -> bytes:
    """Content of a piece of an encoded body, cut anywhere on one side."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(chunk)
    if encoding != "base64":
        return chunk
    digits = chunk.translate(None, b" \t\r\n")
    if from_end:
        padding = digits.find(b"=")
        if padding >= 0:
            digits = digits[:padding] + (b"==" if digits[padding + 1 : padding + 2] == b"=" else b"=")
        digits = digits[len(digits) % 4 :]  # groups of four, counted from the end
    else:
        digits = digits[: len(digits) // 4 * 4]
    try:
        return binascii.a2b_base64(digits)
    except binascii.Error:
        return b""
