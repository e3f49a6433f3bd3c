"""What the tests of sealing share: an authority, a pool with its key, and keys that real programs made."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import gate
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import Sealed
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings


def _forge() -> ModuleType:
    """The forge of the directory's tests, whatever the working directory."""
    name = "vaguemestre_test_forge"
    if name not in sys.modules:
        path = Path(__file__).parents[2] / "directory" / "forge.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@dataclass
class Reader:
    """A person with a real program: a GnuPG home of their own."""

    home: Path

    def run(self, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--no-tty"]
        command += ["--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        return subprocess.run(command, input=data, capture_output=True, timeout=60)

    def make(self, address: str, primary: str = "ed25519", subkey: str = "cv25519") -> Certificate:
        """A key pair; its gated certificate."""
        assert self.run("--quick-gen-key", address, primary, "sign,cert", "2y").returncode == 0
        listed = self.run("--with-colons", "--list-keys", f"={address}").stdout.decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        assert self.run("--quick-add-key", fingerprint, subkey, "encr", "2y").returncode == 0
        return gate(self.run("--export", fingerprint).stdout, address, int(time.time() * 1000))

    def secret(self, certificate: Certificate) -> bytes:
        return self.run("--export-secret-keys", certificate.fingerprint).stdout

    def opens(self, message: bytes) -> tuple[bytes, str]:
        """Clear text and status lines, or an empty text."""
        done = self.run("--status-fd", "2", "--verbose", "--decrypt", data=message)
        return (done.stdout if done.returncode == 0 else b""), done.stderr.decode("utf-8", "replace")


def end_home(home: Path) -> None:
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def forge() -> ModuleType:
    return _forge()


@pytest.fixture(scope="session")
def kek() -> AesKeyWrapper:
    return AesKeyWrapper(b"k" * 32)


@pytest.fixture(scope="session")
def authority_home(kek: AesKeyWrapper) -> Iterator[Path]:
    """Where the authority that all share lies."""
    place = Path(tempfile.mkdtemp(prefix="vm-authority-"))
    Authority(place / "authority", kek, "mss.example").make()
    yield place / "authority"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def authority(authority_home: Path, kek: AesKeyWrapper) -> Authority:
    return Authority(authority_home, kek, "mss.example")


@pytest.fixture(scope="session")
def reader(authority: Authority) -> Iterator[Reader]:
    """Somebody with GnuPG, who fetched the authority's certificate and trusts it."""
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    made = Reader(home)
    imported = made.run("--import", data=authority.certificate())
    assert imported.returncode == 0, imported.stderr
    yield made
    end_home(home)


@pytest.fixture(scope="session")
def cv25519(reader: Reader) -> Certificate:
    return reader.make("cv@mss.example")


@pytest.fixture(scope="session")
def rsa3072(reader: Reader) -> Certificate:
    return reader.make("rsa@mss.example", "rsa3072", "rsa3072")


@pytest_asyncio.fixture
async def pool(authority: Authority) -> AsyncIterator[Pool]:
    made = Pool(SealingSettings(workers=2, deadline_seconds=120))
    await made.start()
    await made.load(authority.signing_key())
    yield made
    await made.close()


@pytest.fixture
def engine(pool: Pool) -> OpenPgpEngine:
    return OpenPgpEngine(pool)


@pytest.fixture(scope="session")
def whole() -> Callable[[Sealed], bytes]:
    """The message that an addressee's program gets: all key packets, then the data packet."""

    def join(sealed: Sealed) -> bytes:
        return b"".join(one.packet for one in sealed.key_packets) + sealed.body

    return join


@pytest.fixture(scope="session")
def gated() -> Callable[[Any, str], Certificate]:
    return lambda data, address: gate(data, address, int(time.time() * 1000))
