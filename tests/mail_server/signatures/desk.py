"""What tests of signatures share: a letter, two domains with keys, their zone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo.federation_dns import DnsServer
from mail_server import mime
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.signatures.keyring import KeyRing
from mail_server.signatures.results import Verified
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier

AUTHOR, FORWARDER = "mss.auteur.test", "mss.relais.test"
LETTER = (
    b"From: Marie <marie@mss.auteur.test>\r\n"
    b"To: <labo@mss.relais.test>,\r\n\t<autre@mss.relais.test>\r\n"
    b"Subject: XDM/1.0/DDM+Compte  rendu\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <un@mss.auteur.test>\r\n"
    b"X-MSS-NIL: 1234\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"Bonjour,  \r\n\tvoici \t le  compte rendu.\r\n\r\n\r\n"
)


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Clock:
    at: int = field(default_factory=milliseconds)

    def __call__(self) -> int:
        return self.at

    def days(self, count: float) -> None:
        self.at += int(count * 86_400_000)


def new_ring(path: Path) -> KeyRing:
    return KeyRing(path, AesKeyWrapper(b"k" * 32), announce_hours=48, keep_days=14)


@dataclass
class Desk:
    """A letter signed, and what a verifier says of it."""

    ring: KeyRing
    signer: Signer
    verifier: Verifier
    dns: DnsServer
    clock: Clock

    def signed(self, letter: bytes = LETTER, domain: str = AUTHOR) -> bytes:
        return self.signer.sign(letter, domain) + letter

    async def verify(self, letter: bytes, author: str = AUTHOR) -> Verified:
        found = await self.verifier.verify(letter, mime.fields(letter), author)
        assert found is not None
        return found

    def lookup(self) -> Callable[..., bytes | None]:
        """The zone as dkimpy asks for it."""
        known = zone(self.ring, self.clock())

        def ask(name: bytes, timeout: int = 5) -> bytes | None:
            record = known.get(name.decode().rstrip("."))
            return record.encode() if record else None

        return ask


def zone(ring: KeyRing, now: int) -> dict[str, str]:
    return {
        f"{key.selector}._domainkey.{domain}": key.record
        for domain in (AUTHOR, FORWARDER)
        for pair in ring.shown(domain, now)
        for key in pair.public
    }
