"""OpenPGP packets read byte by byte: framing, version 4 keys and signatures, session key packets.

It reads what comes from strangers, so: the only error is `PacketError`; sizes and counts are capped before
anything is copied; nothing is verified here (see `signatures`), and nothing is guessed. (RFC 4880 and RFC
9580 §4, §5.)
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_PACKETS = 2_000
MAX_SUBPACKETS = 200
MAX_CHUNKS = 100_000


class PacketError(Exception):
    """These bytes are not the OpenPGP packets they should be. Carries no byte of them."""


class Tag(enum.IntEnum):
    """Packet types this project names (RFC 9580 §5)."""

    PKESK = 1
    SIGNATURE = 2
    SKESK = 3
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    COMPRESSED = 8
    ENCRYPTED_WITHOUT_MDC = 9
    MARKER = 10
    LITERAL = 11
    TRUST = 12
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    USER_ATTRIBUTE = 17
    SEIPD = 18
    PADDING = 21


# Only these may come in partial lengths or without a length (RFC 9580 §4.2.1.4).
_STREAMED = frozenset({Tag.COMPRESSED, Tag.ENCRYPTED_WITHOUT_MDC, Tag.LITERAL, Tag.SEIPD})


@dataclass(frozen=True, slots=True)
class Span:
    """Where a packet lies: `data[start:end]` whole; its body is the concatenation of `chunks`."""

    tag: int
    start: int
    end: int
    chunks: tuple[tuple[int, int], ...]  # (from, to) offsets

    def body(self, data: bytes) -> bytes:
        """The packet's contents, copied."""
        if len(self.chunks) == 1:
            first, last = self.chunks[0]
            return data[first:last]
        return b"".join(data[first:last] for first, last in self.chunks)


def span(data: bytes, start: int = 0) -> Span:
    """Find the packet that begins at `start`, copying nothing."""
    if start >= len(data):
        raise PacketError("no packet here")
    first = data[start]
    if not first & 0x80:
        raise PacketError("not a packet header")
    if first & 0x40:
        return _new_format(data, start, first & 0x3F)
    return _old_format(data, start, (first >> 2) & 0x0F, first & 0x03)


def spans(data: bytes, limit: int = MAX_PACKETS) -> Iterator[Span]:
    """Every packet in turn; the last one ends where the data ends."""
    at = 0
    for _ in range(limit):
        if at == len(data):
            return
        found = span(data, at)
        yield found
        at = found.end
    if at != len(data):
        raise PacketError("too many packets")


