"""The fixed ASCII armor of a sealed message: the same bytes at each reading, so sizes and parts never move.

Invariants: 76 characters a line, CRLF, no armor header, no checksum (RFC 9580 §6.1 lets it be left out, and no
reader may refuse for want of it); the length is plain arithmetic on the length of what is armored.
"""

from __future__ import annotations

import binascii
import struct

_LINE = 76
_BEGIN = b"-----BEGIN PGP MESSAGE-----\r\n\r\n"
_END = b"-----END PGP MESSAGE-----\r\n"
# Cutting a block of lines in one call is the fastest way there is without leaving the standard library.
_BLOCK_LINES = 512
_BLOCK = struct.Struct(f"{_LINE}s" * _BLOCK_LINES)


def armor(key_packets: bytes, body: bytes) -> bytes:
    """The armored message: from BEGIN to the CRLF after END."""
    text = binascii.b2a_base64(key_packets + body if key_packets else body, newline=False)
    whole = len(text) - len(text) % _BLOCK.size
    lines = [_BEGIN[:-2]]
    for block in _BLOCK.iter_unpack(memoryview(text)[:whole]):
        lines.extend(block)
    lines.extend(text[at : at + _LINE] for at in range(whole, len(text), _LINE))
    lines.append(_END)
    return b"\r\n".join(lines)


def armor_size(length: int) -> int:
    """Bytes of the armored form of `length` bytes."""
    text = (length + 2) // 3 * 4
    return len(_BEGIN) + text + 2 * _text_lines(text) + len(_END)


def armor_lines(length: int) -> int:
    """Lines of the armored form of `length` bytes (what BODYSTRUCTURE counts)."""
    return 3 + _text_lines((length + 2) // 3 * 4)


def _text_lines(text: int) -> int:
    return (text + _LINE - 1) // _LINE
