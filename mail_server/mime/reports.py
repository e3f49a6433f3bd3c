"""Which letter a report is about: Original-Message-ID of a receipt (RFC 8098 §3.2.5), the header that a delivery report
gives back (RFC 3461 §6.2), for programs that write no In-Reply-To.

Invariants: never raises; nothing but Message-IDs is read, from a bounded part.
"""

from __future__ import annotations

from mail_server.mime.headers import first, header_block, message_ids
from mail_server.mime.parts import Part

_RECEIPTS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_RETURNED = frozenset({"text/rfc822-headers", "message/global-headers", "message/rfc822", "message/global"})
_OCTETS = 64 * 1024


def reported_ids(message: bytes, tree: Part) -> list[bytes]:
    """Message-IDs of what a multipart/report tells of; [] for any other message."""
    if tree.content_type != "multipart/report":
        return []
    found: list[bytes] = []
    for part in tree.children[:4]:
        block = message[part.body_start : min(part.body_end, part.body_start + _OCTETS)].lstrip(b"\r\n")
        if part.content_type in _RECEIPTS:
            found += message_ids(first(block, "original-message-id") or b"")[:1]
        elif part.content_type in _RETURNED:
            found += message_ids(first(header_block(block), "message-id") or b"")[:1]
    return found
