"""The certificate of `fin@<domain>`, so that a program that encrypts to everybody still hides the subject.

A letter to a patient with `fin@` in Cc comes encrypted to both, and lies as it came in the patient's account. So the
secret of this certificate must open nothing, ever: it is forgotten where it is made. Closing works by the envelope.
Invariants: no secret half leaves the function that has GnuPG make it; one certificate for each domain, the same
on every node; it is looked up from memory.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.operator_keys import make_key
from mail_server.keys.settings import KeysSettings
from mail_server.store.interface import Reader, Store, StoreError, Transaction

_log = logging.getLogger("vaguemestre.conversations")


class ClosingCertificates:
    def __init__(self, store: Store, settings: KeysSettings, local: str, domains: tuple[str, ...]) -> None:
        self._store = store
        self._settings = settings
        self._local = local
        self._domains = domains
        self._certificates: dict[str, bytes] = {}

    async def load(self) -> None:
        self._certificates = await self._store.read(_read)

    async def make(self) -> None:
        """One for each domain that has none. Never raises; tried again at the next start."""
        for domain in self._domains:
            if domain in self._certificates:
                continue
            try:
                certificate = await asyncio.to_thread(self._made, f"{self._local}@{domain}")
                await self._store.write(
                    lambda transaction, domain=domain, made=certificate: _keep(transaction, domain, made)
                )
            except (KeyUnavailable, OSError, subprocess.SubprocessError, StoreError) as failure:
                _log.warning("no certificate for the closing address (%s)", type(failure).__name__)
        try:
            await self.load()
        except StoreError as failure:
            _log.warning("certificates of closing addresses not read (%s)", type(failure).__name__)

    def certificate(self, address: str) -> bytes | None:
        local, _, domain = address.lower().rpartition("@")
        return self._certificates.get(domain) if local == self._local else None

    def addresses(self) -> list[str]:
        return [f"{self._local}@{domain}" for domain in self._certificates]

    def _made(self, address: str) -> bytes:
        _, certificate, _ = make_key(self._settings, address)
        return certificate


def _read(reader: Reader) -> dict[str, bytes]:
    rows = reader.sql.all("SELECT domain, certificate FROM closing_address")
    return {domain: bytes(certificate) for domain, certificate in rows}


def _keep(transaction: Transaction, domain: str, certificate: bytes) -> None:
    """Another node may have been quicker: then its certificate is the one."""
    transaction.sql.run(
        "INSERT INTO closing_address (domain, certificate, made_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (domain, certificate, time.time_ns() // 1_000_000),
    )
