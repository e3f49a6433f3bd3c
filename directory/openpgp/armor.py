"""ASCII armor of keys and signatures, read strictly and written simply. (RFC 9580 §6.)

Invariant: what is returned is binary that stood in exactly one block of the wanted kind; text around it is
ignored. The checksum is optional and, when present, must fit.
"""

from __future__ import annotations

import base64
import binascii
import re

_BEGIN = re.compile(rb"^-----BEGIN PGP ([A-Z ,/0-9]+)-----[ \t]*\r?$", re.MULTILINE)


class ArmorError(Exception):
    """No single readable block."""


def looks_armored(data: bytes) -> bool:
    """Binary OpenPGP always starts with an octet above 127; armor never does."""
    return not data[:1] or data[0] < 0x80


def labels(data: bytes) -> list[str]:
    """The kinds of blocks present, in order."""
    return [match.group(1).decode("ascii") for match in _BEGIN.finditer(data)]


def dearmor(data: bytes, label: str) -> bytes:
    """The binary contents of the only block named `label`."""
    begins = [match for match in _BEGIN.finditer(data) if match.group(1) == label.encode("ascii")]
    if len(begins) != 1:
        raise ArmorError
    rest = data[begins[0].end() :]
    stop = rest.find(f"-----END PGP {label}-----".encode("ascii"))
    if stop < 0:
        raise ArmorError
    lines = [line.strip() for line in rest[:stop].split(b"\n")][1:]
    # Armor headers, up to an empty line; counted, for taking thousands off the list one by one takes seconds.
    begin = next((at for at, line in enumerate(lines) if b":" not in line), len(lines))
    encoded = [line for line in lines[begin:] if line]
    checksum = encoded.pop() if encoded and encoded[-1].startswith(b"=") and len(encoded[-1]) == 5 else None
    try:
        binary = base64.b64decode(b"".join(encoded), validate=True)
        wanted = base64.b64decode(checksum[1:], validate=True) if checksum is not None else None
    except binascii.Error:
        raise ArmorError from None
    if wanted is not None and wanted != crc24(binary).to_bytes(3, "big"):
        raise ArmorError
    return binary


def armor(data: bytes, label: str) -> bytes:
    """One block with 64-column lines and a checksum, LF endings."""
    encoded = base64.b64encode(data)
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    checksum = b"=" + base64.b64encode(crc24(data).to_bytes(3, "big"))
    name = label.encode("ascii")
    return b"\n".join(
        [b"-----BEGIN PGP " + name + b"-----", b"", *lines, checksum, b"-----END PGP " + name + b"-----", b""]
    )


def crc24(data: bytes) -> int:
    """RFC 9580 §6.1.1."""
    crc = 0xB704CE
    for octet in data:
        crc = ((crc << 8) & 0xFFFFFF) ^ _OF_OCTET[(crc >> 16) ^ octet]
    return crc


def _of_octet(octet: int) -> int:
    crc = octet << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= 0x1864CFB
    return crc


_OF_OCTET = tuple(map(_of_octet, range(256)))
