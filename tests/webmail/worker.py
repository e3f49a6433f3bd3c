"""The worker of a page as a program, which answers questions; and somebody with GnuPG who writes to its patient."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

PATIENT = "0f3c9a7be2d14c55@patient.mss.example"
SHOWN = "267017506512334@patient.mss.example"
DOCTOR = "claire.martin@chu.mss.example"


@dataclass
class Page:
    """The worker of a page, as a program."""

    process: subprocess.Popen[str]
    asked: int = 0
    ms: float = 0

    def answer(self, operation: str, given: object = None) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.asked += 1
        self.process.stdin.write(
            json.dumps({"id": self.asked, "operation": operation, "given": given}) + "\n"
        )
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.ms = found["ms"]
        return found

    def ask(self, operation: str, given: object = None) -> Any:
        found = self.answer(operation, given)
        assert "made" in found, f"{operation}: {found.get('slug')}"
        return found["made"]

    def refusal(self, operation: str, given: object = None) -> str:
        found = self.answer(operation, given)
        assert "slug" in found, f"{operation} was answered"
        return found["slug"]

    def open(self, message: bytes, authors: list[str] | None = None, gateway: str = "") -> dict[str, Any]:
        letter = {"id": f"M{self.asked}", "data": blob(message), "authors": authors or [], "gateway": gateway}
        return self.ask("open", letter)

    def compose(self, certificates: list[str], **changes: Any) -> dict[str, Any]:
        letter = {
            "from": {"name": "Élise Durand", "address": SHOWN},
            "to": [DOCTOR],
            "subject": "Une question sur mes résultats",
            "text": "Bonjour docteur,\n\nJ’ai mal là.\n",
            "files": [],
            "inReplyTo": "",
            "references": [],
            "outerSubject": "",
            "certificates": certificates,
            "date": 1795000000000,
        }
        return self.ask("seal", letter | changes)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def blob(data: bytes) -> dict[str, str]:
    return {"bytes": text(data)}


@pytest.fixture
def page(programs: tuple[Path, Path]) -> Iterator[Page]:
    node, folder = programs
    process = subprocess.Popen(
        [str(node), str(folder / "command.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Page(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Patient:
    """A page that is open, with a key made in it."""

    page: Page
    certificate: bytes = field(repr=False)

    @property
    def told(self) -> str:
        return text(self.certificate)


@pytest.fixture
def patient(page: Page) -> Patient:
    page.ask("beginAccount", {"account": "A1"})
    made = page.ask("makeKey", {"address": PATIENT, "years": 0})
    return Patient(page, base64.b64decode(made["certificate"]))


@dataclass
class Program:
    """Somebody with GnuPG."""

    home: Path

    def run(self, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [
            "gpg",
            "--homedir",
            str(self.home),
            "--batch",
            "--yes",
            "--no-tty",
            "--trust-model",
            "always",
        ]
        command += ["--pinentry-mode", "loopback", *arguments]
        return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)

    def make(self, address: str, passphrase: str = "") -> bytes:
        made = self.run(
            "--passphrase", passphrase, "--quick-gen-key", f"<{address}>", "ed25519", "sign,cert", "2y"
        )
        assert made.returncode == 0, made.stderr
        listed = self.run("--with-colons", "--list-keys", address).stdout.decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        added = self.run("--passphrase", passphrase, "--quick-add-key", fingerprint, "cv25519", "encr", "2y")
        assert added.returncode == 0, added.stderr
        return self.run("--export", address).stdout

    def opens(self, message: bytes) -> tuple[EmailMessage, str]:
        """The entity in a PGP/MIME letter, and what GnuPG said of it."""
        outside = email.message_from_bytes(message, policy=email.policy.default)
        sealed = outside.get_payload(1)
        assert isinstance(sealed, EmailMessage)
        done = self.run("--status-fd", "2", "--passphrase", "", "--decrypt", data=sealed.get_content())
        assert done.returncode == 0, done.stderr
        inside = email.message_from_bytes(done.stdout, policy=email.policy.default)
        assert isinstance(inside, EmailMessage)
        return inside, done.stderr.decode("utf-8", "replace")


@pytest.fixture
def doctor() -> Iterator[Program]:
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    yield Program(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)
