"""Encryption at rest: AES-256-GCM with the purpose bound, and the packing of what is encrypted in one piece.

Invariants: a ciphertext opens only for the account, the object and the column it was made for; the random
96-bit nonce stands in front; a ciphertext that does not open is `Damaged`, never an answer.
"""

from __future__ import annotations

import struct
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mail_server.store.interface import Damaged
from mail_server.store.model import AccountId, Rendered

_NONCE = 12
_TAG = 16
_LARGE = 64 * 1024
_RENDERED = struct.Struct(">BIII")
_START = _RENDERED.size
_lengths = _RENDERED.unpack_from
_OUTER = struct.Struct(">I")
FORMAT = b"vm1"  # the version of this format, part of every associated data


class Cipher:
    """One data key."""

    __slots__ = ("_aes",)

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def seal(self, clear: bytes, bound_to: bytes) -> bytes:
        nonce = urandom(_NONCE)
        return nonce + self._aes.encrypt(nonce, clear, bound_to)

    def seal_body(self, clear: bytes, bound_to: bytes) -> bytes | bytearray:
        """The same, for what may be large."""
        if len(clear) < _LARGE:
            return self.seal(clear, bound_to)
        nonce = urandom(_NONCE)
        # One pass over fresh memory instead of two: half of a large body's cost was the second.
        whole = bytearray(_NONCE + len(clear) + _TAG)
        whole[:_NONCE] = nonce
        self._aes.encrypt_into(nonce, clear, bound_to, memoryview(whole)[_NONCE:])
        return whole

    def open(self, stored: bytes | bytearray, bound_to: bytes) -> bytes:
        # A view costs more than the copy it saves, unless that is large.
        sealed = stored[_NONCE:] if len(stored) < _LARGE else memoryview(stored)[_NONCE:]
        try:
            return self._aes.decrypt(stored[:_NONCE], sealed, bound_to)
        except (InvalidTag, ValueError):
            raise Damaged("a stored ciphertext does not open") from None


def bound_blob(owner: AccountId | None, blob_id: bytes, codec: int) -> bytes:
    return b"%b/blob/%b/%d/%b" % (FORMAT, (owner or "").encode(), codec, blob_id)


def bound_column(account: AccountId, column: bytes, identity: str) -> bytes:
    return b"%b/%b/%b/%b" % (FORMAT, column, account.encode(), identity.encode())


def pack_rendered(rendered: Rendered) -> bytes:
    header, envelope, structure = rendered.header, rendered.envelope, rendered.bodystructure
    lengths = _RENDERED.pack(rendered.version, len(header), len(envelope), len(structure))
    return b"".join((lengths, header, envelope, structure, rendered.body))


def unpack_rendered(packed: bytes) -> Rendered:
    version, header, envelope, structure = _lengths(packed)
    header += _START
    envelope += header
    structure += envelope
    return Rendered(
        packed[_START:header],
        packed[header:envelope],
        packed[envelope:structure],
        packed[structure:],
        version,
    )


def pack_outer(head: bytes, tail: bytes) -> bytes:
    return b"".join((_OUTER.pack(len(head)), head, tail))


def unpack_outer(packed: bytes) -> tuple[bytes, bytes]:
    (length,) = _OUTER.unpack_from(packed)
    return packed[4 : 4 + length], packed[4 + length :]
