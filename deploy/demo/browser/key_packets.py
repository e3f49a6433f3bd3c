"""Swaps an OpenPGP key packet: opens the session key with one Cv25519 secret, encrypts it to another certificate.

The body of a letter is never touched, nor seen. (RFC 9580 §5.1, §11.5; version 3 packets, ECDH on Curve25519Legacy.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from directory.openpgp import packets
from directory.openpgp.packets import Algorithm, Curve, Tag

_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
_KEY_BYTES = {7: 16, 8: 24, 9: 32}


class NotOurs(Exception):
    """No key packet here opens with this key."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """The encryption subkey of a certificate, with its secret when it came from a secret key."""

    public: packets.PublicKey
    secret: bytes | None = field(default=None, repr=False)


def encryption_key(transferable: bytes) -> EncryptionKey:
    """The Cv25519 subkey of a binary certificate or unprotected secret key."""
    for part in packets.spans(transferable):
        if part.tag in (Tag.PUBLIC_SUBKEY, Tag.SECRET_SUBKEY):
            body = part.body(transferable)
            if body[5] == Algorithm.ECDH:
                return _read(body, secret=part.tag == Tag.SECRET_SUBKEY)
    raise NotOurs("no encryption subkey")


def _read(body: bytes, *, secret: bool) -> EncryptionKey:
    oid = 7 + body[6]
    _, end = packets.mpi(body, oid)
    end += 4  # key derivation parameters
    public = packets.public_key(body[:end])
    if public.curve is not Curve.CV25519:
        raise NotOurs("not Curve25519Legacy")
    if not secret:
        return EncryptionKey(public)
    if body[end] != 0:
        raise NotOurs("the secret key is protected")
    scalar, _ = packets.mpi(body, end + 1)
    return EncryptionKey(public, scalar.rjust(32, b"\0")[::-1])  # written big-endian (RFC 9580 §9.2.1)


def swapped(key_packets: bytes, old: EncryptionKey, new: EncryptionKey) -> bytes:
    """One key packet for `new`, from those that name `old`. Raises NotOurs.

    `old` needs its secret, `new` its certificate alone.
    """
    for part in packets.spans(key_packets):
        if part.tag != Tag.PKESK:
            continue
        body = part.body(key_packets)
        if packets.key_packet(body).key_id == old.public.key_id:
            return _encrypted(_session_key(body, old), new)
    raise NotOurs("no packet names this key")


def _session_key(body: bytes, key: EncryptionKey) -> bytes:
    """Algorithm octet, key, checksum, padding: as it was wrapped."""
    assert key.secret is not None
    point, at = packets.mpi(body, 10)
    wrapped = body[at + 1 : at + 1 + body[at]]
    shared = X25519PrivateKey.from_private_bytes(key.secret).exchange(
        X25519PublicKey.from_public_bytes(point[1:])
    )
    return aes_key_unwrap(_wrapping_key(shared, key.public), wrapped)


def _encrypted(session: bytes, key: EncryptionKey) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(key.public.numbers[0][1:]))
    wrapped = aes_key_wrap(_wrapping_key(shared, key.public), session)
    point = packets.write_mpi(b"\x40" + ephemeral.public_key().public_bytes_raw())
    body = b"\x03" + bytes.fromhex(key.public.key_id) + bytes([Algorithm.ECDH]) + point
    return packets.frame(Tag.PKESK, body + bytes([len(wrapped)]) + wrapped)


def _wrapping_key(shared: bytes, public: packets.PublicKey) -> bytes:
    """The one-step key derivation of RFC 9580 §11.5."""
    assert public.kdf is not None
    hashed, cipher = public.kdf
    oid = Curve.CV25519.value
    parameters = (
        bytes([len(oid)]) + oid + bytes([Algorithm.ECDH, 3, 1, hashed, cipher])
        + b"Anonymous Sender    " + bytes.fromhex(public.fingerprint)
    )  # fmt: skip
    digest = hashlib.new(_HASHES[hashed], b"\0\0\0\x01" + shared + parameters).digest()
    return digest[: _KEY_BYTES[cipher]]
