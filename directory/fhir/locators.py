"""Ids of resources: opaque to who reads them, the same for ever, and read back without a table.

An id is a short name encrypted so that the same name always gives the same id (AES-SIV, RFC 5297), in the 64
characters that FHIR allows. A name holds identifiers, and the hash of what is too long for 64 characters: the few
entries that share the rest are compared with it.

Invariants: an id that was not made here is None; two entries never have one id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LONGEST = 64
_ALPHABET = b"-."  # with letters and digits: all that a FHIR id may have
_HASH = 8
_CLOCK_SKEW = 60_000

Shape = Literal["P", "Q", "R", "S", "O", "H"]
"""Person by national id, person by address, role of either, organisation, service."""


@dataclass(frozen=True, slots=True)
class Locator:
    shape: Shape
    key: str  # national id of the person or the organisation; of Q and S, of the organisation that vouches
    mark: bytes = b""  # hash of an address, an organisation, a service

    def marks(self, text: str) -> bool:
        return self.mark == mark(text)


def mark(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8")).digest()[:_HASH]


class Locators:
    def __init__(self, secret: bytes) -> None:
        self._ids = AESSIV(_derived(secret, b"fhir ids"))
        self._pages = AESSIV(_derived(secret, b"fhir pages"))

    def id(self, locator: Locator) -> str:
        name = locator.shape.encode() + locator.mark + locator.key.encode("utf-8")
        made = _text(self._ids.encrypt(name, None))
        if len(made) > LONGEST:  # an identifier of no known form: its hash alone could not be read back
            raise ValueError("an identifier is too long to be named")
        return made

    def read(self, resource_id: str) -> Locator | None:
        if not 0 < len(resource_id) <= LONGEST or (sealed := _octets(resource_id)) is None:
            return None
        try:
            name = self._ids.decrypt(sealed, None)
        except (InvalidTag, ValueError):
            return None
        shape = cast("Shape", name[:1].decode())
        marked = 0 if shape in ("P", "O") else _HASH
        return Locator(shape, name[1 + marked :].decode("utf-8"), name[1 : 1 + marked])

    # ------------------------------------------------------------ pages

    def page(self, cursor: list[Any], bound: str, expires: int) -> str:
        """A token for what follows `cursor`; good with `bound` (who asks what) alone, until `expires` (ms)."""
        text = json.dumps([expires, *cursor], ensure_ascii=False, separators=(",", ":"))
        return _text(self._pages.encrypt(text.encode("utf-8"), [bound.encode("utf-8")]))

    def cursor(self, token: str, bound: str, at: int) -> list[Any] | None:
        """None: not made here, or for another question, or too old."""
        if (sealed := _octets(token)) is None:
            return None
        try:
            expires, *cursor = json.loads(self._pages.decrypt(sealed, [bound.encode("utf-8")]))
        except (InvalidTag, ValueError):
            return None
        return cursor if at < expires + _CLOCK_SKEW else None


def _derived(secret: bytes, use: bytes) -> bytes:
    return HKDF(SHA512(), 64, None, use).derive(secret)


def _text(octets: bytes) -> str:
    return base64.b64encode(octets, _ALPHABET).rstrip(b"=").decode("ascii")


def _octets(text: str) -> bytes | None:
    """Strictly: each value has one spelling."""
    if not text.isascii() or "=" in text or len(text) % 4 == 1:
        return None
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), _ALPHABET, validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets if _text(octets) == text else None
