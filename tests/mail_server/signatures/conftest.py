"""Keys, a DNS server on loopback that has their zone, a signer and a verifier that knows nobody else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.demo.federation_dns import DnsServer
from mail_server.signatures.keyring import KeyRing
from mail_server.signatures.settings import SignaturesSettings
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from mail_server.signatures.zone import Zone
from tests.mail_server.signatures.desk import AUTHOR, FORWARDER, Clock, Desk, milliseconds, new_ring, zone


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def made_keys() -> Iterator[Path]:
    """Making RSA keys takes its time: done once."""
    folder = Path(tempfile.mkdtemp(prefix="vm-signatures-"))
    ring = new_ring(folder / "signatures.keystore")
    for domain in (AUTHOR, FORWARDER):
        ring.current(domain, milliseconds())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ring(made_keys: Path, tmp_path: Path) -> KeyRing:
    path = tmp_path / "signatures.keystore"
    shutil.copy(made_keys / "signatures.keystore", path)
    return new_ring(path)


@pytest.fixture
def signer(ring: KeyRing, clock: Clock) -> Signer:
    return Signer(ring, (AUTHOR, FORWARDER), clock)


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    server = DnsServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def desk(ring: KeyRing, signer: Signer, dns: DnsServer, clock: Clock) -> AsyncIterator[Desk]:
    dns.texts(zone(ring, clock()))
    verifier = Verifier(SignaturesSettings(deadline_seconds=60), Zone(dns.address, 60.0), clock)
    yield Desk(ring, signer, verifier, dns, clock)
    await verifier.close()
