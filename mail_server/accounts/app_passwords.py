"""Generated passwords and their SCRAM-SHA-256 verifiers (RFC 5802 §3, RFC 7677).

The secret is 28 characters of a-z2-7, 140 bits of chance, shown once in groups of four. PBKDF2 stretches
secrets that people choose; it adds nothing to 140 bits, so the count is RFC 7677's minimum of 4096: what a
verifier costs to attack is the secret's length, and 5,000 programs may reconnect at once.

All passwords of one account share one salt. SCRAM names the account before the password is known, and the
server must answer with the salt: with one salt, any of the account's passwords can be the one. It tells an
attacker who holds the verifiers nothing that 140 bits of chance do not outweigh.

Invariants: a secret is never stored, logged or shown by repr; comparisons take constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from mail_server.accounts import networks

DEFAULT_DAYS = 90
LONGEST_DAYS = 366
DAY = 86_400_000  # ms
ITERATIONS = 4096
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 §6, lower case: no 0, 1, 8 to mistake
_LENGTH = 28
_GROUP = 4


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the server keeps of one password."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A generated password of an account, without the password."""

    id: str
    account: str
    label: str
    verifier: Verifier = field(repr=False)
    protocols: frozenset[str]  # empty: all
    created: int
    expires: int | None = None
    last_used: int | None = None
    network: str = ""  # ranges it may be used from, "192.0.2.0/24 2001:db8::/32"; empty: anywhere
    made_by: str = ""  # the session that made it, or "console:<user>"
    last_place: str = ""  # where from it was last used, as `networks.place_of` says it

    def objection(self, protocol: str, address: str, now: int) -> str:
        """Why it may not be used there, from there, now (ms): a slug for the trace; "" when it may."""
        if not self.in_time(now):
            return "password-expired"
        if self.protocols and protocol not in self.protocols:
            return "wrong-protocol"
        return "" if networks.within(address, self.network) else "wrong-network"

    def in_time(self, now: int) -> bool:
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """What is told once, at creation."""

    id: str
    secret: str = field(repr=False)


def generate() -> str:
    """A new secret: `abcd-efgh-...`, seven groups of four."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
    return _grouped(letters)


def as_generated(typed: str) -> str:
    """A secret as it was shown, when it was typed without its hyphens, with spaces or in capitals.

    Only a password sent whole (PLAIN, LOGIN) can be helped so; SCRAM sees what the program typed already
    hashed.
    """
    letters = "".join(typed.split()).replace("-", "").lower()
    if len(letters) == _LENGTH and set(letters) <= set(ALPHABET):
        return _grouped(letters)
    return typed


def is_generated(secret: str) -> bool:
    """Whether it has the shape of a generated secret, hyphens included."""
    return (
        secret == as_generated(secret) and len(secret.replace("-", "")) == _LENGTH and secret.count("-") == 6
    )


def verifier(secret: str, salt: bytes, iterations: int = ITERATIONS) -> Verifier:
    return of_salted(salted(secret.encode("utf-8", "surrogatepass"), salt, iterations), salt, iterations)


def salted(secret: bytes, salt: bytes, iterations: int) -> bytes:
    """RFC 5802 §3 SaltedPassword. 2 ms: hashlib lets other threads run meanwhile."""
    return hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)


def of_salted(salted_password: bytes, salt: bytes, iterations: int) -> Verifier:
    client_key = hmac.digest(salted_password, b"Client Key", "sha256")
    server_key = hmac.digest(salted_password, b"Server Key", "sha256")
    return Verifier(salt, iterations, hashlib.sha256(client_key).digest(), server_key)


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
