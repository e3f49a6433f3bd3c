"""neomutt in a terminal reads a sealed letter over IMAPS with GnuPG, under the subject inside."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.demo import clients, letters, world
from deploy.demo.people import temporary_home

pytestmark = pytest.mark.peers


@contextmanager
def gnupg_of(person: world.Person) -> Iterator[Path]:
    """A person's GnuPG home; the agent takes the passphrase from the caller, for nobody sits at the terminal."""
    with temporary_home() as home:
        assert person.secret_key is not None
        command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase", person.passphrase, "--import", str(person.secret_key)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        yield home


def settings(folder: Path, made: world.World, person: world.Person, home: Path) -> Path:
    """A neomuttrc. `home/pass` holds the passphrase, as a keyring would."""
    (home / "pass").write_text(person.passphrase)
    gpg = f"gpg --homedir {home} --batch --no-verbose --trust-model always --status-fd=2"
    unlock = f"--pinentry-mode loopback --passphrase-file {home}/pass"
    rc = folder / "neomuttrc"
    rc.write_text(
        f"""
set folder = "imaps://localhost:{made.ports["imaps"]}/"
set spoolfile = "+INBOX"
set imap_user = "{person.address}"
set imap_pass = "{person.password}"
set imap_authenticators = "plain"
set ssl_starttls = yes
set ssl_force_tls = yes
set certificate_file = "{made.ca}"
set ssl_verify_host = yes
set charset = "utf-8"
set header_cache = ""
set message_cachedir = ""
set sort = date-received
set crypt_use_gpgme = no
set crypt_protected_headers_read = yes
set crypt_verify_sig = no
set pgp_use_gpg_agent = yes
set pgp_check_gpg_decrypt_status_fd = yes
set pgp_decrypt_command = "{gpg} {unlock} --output - --decrypt %f"
set pgp_decode_command = "{gpg} {unlock} --output - --decrypt %f"
set pgp_verify_command = "{gpg} --output - --verify %s %f"
set pipe_decode = yes
set wait_key = no
set prompt_after = no
set confirmappend = no
set quit = yes
"""
    )
    return rc


def in_a_terminal(command: list[str], environment: dict[str, str], seconds: float) -> bytes:
    """Run it on a pseudo-terminal of its own until it ends; what it wrote there."""
    if not shutil.which(command[0]):
        pytest.fail(f"What people really use is not tried here: apt-get install {command[0]}")
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.execvpe(command[0], command, environment)
        finally:
            os._exit(127)  # never a second run of these tests
    written = bytearray()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # its side is closed: it has ended
                break
            if not piece:
                break
            written += piece
        else:
            pytest.fail(f"it did not end: {bytes(written[-1500:])!r}")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
    return bytes(written)


@pytest.mark.timeout(600)
def test_neomutt_reads_a_sealed_letter_under_its_inner_subject(made: world.World, tmp_path: Path) -> None:
    letter = letters.report(world.HOSPITAL, world.GP, pdf_bytes=20_000, patient="Noémie Lefèvre")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.GP], letter.data)
    person = made.persons[world.GP]
    displayed, piped = tmp_path / "displayed.txt", tmp_path / "piped.txt"
    with gnupg_of(person) as home:
        rc = settings(tmp_path, made, person, home)
        pager = tmp_path / "pager"
        pager.write_text(f'#!/bin/sh\ncp "$1" {displayed}\n')
        pager.chmod(0o700)
        rc.write_text(rc.read_text() + f'set pager = "{pager}"\n')
        keys = f"<last-entry><display-message><pipe-message>cat >{piped}<enter><redraw-screen><quit>"
        screen = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "140", "LINES": "50"}
        shown = in_a_terminal(
            ["neomutt", "-F", str(rc), "-n", "-e", f'push "{keys}"'],
            {**os.environ, **screen, "HOME": str(tmp_path)},
            300,
        )
    assert displayed.exists(), shown[-3000:]
    text = displayed.read_text()
    assert f"Subject: {letter.subject}\n" in text
    assert "décompensation cardiaque résolue" in text
    assert "compte-rendu-éloïse.pdf" in text
    assert "décompensation cardiaque résolue" in piped.read_text()
    assert letter.subject in shown.decode(errors="replace"), (
        "the list shows it too, once the letter was opened"
    )
