"""The demo's people make their keys with GnuPG, and leave nothing behind."""

from __future__ import annotations

import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.people import make_key, temporary_home


def gpg(home: Path, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False)


@pytest.fixture
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One that nobody else writes in; its path is short, since GnuPG's sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_person_reads_with_the_exported_key_and_passphrase(
    tmp_path: Path, own_temporary_folder: Path
) -> None:
    key = make_key("Dr Inès Vidal", "ines.vidal@cabinet.example", "trois mots en l'air", tmp_path)
    assert list(own_temporary_folder.iterdir()) == []
    assert key.secret == tmp_path / "ines.vidal.asc"
    assert stat.S_IMODE(key.secret.stat().st_mode) == 0o600
    with temporary_home() as sender:
        assert gpg(sender, "--import", str(key.public)).returncode == 0
        sealed = gpg(sender, "--encrypt", "-r", key.address, data="à lire".encode()).stdout
    with temporary_home() as reader:
        pin = ("--pinentry-mode", "loopback", "--passphrase")
        assert gpg(reader, *pin, "trois mots en l'air", "--import", str(key.secret)).returncode == 0
        assert gpg(reader, *pin, "autre chose", "--decrypt", data=sealed).returncode != 0
        assert gpg(reader, *pin, "trois mots en l'air", "--decrypt", data=sealed).stdout == "à lire".encode()


def test_the_key_has_the_profile_every_program_reads(tmp_path: Path) -> None:
    key = make_key("Dr Inès Vidal", "ines.vidal@cabinet.example", "p", tmp_path, file_name="ines")
    shown = subprocess.run(
        ["gpg", "--list-packets", str(key.public)], capture_output=True, check=True, text=True
    ).stdout
    assert shown.count("version 4, algo 22") == 1
    assert shown.count("version 4, algo 18") == 1
    assert "(features: 01)" in shown
    assert key.fingerprint[-16:] in shown


def test_a_line_break_does_not_smuggle_a_parameter(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line break"):
        make_key("Dr X\nKey-Type: RSA", "x@cabinet.example", "p", tmp_path)
