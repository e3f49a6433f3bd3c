"""The AUTH command and the base64 lines of its exchange (RFC 4954 §4).

Invariants: decoding is strict; secrets are never put in a reply or an exception text.
"""

from __future__ import annotations

import binascii
import re

from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.replies import CommandRefused

_MECHANISM = re.compile(r"[A-Za-z0-9_\-]{1,20}")  # RFC 4422 §3.1


def auth(argument: str) -> tuple[str, bytes | None]:
    """The mechanism in capitals, and the initial response if there is one (`=` is the empty one)."""
    words = argument.split(" ")
    if not 1 <= len(words) <= 2 or not _MECHANISM.fullmatch(words[0]):
        raise CommandRefused(replies.AUTH_SYNTAX)
    initial = None
    if len(words) == 2:
        initial = b"" if words[1] == "=" else decoded(words[1].encode("ascii", "replace"))
    return words[0].upper(), initial


def response(line: bytes) -> bytes:
    """A client's line, decoded; `*` alone cancels."""
    if line == b"*":
        raise CommandRefused(replies.AUTH_CANCELLED)
    return decoded(line)


def decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise CommandRefused(replies.BAD_BASE64) from None


def encoded(challenge: bytes) -> str:
    return binascii.b2a_base64(challenge, newline=False).decode("ascii")
