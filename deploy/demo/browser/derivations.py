"""From what a person types to what the server is told and what it is not: password, recovery sheet, wraps.

Invariants: only `login` and wraps ever leave; each wrap is bound to the account or key it is for.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32
MEMORY, PASSES, LANES = 65536, 3, 1
PASSKEY_INPUT = hashlib.sha256(b"vaguemestre/passkey/v1").digest()
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Split:
    """A secret's two branches: one logs in, the other opens."""

    login: bytes = field(repr=False)
    kek: bytes = field(repr=False)


def from_password(password: str, salt: bytes) -> Split:
    stretched = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY).derive(
        unicodedata.normalize("NFKC", password).encode()
    )
    return _split(stretched)


def from_recovery(code: str) -> Split:
    """Of a printed sheet: 24 characters and their check. Raises ValueError when one was misread."""
    read = normalised(code)
    if len(read) != 25 or check_character(read[:-1]) != read[-1]:
        raise ValueError("this is not a recovery code")
    number = 0
    for character in read[:-1]:
        number = number * 32 + ALPHABET.index(character)
    return _split(number.to_bytes(15, "big"))


def new_recovery_code() -> str:
    code = "".join(secrets.choice(ALPHABET) for _ in range(24))
    code += check_character(code)
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def normalised(typed: str) -> str:
    """As it was printed, whatever case, dashes and look-alikes were typed."""
    kept = "".join(character for character in typed.upper() if character.isalnum())
    return kept.translate(str.maketrans({"O": "0", "I": "1", "L": "1"}))


def check_character(code: str) -> str:
    total = sum(ALPHABET.index(character) * weight for weight, character in enumerate(code, 1))
    return ALPHABET[total % 32]


def wrap_account_key(kek: bytes, account_key: bytes, account: str) -> bytes:
    return _wrap(kek, account_key, f"vaguemestre/account-key/v1/{account}")


def unwrap_account_key(kek: bytes, wrapped: bytes, account: str) -> bytes:
    """Raises cryptography's InvalidTag for another secret."""
    return _unwrap(kek, wrapped, f"vaguemestre/account-key/v1/{account}")


def wrap_secret_key(account_key: bytes, secret: bytes, fingerprint: str) -> bytes:
    return _wrap(account_key, secret, f"vaguemestre/secret-key/v1/{fingerprint.upper()}")


def unwrap_secret_key(account_key: bytes, wrapped: bytes, fingerprint: str) -> bytes:
    return _unwrap(account_key, wrapped, f"vaguemestre/secret-key/v1/{fingerprint.upper()}")


def _split(secret: bytes) -> Split:
    return Split(_branch(secret, b"vaguemestre/login/v1"), _branch(secret, b"vaguemestre/kek/v1"))


def _branch(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=b"", info=info).derive(secret)


def _wrap(key: bytes, secret: bytes, bound_to: str) -> bytes:
    nonce = secrets.token_bytes(12)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, secret, bound_to.encode())


def _unwrap(key: bytes, wrapped: bytes, bound_to: str) -> bytes:
    if wrapped[:1] != _VERSION:
        raise ValueError("a wrap of another version")
    return AESGCM(key).decrypt(wrapped[1:13], wrapped[13:], bound_to.encode())
