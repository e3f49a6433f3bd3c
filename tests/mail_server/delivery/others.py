"""What tests of signatures share at delivery: a neighbour that hands over, an author elsewhere, their zone."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.federation_dns import DnsServer
from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.signatures import arc, results
from mail_server.signatures.keyring import KeyRing
from mail_server.signatures.results import NOTHING, Result, Verified
from mail_server.signatures.signer import Signer
from mail_server.signatures.zone import Zone

AUTHOR, NEIGHBOUR = "auteur.test", "voisin.test"
WARD = f"accueil@{NEIGHBOUR}"  # the organisation's account that sends on
MARIE = f"marie@{AUTHOR}"


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def document(
    sender: str = MARIE, to: str = WARD, more: str = "", subject: str = "XDM/1.0/DDM+Bilan"
) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <un@essai>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n{more}MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Le bilan est joint, à relire.\r\n"
    ).encode()


@dataclass
class Others:
    """The author's operator and the neighbour: both sign, both are in the zone."""

    desk: Any
    dns: DnsServer
    signer: Signer

    def signed(self, letter: bytes, domain: str = AUTHOR) -> bytes:
        return self.signer.sign(letter, domain) + letter

    def sealed(self, letter: bytes, domain: str = NEIGHBOUR, verified: Verified = NOTHING) -> bytes:
        at = milliseconds() // 1000
        return arc.seal(letter, self.signer, domain, f"mx.{domain}; arc=none", verified, at) + letter

    def sent_on(self, letter: bytes | None = None) -> bytes:
        """As the neighbour sends on what the author wrote."""
        return self.sealed(self.signed(document() if letter is None else letter))

    async def envelope(self, *recipients: str, mail_from: str = WARD) -> Envelope:
        peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=self.desk.operator_certificate)
        delivery = self.desk.node.delivery
        envelope = Envelope(
            await delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None)
        )
        for address in recipients:
            envelope.add(await delivery.admit_recipient(envelope, address))
        return envelope

    async def hand_over(self, letter: bytes, *recipients: str, mail_from: str = WARD) -> None:
        await self.desk.node.delivery.deliver(await self.envelope(*recipients, mail_from=mail_from), letter)

    async def program(self) -> Any:
        return await self.desk.account("logiciel", Kind.APP)


def results_of(stored: bytes) -> str:
    """Our Authentication-Results in a stored letter, on one line."""
    found = [one.value.decode() for one in mime.fields(stored) if one.name == results.FIELD_NAME]
    assert len(found) == 1
    return " ".join(found[0].split())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making RSA keys takes its time: once for a file of tests."""
    path = tmp_path_factory.mktemp("others") / "keystore"
    for domain in (AUTHOR, NEIGHBOUR):
        _ring(path).current(domain, milliseconds())
    return path


@pytest.fixture
async def others(desk: Any, keys: Path, tmp_path: Path) -> AsyncIterator[Others]:
    shutil.copy(keys, tmp_path / "others.keystore")
    ring = _ring(tmp_path / "others.keystore")
    dns = DnsServer()
    await dns.start()
    for domain in (AUTHOR, NEIGHBOUR):
        for pair in ring.shown(domain, milliseconds()):
            dns.texts({f"{key.selector}._domainkey.{domain}": key.record for key in pair.public})
    desk.node.verifier._zone = Zone(dns.address, 1.0)
    desk.node.delivery._authenticity._listed = {AUTHOR, NEIGHBOUR}.__contains__
    yield Others(desk, dns, Signer(ring, (AUTHOR, NEIGHBOUR), milliseconds))
    await dns.stop()


def _ring(path: Path) -> KeyRing:
    return KeyRing(path, AesKeyWrapper(b"o" * 32), announce_hours=48, keep_days=14)


PASSES = Verified(arc=Result.PASS)
