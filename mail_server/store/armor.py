"""The fixed ASCII armor of a sealed message: the same bytes at each reading, so sizes and parts never move.

Invariants: 76 characters a line, CRLF, no armor header; the length is plain arithmetic on the length of what is
armored. The checksum is there although RFC 9580 §6.1 would leave it out: GnuPG 2.2 takes the END line for data when
neither padding nor checksum precedes it, and then shows nothing (seen with 2.2.40 for each third length).
"""

from __future__ import annotations

import binascii
import struct

_LINE = 76
_BEGIN = b"-----BEGIN PGP MESSAGE-----\r\n\r\n"
_CHECKSUM_LINE = 7  # "=xxxx" and CRLF
_END = b"-----END PGP MESSAGE-----\r\n"
# Cutting a block of lines in one call is the fastest way there is without leaving the standard library.
_BLOCK_LINES = 512
_BLOCK = struct.Struct(f"{_LINE}s" * _BLOCK_LINES)


def armor(key_packets: bytes, body: bytes) -> bytes:
    """The armored message: from BEGIN to the CRLF after END."""
    data = key_packets + body if key_packets else body
    text = binascii.b2a_base64(data, newline=False)
    whole = len(text) - len(text) % _BLOCK.size
    lines = [_BEGIN[:-2]]
    for block in _BLOCK.iter_unpack(memoryview(text)[:whole]):
        lines.extend(block)
    lines.extend(text[at : at + _LINE] for at in range(whole, len(text), _LINE))
    lines.append(b"=" + binascii.b2a_base64(crc24(data).to_bytes(3, "big"), newline=False))
    lines.append(_END)
    return b"\r\n".join(lines)


def armor_size(length: int) -> int:
    """Bytes of the armored form of `length` bytes."""
    text = (length + 2) // 3 * 4
    return len(_BEGIN) + text + 2 * _text_lines(text) + _CHECKSUM_LINE + len(_END)


def armor_lines(length: int) -> int:
    """Lines of the armored form of `length` bytes (what BODYSTRUCTURE counts)."""
    return 4 + _text_lines((length + 2) // 3 * 4)


def _text_lines(text: int) -> int:
    return (text + _LINE - 1) // _LINE


# CRC-24 (RFC 9580 §6.1.1) byte by byte would take 100 ms for 1 MB in Python. The message is taken instead as one
# polynomial over GF(2), a big integer, and folded: where x^e is congruent to a few terms modulo the generator, the
# part above bit e is moved down by a few shifts and XORs, which run at memory speed. The exponents below are those
# with the fewest terms near each power of two; x^(2^23 - 1) is congruent to 1.
_GENERATOR = 0x1864CFB
_INITIAL = 0xB704CE
_ORDER = (1 << 23) - 1
_SPARSE = (
    (8379340, 0xA00400), (4184705, 0x880080), (2092364, 0xA08000), (1037857, 0x808020), (518940, 0x884000),
    (255465, 0x800880), (127744, 0x828000), (52055, 0x809000), (31527, 0x848006), (15851, 0xA22040),
    (8124, 0xF00008), (4075, 0x9A2014), (1513, 0xC10801), (964, 0xDA2488), (486, 0x99A083), (256, 0xCB800E),
    (128, 0x6243DA), (50, 0xD82548),
)  # fmt: skip
_FOLDS: tuple[tuple[int, tuple[int, ...]], ...] = (
    *((_ORDER << doubling, (0,)) for doubling in range(6, -1, -1)),
    *((exponent, tuple(bit for bit in range(24) if residue >> bit & 1)) for exponent, residue in _SPARSE),
)


def crc24(data: bytes) -> int:
    rest = (int.from_bytes(data, "big") << 24) ^ (_INITIAL << 8 * len(data))
    size = rest.bit_length()
    for exponent, shifts in _FOLDS:
        while size > exponent:
            above = rest >> exponent
            rest &= (1 << exponent) - 1
            for shift in shifts:
                rest ^= above << shift
            size = rest.bit_length()
    while size > 24:
        rest ^= _GENERATOR << (size - 25)
        size = rest.bit_length()
    return rest
