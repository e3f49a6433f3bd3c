"""The sealing engine as delivery sees it, so that S/MIME can stand beside OpenPGP.

Invariants: an engine never returns clear text on failure; one key packet per recipient, asserted; plaintext
lives in this process and the worker's memory alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from directory.openpgp.certificate import Certificate


class SealingError(Exception):
    """Sealing could not be done: the letter is answered 451 and stored nowhere."""


class OpeningError(Exception):
    """The ciphertext could not be opened with that key."""


@dataclass(frozen=True, slots=True)
class KeyPacket:
    fingerprint: str  # of the certificate (primary key), upper-case hex
    packet: bytes  # one whole tag-1 packet, version 3


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encryption for all recipients: the data packet (tag 18, version 1) and a key packet each."""

    body: bytes
    key_packets: tuple[KeyPacket, ...]
    beside: Sealed | None = None


class SealingEngine(Protocol):
    async def seal(
        self,
        clear: bytes,
        recipients: Sequence[Certificate],
        beside: bytes = b"",
        *,
        sign_beside: bool = False,
    ) -> Sealed:
        """Sign with the gateway signing key and encrypt to exactly these certificates.

        `beside` (a summary) is sealed to the same in the same step; it comes back as `Sealed.beside`. It is signed
        where `sign_beside` says so: when it carries a manifest.

        `recipients` are gated already (`directory.openpgp.gate`), distinct by fingerprint.
        Raises SealingError; also on its deadline, or when a worker dies (never retried in clear).
        """
        ...

    async def open(self, message: bytes, secret_key: bytes) -> bytes:
        """Decrypt binary OpenPGP `message` with an unprotected secret key. Raises OpeningError."""
        ...
