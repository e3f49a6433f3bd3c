"""OpenDKIM of Debian, written by others in another language: it verifies what we sign, and we what it signs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mail_server.signatures.results import Result
from tests.mail_server.signatures.desk import AUTHOR, LETTER, Desk

pytestmark = pytest.mark.peers
_INSERTED = re.compile(r"### INSHEADER: idx=\d+ hname='([^']+)' hvalue='([^']*)'", re.DOTALL)


def opendkim(folder: Path, letter: bytes, settings: str) -> list[tuple[str, str]]:
    """The fields that it puts above the letter."""
    program = shutil.which("opendkim", path="/usr/sbin:/usr/bin:/bin")
    if program is None:
        pytest.skip("opendkim is not installed")
    (folder / "letter").write_bytes(letter)
    (folder / "opendkim.conf").write_text(settings)
    done = subprocess.run(
        [program, "-vvv", "-x", str(folder / "opendkim.conf"), "-t", str(folder / "letter")],
        capture_output=True,
        text=True,
        check=True,
    )
    return _INSERTED.findall(done.stdout)


def verdicts(folder: Path, desk: Desk, letter: bytes) -> list[str]:
    keys = [
        f"{key.selector}._domainkey.{AUTHOR} {key.record}\n"
        for pair in desk.ring.pairs(AUTHOR)
        for key in pair.public
    ]
    (folder / "keys").write_text("".join(keys))
    settings = f"Mode v\nTestPublicKeys {folder}/keys\nAlwaysAddARHeader yes\nAuthservID test\n"
    [(name, value)] = opendkim(folder, letter, settings)
    assert name == "Authentication-Results"
    return re.findall(r"dkim=(\w+)", value)


def test_opendkim_finds_both_of_our_signatures_good(desk: Desk, tmp_path: Path) -> None:
    assert verdicts(tmp_path, desk, desk.signed()) == ["pass", "pass"]


def test_opendkim_finds_neither_good_once_the_letter_was_changed(desk: Desk, tmp_path: Path) -> None:
    changed = desk.signed().replace(b"Bonjour", b"Bonsoir")
    assert verdicts(tmp_path, desk, changed) == ["fail", "fail"]


@pytest.mark.parametrize("written", ["relaxed/relaxed", "simple/simple"])
async def test_what_opendkim_signs_passes_with_us(desk: Desk, tmp_path: Path, written: str) -> None:
    pair = desk.signer.pair(AUTHOR)
    secret = pair.rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(secret)
    (tmp_path / "key.pem").chmod(0o600)
    settings = (
        f"Mode s\nDomain {AUTHOR}\nSelector {pair.rsa_selector}\nKeyFile {tmp_path}/key.pem\n"
        f"Canonicalization {written}\nRequireSafeKeys no\n"
    )
    [(name, value)] = opendkim(tmp_path, LETTER, settings)
    field = f"{name}: {value}\r\n".replace("\r\n", "\n").replace("\n", "\r\n").encode()
    [found] = (await desk.verify(field + LETTER)).signatures
    assert (found.result, found.bits) == (Result.PASS, 2048)