def _uint(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise PacketError("cut short")
    return int.from_bytes(data[at : at + size], "big")


def _whole(data: bytes, tag: int, start: int, body: int, length: int) -> Span:
    end = body + length
    if end > len(data):
        raise PacketError("cut short")
    return Span(tag, start, end, ((body, end),))


def _old_format(data: bytes, start: int, tag: int, length_type: int) -> Span:
    if tag == 0:
        raise PacketError("reserved packet type")
    if length_type == 3:  # indeterminate: to the end of the data (RFC 9580 §4.2.2)
        if tag not in _STREAMED:
            raise PacketError("length missing")
        return Span(tag, start, len(data), ((start + 1, len(data)),))
    size = 1 << length_type
    return _whole(data, tag, start, start + 1 + size, _uint(data, start + 1, size))


def _new_format(data: bytes, start: int, tag: int) -> Span:
    if tag == 0:
        raise PacketError("reserved packet type")
    at = start + 1
    chunks: list[tuple[int, int]] = []
    while True:
        length, body, partial = _new_length(data, at)
        end = body + length
        if end > len(data):
            raise PacketError("cut short")
        if partial:
            # The first chunk holds at least 512 octets (RFC 9580 §4.2.1.4).
            if tag not in _STREAMED or (not chunks and length < 512) or len(chunks) >= MAX_CHUNKS:
                raise PacketError("partial length where none may be")
            chunks.append((body, end))
            at = end
            continue
        if not chunks:
            return Span(tag, start, end, ((body, end),))
        chunks.append((body, end))
        return Span(tag, start, end, tuple(chunks))


def _new_length(data: bytes, at: int) -> tuple[int, int, bool]:
    """Length, where the body starts, and whether it is a partial length (RFC 9580 §4.2.1)."""
    first = _uint(data, at, 1)
    if first < 192:
        return first, at + 1, False
    if first < 224:
        return ((first - 192) << 8) + _uint(data, at + 1, 1) + 192, at + 2, False
    if first < 255:
        return 1 << (first & 0x1F), at + 1, True
    return _uint(data, at + 1, 4), at + 5, False


def frame(tag: int, body: bytes) -> bytes:
    """A packet with a definite new-format length."""
    size = len(body)
    if size < 192:
        length = bytes([size])
    elif size < 8384:
        length = bytes([((size - 192) >> 8) + 192, (size - 192) & 0xFF])
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes([0xC0 | tag]) + length + body


def mpi(body: bytes, at: int) -> tuple[bytes, int]:
    """The multiprecision integer at `at` without its leading zeros, and where it ends (RFC 9580 §3.2)."""
    bits = _uint(body, at, 2)
    end = at + 2 + (bits + 7) // 8
    if end > len(body):
        raise PacketError("cut short")
    return body[at + 2 : end].lstrip(b"\0"), end


def write_mpi(value: bytes) -> bytes:
    """The opposite of `mpi`."""
    digits = value.lstrip(b"\0")
    bits = len(digits) * 8 - (8 - digits[0].bit_length()) if digits else 0
    return bits.to_bytes(2, "big") + digits


# ---------------------------------------------------------------- keys


class Algorithm(enum.IntEnum):
    """Public-key algorithms (RFC 9580 §9.1)."""

    RSA = 1
    RSA_ENCRYPT = 2
    RSA_SIGN = 3
    ELGAMAL = 16
    DSA = 17
    ECDH = 18
    ECDSA = 19
    ELGAMAL_BOTH = 20
    EDDSA_LEGACY = 22


class Curve(enum.Enum):
    """Curves common programs share, by their OID as the packet writes it (RFC 9580 §9.2)."""

    P256 = bytes.fromhex("2a8648ce3d030107")
    P384 = bytes.fromhex("2b81040022")
    P521 = bytes.fromhex("2b81040023")
    ED25519 = bytes.fromhex("2b06010401da470f01")
    CV25519 = bytes.fromhex("2b060104019755010501")
    OTHER = b""


RSA_FAMILY = frozenset({Algorithm.RSA, Algorithm.RSA_ENCRYPT, Algorithm.RSA_SIGN})
EC_FAMILY = frozenset({Algorithm.ECDH, Algorithm.ECDSA, Algorithm.EDDSA_LEGACY})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A version 4 primary key or subkey (RFC 9580 §5.5.2.2)."""

    created: int  # seconds
    algorithm: int
    body: bytes = field(repr=False)
    numbers: tuple[bytes, ...] = field(repr=False)  # RSA n, e; EC: the point
    curve: Curve | None = None
    kdf: tuple[int, int] | None = None  # ECDH: hash and cipher

    @property
    def fingerprint(self) -> str:
        """40 upper-case hex digits (RFC 9580 §5.5.4.2)."""
        # SHA-1 names a v4 key; no signature rests on it here.
        return hashlib.sha1(hash_form(self.body), usedforsecurity=False).hexdigest().upper()

    @property
    def key_id(self) -> str:
        return self.fingerprint[-16:]

    @property
    def rsa_bits(self) -> int:
        """Length of the modulus; 0 for what is not RSA."""
        return int.from_bytes(self.numbers[0], "big").bit_length() if self.algorithm in RSA_FAMILY else 0

    @property
    def identity(self) -> bytes:
        """The same for the same key material, whatever creation time or algorithm number it is dressed in."""
        return key_identity(self.algorithm, self.curve, self.numbers if self.numbers else (self.body[6:],))


def key_identity(algorithm: int, curve: Curve | None, material: tuple[bytes, ...]) -> bytes:
    """Names key material; X.509 asks it for the same numbers in its own dress."""
    family = b"rsa" if algorithm in RSA_FAMILY else str(int(algorithm)).encode()
    parts = (family, curve.value if curve is not None else b"", *material)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def hash_form(body: bytes) -> bytes:
    """A v4 key as fingerprints and signatures hash it (RFC 9580 §5.2.4)."""
    if len(body) > 0xFFFF:
        raise PacketError("key too long")
    return b"\x99" + len(body).to_bytes(2, "big") + body


class OtherVersion(PacketError):
    """A key of a version that is not 4."""

    def __init__(self, version: int) -> None:
        super().__init__("key of another version")
        self.version = version


def public_key(body: bytes) -> PublicKey:
    """Read the contents of a public key or public subkey packet. Raises OtherVersion when it is not v4."""
    version = _uint(body, 0, 1)
    if version != 4:
        raise OtherVersion(version)
    created = _uint(body, 1, 4)
    algorithm = _uint(body, 5, 1)
    if len(body) > 0xFFFF:
        raise PacketError("key too long")
    if algorithm in RSA_FAMILY:
        modulus, at = mpi(body, 6)
        exponent, at = mpi(body, at)
        _must_end(body, at)
        return PublicKey(created, algorithm, body, (modulus, exponent))
    if algorithm in EC_FAMILY:
        return _elliptic(body, created, algorithm)
    return PublicKey(created, algorithm, body, ())


def _elliptic(body: bytes, created: int, algorithm: int) -> PublicKey:
    size = _uint(body, 6, 1)
    oid = body[7 : 7 + size]
    if size in (0, 0xFF) or len(oid) != size:
        raise PacketError("curve missing")
    curve = next((known for known in Curve if known.value == oid), Curve.OTHER)
    point, at = mpi(body, 7 + size)
    kdf = None
    if algorithm == Algorithm.ECDH:
        if _uint(body, at, 1) != 3 or _uint(body, at + 1, 1) != 1:  # RFC 9580 §5.5.5.6
            raise PacketError("key derivation parameters missing")
        kdf = (_uint(body, at + 2, 1), _uint(body, at + 3, 1))
        at += 4
    _must_end(body, at)
    return PublicKey(created, algorithm, body, (point,), curve, kdf)


def _must_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise PacketError("trailing bytes")


# ---------------------------------------------------------------- session keys


HIDDEN = "0" * 16


@dataclass(frozen=True, slots=True)
class KeyPacketHeader:
    """What a session key packet tells in clear (RFC 9580 §5.1)."""

    version: int
    key_id: str | None  # None: hidden


def key_packet(body: bytes) -> KeyPacketHeader:
    """Read the head of a PKESK."""
    version = _uint(body, 0, 1)
    if version == 3:
        key_id = body[1:9].hex().upper()
        _uint(body, 9, 1)  # the algorithm stands there, or the packet is cut short
        return KeyPacketHeader(3, None if key_id == HIDDEN else key_id)
    if version == 6:  # a fingerprint with its key version before it, or nothing (RFC 9580 §5.1.2)
        size = _uint(body, 1, 1)
        fingerprint = body[3 : 2 + size]
        if size == 0:
            return KeyPacketHeader(6, None)
        if len(fingerprint) not in (20, 32) or len(fingerprint) != size - 1:
            raise PacketError("fingerprint missing")
        part = fingerprint[:8] if body[2] == 6 else fingerprint[-8:]
        return KeyPacketHeader(6, part.hex().upper())
    return KeyPacketHeader(version, None)


def recipient_key_ids(message: bytes) -> tuple[str, ...]:
    """Key ids an encrypted message names, in order; sixteen zeros for a hidden recipient (RFC 9580 §5.1).

    Raises PacketError unless the message is session key packets and one integrity-protected data packet, whole.
    """
    named: list[str] = []
    for part in spans(message):
        if part.tag == Tag.PKESK:
            named.append(key_packet(part.body(message)).key_id or HIDDEN)
        elif part.tag == Tag.SEIPD:
            if part.end != len(message) or seipd_version(message, part) not in (1, 2):
                break
            return tuple(named)
        elif part.tag not in (Tag.SKESK, Tag.MARKER, Tag.PADDING):
            break
    raise PacketError("not an encrypted message")


def seipd_version(data: bytes, found: Span) -> int:
    """Version of an encrypted data packet, without copying it (RFC 9580 §5.13)."""
    first, last = found.chunks[0]
    if found.tag != Tag.SEIPD or last <= first:
        raise PacketError("not an encrypted data packet")
    return data[first]
