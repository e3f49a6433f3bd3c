"""The directory as others see it: which certificate seals to an address, now.

Invariants: answers come from memory; what `certificate` calls VALID passed the gate at `at`; one key never
serves two identities.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from directory.openpgp.certificate import Certificate


class Standing(enum.Enum):
    NONE = "none"  # no certificate was ever published
    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"  # revoked and no successor published


@dataclass(frozen=True, slots=True)
class CertificateStanding:
    standing: Standing
    certificate: Certificate | None = None  # present when VALID


class Directory(Protocol):
    def certificate(self, address: str, at: int) -> CertificateStanding:
        """The holder's certificate for a local address at time `at` (ms)."""
        ...

    def x509(self, address: str, at: int | None = None) -> tuple[bytes, ...]:
        """Its S/MIME certificates (DER) in force at time `at` (ms)."""
        ...

    def publish(self, address: str, certificate: bytes, at: int) -> Certificate:
        """Gate and publish (binary or armored). Supersedes an older one. Durable on return.

        Raises CertificateRefused (also "key-of-another": the same key under another address).
        """
        ...

    def revoke(self, address: str, fingerprint: str, at: int, revocation: bytes | None = None) -> None:
        """Withdraw it: from now on nothing is sealed to it. Durable on return. Raises KeyError if unknown."""
        ...

    def published(self, address: str) -> bytes | None:
        """Binary certificate as WKD must serve it: full key material, only the user id of `address`."""
        ...
