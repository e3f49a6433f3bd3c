"""Thunderbird, as Debian ships it, on a screen without a monitor: a report opens under its true subject."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo import clients, letters, world

pytestmark = pytest.mark.peers

_RUN = Path(__file__).parent / "thunderbird" / "run.py"
_NEEDS = {"thunderbird": "thunderbird", "Xvfb": "xvfb", "import": "imagemagick"}


def installed() -> None:
    missing = [package for program, package in _NEEDS.items() if not shutil.which(program)]
    if missing:
        pytest.fail(f"What people really use is not tried here: apt-get install {' '.join(missing)}")


@pytest.mark.timeout(1500)
def test_thunderbird_decrypts_a_report_and_shows_its_inner_subject(made: world.World, tmp_path: Path) -> None:
    installed()
    letter = letters.report(world.HOSPITAL, world.GP, pdf_bytes=80_000, patient="Maëlys Œillet-Çınar")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.GP], letter.data)
    done = subprocess.run(
        [
            sys.executable, str(_RUN), "--demo-json", str(made.folder / "demo.json"), "--out", str(tmp_path),
            "--address", world.GP, "--expect-subject", letter.subject, "--seconds", "240",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1400,
    )  # fmt: skip
    log = tmp_path / "thunderbird.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-2000:] if log.exists() else "")
    # It came with an app password, which has an end and says when and from where it last served.
    # Other programs of hers may have their own.
    password, *_ = made.command("password_list", address=world.GP)
    assert password["expires"]
    assert password["last_used"]
    assert password["last_place"] == "127.0.0.1"
    shown = json.loads((tmp_path / "thunderbird.json").read_text())
    assert shown["found"]
    assert shown["subject"] == letter.subject
    assert shown["technology"] == "OpenPGP"
    assert shown["encryption"].endswith("-ok"), "the padlock says that it was decrypted"
    assert "décompensation cardiaque résolue" in shown["text"]
    assert [attached["name"] for attached in shown["attachments"]] == ["compte-rendu-éloïse.pdf"]
    assert letter.subject not in shown["listed"], (
        "the list shows the outer subject until the letter is opened"
    )
