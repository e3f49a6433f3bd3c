"""The throw-away certificate: a recipient nobody can be, made afresh in memory.

It is a version 4 Ed25519 key with a Cv25519 encryption subkey and Features 0x01. Its secrets exist for the
length of `throw_away` alone and are kept nowhere, so no file, process or operator ever held them. (RFC 9580
§5.5.2, §5.2.3.)
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from directory.openpgp.packets import Algorithm, Curve, PublicKey, Tag, frame, public_key, write_mpi
from directory.openpgp.signatures import (
    FLAG_CERTIFY,
    FLAG_ENCRYPT,
    FLAG_SIGN,
    Hash,
    Kind,
    Sub,
    over_subkey,
    over_user_id,
)

_USER_ID = b"throw-away"
_SEIPD1 = 0x01  # Features: version 1 encrypted data, and nothing newer (RFC 9580 §5.2.3.32)


@dataclass(frozen=True, slots=True)
class ThrowAway:
    """A public certificate, and the key id its key packets will name."""

    certificate: bytes = field(repr=False)
    key_id: str


def throw_away() -> ThrowAway:
    """Make one. Sub-millisecond; no process, no disk."""
    created = int(time.time()) - 60
    signing = Ed25519PrivateKey.generate()
    primary = _key(created, Algorithm.EDDSA_LEGACY, Curve.ED25519, signing.public_key().public_bytes_raw())
    point = X25519PrivateKey.generate().public_key().public_bytes_raw()
    subkey = _key(created, Algorithm.ECDH, Curve.CV25519, point, b"\x03\x01\x08\x07")
    certification = _sign(
        signing,
        primary,
        Kind.CERTIFICATION_POSITIVE,
        over_user_id(primary, _USER_ID),
        created,
        {Sub.KEY_FLAGS: bytes([FLAG_CERTIFY | FLAG_SIGN]), Sub.FEATURES: bytes([_SEIPD1])},
    )
    binding = _sign(
        signing,
        primary,
        Kind.SUBKEY_BINDING,
        over_subkey(primary, subkey),
        created,
        {Sub.KEY_FLAGS: bytes([FLAG_ENCRYPT])},
    )
    certificate = (
        frame(Tag.PUBLIC_KEY, primary.body)
        + frame(Tag.USER_ID, _USER_ID)
        + frame(Tag.SIGNATURE, certification)
        + frame(Tag.PUBLIC_SUBKEY, subkey.body)
        + frame(Tag.SIGNATURE, binding)
    )
    return ThrowAway(certificate, subkey.key_id)


def _key(created: int, algorithm: Algorithm, curve: Curve, point: bytes, rest: bytes = b"") -> PublicKey:
    body = b"\x04" + created.to_bytes(4, "big") + bytes([algorithm, len(curve.value)]) + curve.value
    return public_key(body + write_mpi(b"\x40" + point) + rest)


def _sign(
    signing: Ed25519PrivateKey,
    primary: PublicKey,
    kind: Kind,
    covered: bytes,
    created: int,
    says: dict[Sub, bytes],
) -> bytes:
    """The contents of a version 4 signature packet (RFC 9580 §5.2.3)."""
    said = {
        Sub.ISSUER_FINGERPRINT: b"\x04" + bytes.fromhex(primary.fingerprint),
        Sub.CREATED: created.to_bytes(4, "big"),
        **says,
    }
    hashed = b"".join(bytes([len(value) + 1, sub]) + value for sub, value in said.items())
    head = bytes([4, kind, Algorithm.EDDSA_LEGACY, Hash.SHA512]) + len(hashed).to_bytes(2, "big") + hashed
    trailer = head + b"\x04\xff" + len(head).to_bytes(4, "big")
    value = hashlib.sha512(covered + trailer).digest()
    made = signing.sign(value)
    unhashed = bytes([9, Sub.ISSUER]) + bytes.fromhex(primary.key_id)
    return (
        head
        + len(unhashed).to_bytes(2, "big")
        + unhashed
        + value[:2]
        + write_mpi(made[:32])
        + write_mpi(made[32:])
    )
