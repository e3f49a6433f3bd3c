"""What the tests of the directory share: a GnuPG home, keys of every kind made by GnuPG, and a forge."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def load_forge() -> ModuleType:
    """The forge module, whatever the working directory."""
    name = "vaguemestre_test_forge"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("forge.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


class GnuPg:
    """GnuPG in a home of its own, without passphrases."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str, data: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--no-tty", "--quiet"]
        command += ["--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=120)
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return done.stdout

    def make(
        self,
        user_id: str,
        primary: str = "ed25519",
        subkey: str | None = "cv25519",
        *options: str,
        expire: str = "2y",
    ) -> str:
        """A key with one encryption subkey; its fingerprint."""
        told = self.run(
            *options, "--status-fd", "1", "--quick-gen-key", user_id, primary, "sign,cert", expire
        )
        fingerprint = told.decode().split("KEY_CREATED P ")[1].split()[0]  # others may have this user id
        if subkey is not None:
            self.run(*options, "--quick-add-key", fingerprint, subkey, "encr", expire)
        return fingerprint

    def fingerprints(self, who: str) -> list[str]:
        """Primary, then subkeys."""
        listed = self.run("--with-colons", "--list-keys", who).decode()
        return [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")]

    def public(self, who: str) -> bytes:
        return self.run("--export", who)

    def secret(self, who: str) -> bytes:
        return self.run("--export-secret-keys", who)

    def revocation(self, fingerprint: str) -> bytes:
        """The revocation GnuPG prepared, with the colon that disarms it taken away."""
        text = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        return text[text.index(":-----BEGIN") + 1 :].encode()


@pytest.fixture(scope="session")
def gnupg() -> Iterator[GnuPg]:
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    yield GnuPg(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def forge() -> ModuleType:
    return load_forge()


@pytest.fixture(scope="session")
def doctor(gnupg: GnuPg) -> bytes:
    """The public key of a general practitioner, as GnuPG makes it."""
    return gnupg.public(gnupg.make("Dr Zoé Martin <zoe.martin@cabinet.mss.example>"))
