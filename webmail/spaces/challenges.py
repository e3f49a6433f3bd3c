"""Proof that who brings a certificate can open what is sealed to it: a nonce, sealed to it and read back.

Invariants: the certificate passed the gate before anything is sealed to it; a nonce serves once, for the session, the
account and the certificate it was made for, within ten minutes; only its hash is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import pysequoia

from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import gate
from directory.openpgp.reasons import in_french
from mail_server.accounts.interface import Account
from webmail.login.once import Once
from webmail.login.problems import Problem

_LIFETIME = 10 * 60_000


@dataclass(frozen=True, slots=True)
class _Asked:
    session: str
    account: str
    fingerprint: str
    nonce: bytes = field(repr=False)  # SHA-256 of it


class Challenges:
    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._asked: Once[_Asked] = Once(clock, _LIFETIME)

    async def begin(self, account: Account, session: str, certificate: bytes) -> tuple[str, bytes]:
        """An id, and the message to be opened (binary). Raises Problem key-refused."""
        gated = await self.gated(certificate, account)
        nonce = secrets.token_bytes(32).hex()
        message = await asyncio.to_thread(sealed_to, gated, nonce.encode())
        hashed = hashlib.sha256(nonce.encode()).digest()
        return self._asked.put(_Asked(session, account.id, gated.fingerprint, hashed), account.id), message

    async def answered(
        self, account: Account, session: str, certificate: bytes, challenge: str, nonce: str
    ) -> Certificate:
        """The certificate that was proven. Raises Problem key-refused, challenge-refused."""
        gated = await self.gated(certificate, account)
        asked = self._asked.take(challenge)
        hashed = hashlib.sha256(nonce.strip().lower().encode()).digest()
        if (
            asked is None
            or (asked.session, asked.account, asked.fingerprint) != (session, account.id, gated.fingerprint)
            or not hmac.compare_digest(asked.nonce, hashed)
        ):
            raise Problem("challenge-refused")
        return gated

    async def gated(self, certificate: bytes, account: Account) -> Certificate:
        try:
            return await asyncio.to_thread(gate, certificate, account.address, self._clock())
        except CertificateRefused as refused:
            raise key_refused(refused) from None


def key_refused(refused: CertificateRefused) -> Problem:
    return Problem("key-refused", detail=refused.reason, sentence=in_french(refused.reason))


def sealed_to(certificate: Certificate, clear: bytes) -> bytes:
    """A binary OpenPGP message that this certificate alone opens. Holds the GIL: for a thread, and small texts."""
    return bytes(pysequoia.encrypt(clear, [pysequoia.Cert.from_bytes(certificate.minimised)], armor=False))
