"""Wraps small secrets under the KEK: AES-256-GCM, the purpose as associated data.

Invariants: a wrap names its KEK (8 hex digits that tell nothing else), so a wrong one is refused by name;
a wrap opens only for the purpose it was made for; the KEK appears in no repr and no message.
"""

from __future__ import annotations

import hmac
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mail_server.keys.interface import KeyUnavailable

_VERSION = b"\x01"
_ID = 4
_NONCE = 12
_HEAD = len(_VERSION) + _ID


def kek_id_of(kek: bytes) -> str:
    return hmac.digest(kek, b"vaguemestre kek id", "sha256")[:_ID].hex()


class AesKeyWrapper:
    """`KeyWrapper` over a KEK held in memory."""

    __slots__ = ("_aes", "_kek_id")

    def __init__(self, kek: bytes) -> None:
        if len(kek) != 32:
            raise KeyUnavailable("a key-encryption key has 32 bytes")
        self._aes = AESGCM(kek)
        self._kek_id = kek_id_of(kek)

    @property
    def kek_id(self) -> str:
        return self._kek_id

    def wrap(self, secret: bytes, purpose: bytes) -> bytes:
        head = _VERSION + bytes.fromhex(self._kek_id)
        nonce = urandom(_NONCE)
        return head + nonce + self._aes.encrypt(nonce, secret, head + purpose)

    def unwrap(self, wrapped: bytes, purpose: bytes) -> bytes:
        head, nonce, sealed = wrapped[:_HEAD], wrapped[_HEAD : _HEAD + _NONCE], wrapped[_HEAD + _NONCE :]
        if len(head) < _HEAD or head[:1] != _VERSION:
            raise KeyUnavailable("not a wrap of this format")
        if head[1:].hex() != self._kek_id:
            raise KeyUnavailable(f"wrapped under key-encryption key {head[1:].hex()}, not {self._kek_id}")
        try:
            return self._aes.decrypt(nonce, sealed, head + purpose)
        except (InvalidTag, ValueError):
            raise KeyUnavailable("a wrap does not open") from None
