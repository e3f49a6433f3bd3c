"""OpenPGP version 4 signatures: their subpackets, and whether a key really made them.

Invariants: only hashed subpackets are believed, save the issuer's id, which is a mere hint; a signature of
an unknown kind, with an unknown critical subpacket or an unknown hash, is simply not good. (RFC 9580 §5.2.)
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from directory.openpgp.packets import (
    MAX_SUBPACKETS,
    RSA_FAMILY,
    Algorithm,
    Curve,
    PacketError,
    PublicKey,
    hash_form,
    mpi,
)


class Kind(enum.IntEnum):
    """Signature types of a certificate (RFC 9580 §5.2.1)."""

    CERTIFICATION_GENERIC = 0x10
    CERTIFICATION_PERSONA = 0x11
    CERTIFICATION_CASUAL = 0x12
    CERTIFICATION_POSITIVE = 0x13
    SUBKEY_BINDING = 0x18
    PRIMARY_KEY_BINDING = 0x19
    DIRECT_KEY = 0x1F
    KEY_REVOCATION = 0x20
    SUBKEY_REVOCATION = 0x28
    CERTIFICATION_REVOCATION = 0x30


CERTIFICATIONS = frozenset(
    {
        Kind.CERTIFICATION_GENERIC,
        Kind.CERTIFICATION_PERSONA,
        Kind.CERTIFICATION_CASUAL,
        Kind.CERTIFICATION_POSITIVE,
    }
)


class Sub(enum.IntEnum):
    """Subpacket types this project acts upon (RFC 9580 §5.2.3.7)."""

    CREATED = 2
    EXPIRES_AFTER = 3
    KEY_EXPIRES_AFTER = 9
    REVOCATION_KEY = 12
    ISSUER = 16
    NOTATION = 20
    KEY_FLAGS = 27
    REVOCATION_REASON = 29
    FEATURES = 30
    EMBEDDED = 32
    ISSUER_FINGERPRINT = 33


# Types whose meaning does not change ours when we leave them aside, so that they may be critical.
_HARMLESS = frozenset({4, 5, 6, 7, 11, 21, 22, 23, 24, 25, 26, 28, 31, 34, 35, 39})
_KNOWN = frozenset(Sub) | _HARMLESS

# Programs make no larger ones; a signature of these holds the interpreter for as much as 7 ms, a certificate has many.
LARGEST_RSA_BITS = 8192
_LARGEST_EXPONENT_BITS = 33

FLAG_CERTIFY = 0x01
FLAG_SIGN = 0x02
FLAG_ENCRYPT_COMMUNICATIONS = 0x04
FLAG_ENCRYPT_STORAGE = 0x08
FLAG_ENCRYPT = FLAG_ENCRYPT_COMMUNICATIONS | FLAG_ENCRYPT_STORAGE


class Hash(enum.IntEnum):
    """Hash algorithms (RFC 9580 §9.5)."""

    SHA1 = 2
    SHA256 = 8
    SHA384 = 9
    SHA512 = 10


_HASHES: dict[int, hashes.HashAlgorithm] = {
    Hash.SHA1: hashes.SHA1(),  # noqa: S303  believed for revocations only, see `strong`
    Hash.SHA256: hashes.SHA256(),
    Hash.SHA384: hashes.SHA384(),
    Hash.SHA512: hashes.SHA512(),
}
STRONG_HASHES = frozenset({Hash.SHA256, Hash.SHA384, Hash.SHA512})


@dataclass(frozen=True, slots=True)
class Subpacket:
    type: int
    critical: bool
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """A version 4 signature packet, read and not yet believed."""

    kind: int
    algorithm: int
    hash: int
    hashed: tuple[Subpacket, ...] = field(repr=False)
    unhashed: tuple[Subpacket, ...] = field(repr=False)
    left16: bytes = field(repr=False)
    values: bytes = field(repr=False)  # algorithm-specific MPIs
    head: bytes = field(repr=False)  # what is hashed of the packet itself
    packet: bytes = field(repr=False)  # contents of the packet, whole

    def _number(self, kind: Sub, size: int) -> int | None:
        for sub in self.hashed:
            if sub.type == kind and len(sub.body) >= size:
                return int.from_bytes(sub.body[:size], "big")
        return None

    @property
    def created(self) -> int | None:
        """Seconds; a v4 signature must say it (RFC 9580 §5.2.3.11)."""
        return self._number(Sub.CREATED, 4)

    @property
    def expires(self) -> int | None:
        """When the signature itself ends, in seconds; None: never (RFC 9580 §5.2.3.18)."""
        after = self._number(Sub.EXPIRES_AFTER, 4)
        return self.created + after if after and self.created is not None else None

    @property
    def key_expires_after(self) -> int | None:
        """Seconds after the key's creation; None: never (RFC 9580 §5.2.3.13)."""
        return self._number(Sub.KEY_EXPIRES_AFTER, 4) or None

    @property
    def flags(self) -> int | None:
        return self._number(Sub.KEY_FLAGS, 1)

    @property
    def features(self) -> int | None:
        """First octet of Features; None when the subpacket is absent (RFC 9580 §5.2.3.32)."""
        return self._number(Sub.FEATURES, 1)

    @property
    def issuers(self) -> frozenset[str]:
        """Key ids this signature claims to come from; empty when it says nothing."""
        found: set[str] = set()
        for sub in (*self.hashed, *self.unhashed):
            if sub.type == Sub.ISSUER and len(sub.body) == 8:
                found.add(sub.body.hex().upper())
            elif sub.type == Sub.ISSUER_FINGERPRINT and len(sub.body) == 21 and sub.body[0] == 4:
                found.add(sub.body[-8:].hex().upper())
        return frozenset(found)

    @property
    def revokers(self) -> frozenset[str]:
        """Key ids of the designated revokers (RFC 9580 §5.2.3.23)."""
        return frozenset(
            sub.body[-8:].hex().upper()
            for sub in self.hashed
            if sub.type == Sub.REVOCATION_KEY and len(sub.body) == 22
        )

    @property
    def embedded(self) -> tuple[bytes, ...]:
        """Signatures within it, which speak for themselves wherever they stand (RFC 9580 §5.2.3.34)."""
        return tuple(sub.body for sub in (*self.hashed, *self.unhashed) if sub.type == Sub.EMBEDDED)

    @property
    def notations(self) -> tuple[tuple[str, bytes], ...]:
        """Names and values (RFC 9580 §5.2.3.24)."""
        found: list[tuple[str, bytes]] = []
        for sub in self.hashed:
            if sub.type == Sub.NOTATION and len(sub.body) >= 8:
                name_size = int.from_bytes(sub.body[4:6], "big")
                value_size = int.from_bytes(sub.body[6:8], "big")
                if 8 + name_size + value_size == len(sub.body):
                    name = sub.body[8 : 8 + name_size].decode("utf-8", "replace")
                    found.append((name, sub.body[8 + name_size :]))
        return tuple(found)

    @property
    def understood(self) -> bool:
        """False when a critical subpacket asks for something unknown (RFC 9580 §5.2.3.7)."""
        return all(
            not sub.critical or (sub.type in _KNOWN and sub.type != Sub.NOTATION) for sub in self.hashed
        )

    @property
    def strong(self) -> bool:
        return self.hash in STRONG_HASHES


