"""A gate with its process, over a home in a temporary folder; and a sealer, as delivery has one."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pysequoia
import pytest
import pytest_asyncio

from directory.openpgp.certificate import Certificate
from mail_server.keys.kek import make_kek
from mail_server.keys.settings import KeysSettings
from mail_server.outbound.egress.gate import EgressGate, Place
from mail_server.sealing.settings import SealingSettings
from policies.interface import Event

ADDRESS = "egress@mss.example"


@dataclass
class World:
    """Where the gate lives, and what it is told."""

    folder: Path
    named: frozenset[str] = frozenset()
    ahead: int = 0  # ms
    events: list[Event] = field(default_factory=list[Event])
    gates: list[EgressGate] = field(default_factory=list[EgressGate])

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def keystore(self) -> Path:
        return self.home / "egress.keystore"

    @property
    def kek(self) -> Path:
        return self.folder / "kek"

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead

    def gate(self, *, alone: bool = True, **settings: int) -> EgressGate:
        async def named() -> frozenset[str]:
            return self.named

        place = Place(self.home, self.keystore, KeysSettings(kek=self.kek), ADDRESS)
        made = EgressGate(
            place,
            SealingSettings.model_validate(settings),
            named=named,
            alone=alone,
            audit=self.events.extend,
            clock=self.now,
        )
        self.gates.append(made)
        return made

    async def started(self, **settings: int) -> EgressGate:
        made = self.gate(alone=True, **settings)
        await made.start()
        return made


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vm-gate-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest_asyncio.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    made = World(folder)
    made.home.mkdir(mode=0o700)
    make_kek(made.kek, made.home)
    yield made
    for gate in made.gates:
        await gate.close()


@pytest.fixture(scope="session")
def seal() -> Callable[[bytes, Sequence[Certificate]], bytes]:
    """A binary OpenPGP message to these certificates."""

    def sealed(clear: bytes, to: Sequence[Certificate]) -> bytes:
        certificates = [pysequoia.Cert.from_bytes(one.minimised) for one in to]
        return pysequoia.encrypt(clear, certificates, armor=False)

    return sealed
