"""Modified UTF-7 mailbox names (RFC 3501 §5.1.3), both ways.

Invariant: `decode` takes any bytes and never raises; what is not valid mUTF-7 is kept as it stands.
"""

from __future__ import annotations

import base64
import binascii
import re

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_OUTSIDE = re.compile(r"[^\x20-\x7e]+|&")


def _unshift(match: re.Match[bytes]) -> bytes:
    text = match[1]
    if not text:
        return b"&"
    try:
        raw = base64.b64decode(text.replace(b",", b"/") + b"=" * (-len(text) % 4))
        return raw.decode("utf-16-be").encode("utf-8")
    except (binascii.Error, ValueError):
        return match[0]


def decode(name: bytes) -> str:
    """The unicode name; raw 8-bit names are read as UTF-8, else as Latin-1 (tolerant by intent)."""
    if b"&" not in name and name.isascii():
        return name.decode("ascii")
    try:
        return _SHIFTED.sub(_unshift, name).decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def decode_utf8(name: bytes) -> str:
    """A name in a session that enabled IMAP4rev2 (RFC 9051 §5.1): UTF-8, or as `decode` when it is not."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return decode(name)


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    raw = match[0].encode("utf-16-be", "surrogatepass")
    return "&" + base64.b64encode(raw).decode("ascii").rstrip("=").replace("/", ",") + "-"


def encode(name: str) -> bytes:
    return _OUTSIDE.sub(_shift, name).encode("ascii")