def signature(body: bytes) -> Signature:
    """Read the contents of a signature packet. Raises PacketError for other versions too."""
    if len(body) < 6 or body[0] != 4:
        raise PacketError("not a version 4 signature")
    hashed_size = int.from_bytes(body[4:6], "big")
    head_end = 6 + hashed_size
    if head_end + 2 > len(body):
        raise PacketError("cut short")
    unhashed_end = head_end + 2 + int.from_bytes(body[head_end : head_end + 2], "big")
    if unhashed_end + 2 > len(body):
        raise PacketError("cut short")
    return Signature(
        kind=body[1],
        algorithm=body[2],
        hash=body[3],
        hashed=tuple(_subpackets(body[6:head_end])),
        unhashed=tuple(_subpackets(body[head_end + 2 : unhashed_end])),
        left16=body[unhashed_end : unhashed_end + 2],
        values=body[unhashed_end + 2 :],
        head=body[:head_end],
        packet=body,
    )


def _subpackets(area: bytes) -> Iterator[Subpacket]:
    at = 0
    count = 0
    while at < len(area):
        count += 1
        first = area[at]
        if first < 192:
            size, at = first, at + 1
        elif first < 255:
            if at + 2 > len(area):
                raise PacketError("cut short")
            size, at = ((first - 192) << 8) + area[at + 1] + 192, at + 2
        else:
            size, at = int.from_bytes(area[at + 1 : at + 5], "big"), at + 5
        if size == 0 or at + size > len(area) or count > MAX_SUBPACKETS:
            raise PacketError("subpackets do not fit")
        yield Subpacket(area[at] & 0x7F, bool(area[at] & 0x80), area[at + 1 : at + size])
        at += size


