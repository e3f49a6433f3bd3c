"""PGP/MIME (RFC 3156): knowing what came encrypted, taking its ciphertext out, wrapping our own.

Invariants: reading is tolerant and never raises; what is said to be encrypted is only a claim until the
packets are looked at; a wrapped message is `head + armor + tail`, CRLF throughout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from mail_server.mime.headers import FIELD, decode_base64, parameter_text
from mail_server.mime.parts import Part
from mail_server.mime.sections import UnknownEncoding, decoded_body

_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_END = b"-----END PGP MESSAGE-----"
_BLANK = re.compile(rb"\n[ \t]*\r?\n")
_CHECKSUM = re.compile(rb"\n=[A-Za-z0-9+/]{4}[ \t\r\n]*\Z")
_SIGNED_ONLY = frozenset({"signed-data", "certs-only", "compressed-data"})


@dataclass(frozen=True, slots=True)
class Ciphertext:
    data: bytes = field(repr=False)  # binary OpenPGP packets
    clear_bytes: int  # octets of the message's body that lie outside the armor and the PGP/MIME frame


def is_encrypted(tree: Part) -> Literal["pgp", "smime"] | None:
    """What the structure of a message claims: PGP/MIME, or enveloped S/MIME (RFC 8551 §3.2)."""
    if tree.type == "multipart" and tree.subtype == "encrypted":
        protocol = parameter_text(tree.params, b"protocol") or ""
        if (
            protocol.strip().lower() == "application/pgp-encrypted"
            and len(tree.children) == 2
            and tree.children[0].content_type == "application/pgp-encrypted"
            and tree.children[1].type == "application"
        ):
            return "pgp"
    elif tree.type == "application" and tree.subtype in ("pkcs7-mime", "x-pkcs7-mime"):
        kind = (parameter_text(tree.params, b"smime-type") or "enveloped-data").strip().lower()
        if kind not in _SIGNED_ONLY:
            return "smime"
    return None


def inline_pgp(message: bytes, tree: Part) -> bool:
    """Whether the text of a message is an armored OpenPGP message (before PGP/MIME)."""
    if tree.type != "text":
        return False
    body = decoded_or_raw(message, tree)
    return body.lstrip().startswith(_BEGIN) and _END in body


def ciphertext(message: bytes, tree: Part) -> Ciphertext | None:
    """The binary OpenPGP message in a PGP/MIME or inline one; None when there is none."""
    if is_encrypted(tree) == "pgp":
        version, sealed = tree.children
        frame = (version.body_start - version.header_start) + (sealed.body_start - sealed.header_start)
        around = tree.size - frame - sealed.size - min(version.size, len(b"Version: 1\r\n"))
    elif inline_pgp(message, tree):
        sealed, around = tree, 0
    else:
        return None
    armored = decoded_or_raw(message, sealed)
    if armored[:1] >= b"\x80":  # not armored at all: RFC 3156 §4 wants armor, some programs forget
        return Ciphertext(armored, around)
    begin = armored.find(_BEGIN)
    data = dearmor(armored)
    if data is None:
        return None
    end = armored.find(_END, begin) + len(_END)
    clear = len(armored[:begin].strip()) + len(armored[end:].strip())
    return Ciphertext(data, around + clear)


def decoded_or_raw(message: bytes, part: Part) -> bytes:
    try:
        return decoded_body(message, part)
    except UnknownEncoding:
        return part.body(message)


def dearmor(text: bytes) -> bytes | None:
    """The bytes in the first armored message (RFC 9580 §6.2); its checksum is not looked at (§6.1)."""
    begin = text.find(_BEGIN)
    if begin < 0:
        return None
    begin += len(_BEGIN)
    end = text.find(_END, begin)
    if end < 0:
        return None
    blank = _BLANK.search(text, begin - 1, end)
    if blank is not None:
        begin = blank.end()
    block = text[begin:end]
    checksum = _CHECKSUM.search(block, max(len(block) - 64, 0))
    if checksum is not None:
        block = block[: checksum.start()]
    return decode_base64(block) or None


def wrap(outer_header_fields: bytes, boundary: str) -> tuple[bytes, bytes]:
    """What stands before and after the armor of a message we seal (RFC 3156 §4).

    The outer fields keep their bytes; Content-* fields among them are ours to write and are left out.
    """
    kept: list[bytes] = []
    versioned = False
    for match in FIELD.finditer(outer_header_fields):
        name = (match[1] or b"").lower()
        if not name or name.startswith(b"content-"):
            continue
        versioned = versioned or name == b"mime-version"
        raw = match[0]
        kept.append(raw if raw.endswith(b"\n") else raw + b"\r\n")
    if not versioned:
        kept.append(b"MIME-Version: 1.0\r\n")
    line = boundary.encode("ascii")
    kept.append(
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="%b"\r\n'
        b"\r\n"
        b"--%b\r\n"
        b"Content-Type: application/pgp-encrypted\r\n"
        b"Content-Description: PGP/MIME version identification\r\n"
        b"\r\n"
        b"Version: 1\r\n"
        b"\r\n"
        b"--%b\r\n"
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
        b"Content-Description: OpenPGP encrypted message\r\n"
        b'Content-Disposition: inline; filename="encrypted.asc"\r\n'
        b"\r\n" % (line, line, line)
    )
    return b"".join(kept), b"\r\n--%b--\r\n" % line
