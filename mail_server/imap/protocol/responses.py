"""What the server says: strings, flags, dates and codes as bytes (RFC 3501 §7, RFC 9051 §7).

Invariant: whatever the value, the result is one well-formed token: what quotes cannot carry is a literal.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterable

from mail_server.imap.protocol.utf7 import encode

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_PRINTABLE = re.compile(r"[^\x20-\x7e]")


def string(value: bytes, utf8: bool = False) -> bytes:
    """Quoted when quotes can carry it, else a literal."""
    if len(value) <= 1000 and (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).fullmatch(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def literal(value: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(value), value)


def astring(value: bytes) -> bytes:
    if value.upper() != b"NIL" and _ATOM.fullmatch(value):
        return value
    return string(value)


def mailbox(name: str, utf8: bool) -> bytes:
    """mUTF-7 for IMAP4rev1, UTF-8 once IMAP4rev2 is enabled (RFC 9051 §5.1)."""
    if utf8:
        return string(name.encode("utf-8", "replace"), utf8=True)
    return string(encode(name))


def line_text(text: str) -> bytes:
    """A human sentence that cannot break the line it stands in."""
    return _PRINTABLE.sub("?", text).encode("ascii")


@functools.lru_cache(maxsize=4096)
def internal_date(milliseconds: int) -> bytes:
    """RFC 9051 §9 `date-time`, in UTC."""
    t = time.gmtime(milliseconds // 1000)
    return b'"%2d-%b-%04d %02d:%02d:%02d +0000"' % (
        t.tm_mday,
        _MONTHS[t.tm_mon - 1],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def parenthesized(words: Iterable[bytes]) -> bytes:
    return b"(" + b" ".join(words) + b")"