def over_user_id(primary: PublicKey, user_id: bytes) -> bytes:
    """What a certification of a user id covers (RFC 9580 §5.2.4)."""
    return hash_form(primary.body) + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id


def over_subkey(primary: PublicKey, subkey: PublicKey) -> bytes:
    """What a subkey binding or revocation covers."""
    return hash_form(primary.body) + hash_form(subkey.body)


def over_key(primary: PublicKey) -> bytes:
    """What a direct-key signature or a key revocation covers."""
    return hash_form(primary.body)


def digest(made: Signature, covered: bytes) -> bytes:
    """The hash that was signed (RFC 9580 §5.2.4). Raises PacketError for an unknown hash."""
    algorithm = _HASHES.get(made.hash)
    if algorithm is None:
        raise PacketError("unknown hash")
    trailer = made.head + b"\x04\xff" + len(made.head).to_bytes(4, "big")
    return hashlib.new(algorithm.name, covered + trailer, usedforsecurity=False).digest()


def good(made: Signature, signer: PublicKey, covered: bytes) -> bool:
    """Whether `signer` really signed `covered`. Never raises."""
    try:
        value = digest(made, covered)
        if value[:2] != made.left16 or made.created is None or not made.understood:
            return False
        _check(made, signer, value)
    except (InvalidSignature, UnsupportedAlgorithm, PacketError, ValueError, OverflowError):
        return False
    return True


def _check(made: Signature, signer: PublicKey, value: bytes) -> None:
    algorithm = Prehashed(_HASHES[made.hash])
    if made.algorithm in RSA_FAMILY and signer.algorithm in RSA_FAMILY:
        key = _rsa(signer)
        number, at = mpi(made.values, 0)
        _end(made, at)
        key.verify(number.rjust((key.key_size + 7) // 8, b"\0"), value, padding.PKCS1v15(), algorithm)
    elif made.algorithm == signer.algorithm == Algorithm.EDDSA_LEGACY and signer.curve is Curve.ED25519:
        r, s = _pair(made)
        _ed25519(signer).verify(r.rjust(32, b"\0") + s.rjust(32, b"\0"), value)
    elif made.algorithm == signer.algorithm == Algorithm.ECDSA:
        r, s = _pair(made)
        encoded = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        _ecdsa(signer).verify(encoded, value, ec.ECDSA(algorithm))
    else:
        raise InvalidSignature


def _pair(made: Signature) -> tuple[bytes, bytes]:
    r, at = mpi(made.values, 0)
    s, at = mpi(made.values, at)
    _end(made, at)
    return r, s


def _end(made: Signature, at: int) -> None:
    if at != len(made.values):
        raise PacketError("trailing bytes")


def _rsa(key: PublicKey) -> rsa.RSAPublicKey:
    modulus, exponent = (int.from_bytes(number, "big") for number in key.numbers)
    if modulus.bit_length() > LARGEST_RSA_BITS or exponent.bit_length() > _LARGEST_EXPONENT_BITS:
        raise PacketError("larger than anybody's")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _ed25519(key: PublicKey) -> Ed25519PublicKey:
    point = key.numbers[0]
    if len(point) != 33 or point[0] != 0x40:  # native point, prefixed (RFC 9580 §11.2.2)
        raise PacketError("not a native point")
    return Ed25519PublicKey.from_public_bytes(point[1:])


NIST_CURVES: dict[Curve, ec.EllipticCurve] = {
    Curve.P256: ec.SECP256R1(),
    Curve.P384: ec.SECP384R1(),
    Curve.P521: ec.SECP521R1(),
}


def _ecdsa(key: PublicKey) -> ec.EllipticCurvePublicKey:
    curve = NIST_CURVES.get(key.curve) if key.curve is not None else None
    if curve is None:
        raise PacketError("unknown curve")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, key.numbers[0])


def check_numbers(key: PublicKey) -> bool:
    """Whether the numbers make a key of its kind at all (point on curve, sane RSA). Never raises."""
    try:
        if key.algorithm in RSA_FAMILY:
            _rsa(key)
        elif key.curve is Curve.ED25519 and key.algorithm == Algorithm.EDDSA_LEGACY:
            _ed25519(key)
        elif key.curve is Curve.CV25519 and key.algorithm == Algorithm.ECDH:
            return len(key.numbers[0]) == 33 and key.numbers[0][0] == 0x40
        elif key.algorithm in (Algorithm.ECDSA, Algorithm.ECDH):
            _ecdsa(key)
        else:
            return False
    except (ValueError, PacketError, UnsupportedAlgorithm):
        return False
    return True
