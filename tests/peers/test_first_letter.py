"""One letter's whole way with tools nobody here wrote: swaks hands over, mbsync pulls, GnuPG opens."""

from __future__ import annotations

import mailbox
import subprocess
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, letters, world

pytestmark = pytest.mark.peers

TWO_MEGABYTES = 2 * 1024 * 1024


def mbsync(folder: Path, made: world.World, person: world.Person) -> list[bytes]:
    """Pull INBOX with isync over implicit TLS; the letters, oldest first."""
    folder.mkdir()
    rc = folder / "mbsyncrc"
    rc.write_text(
        f"""
IMAPAccount node
Host localhost
Port {made.ports["imaps"]}
User {person.address}
Pass {person.password}
SSLType IMAPS
CertificateFile {made.ca}

IMAPStore remote
Account node

MaildirStore local
Path {folder}/
Inbox {folder}/INBOX

Channel all
Far :remote:
Near :local:
Patterns *
Create Near
SyncState *
"""
    )
    done = subprocess.run(["mbsync", "-c", str(rc), "-a"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pulled = mailbox.Maildir(folder / "INBOX", create=False)
    return [pulled.get_bytes(key) for key in pulled.iterkeys()]


def opened_report(tmp_path: Path, made: world.World, letter: letters.Letter, address: str) -> clients.Opened:
    person = made.persons[address]
    assert person.secret_key is not None
    for stored in mbsync(tmp_path / "maildir", made, person):
        opened = clients.open_with_gpg(stored, person.secret_key, person.passphrase, made.authority)
        if opened.subject == letter.subject:
            return opened
    raise AssertionError("the letter was not pulled")


def inner_is_what_was_sent(opened: clients.Opened, letter: letters.Letter) -> None:
    sent = message_from_bytes(letter.data, policy=policy.default)
    found = opened.message
    for name in ("From", "To", "Subject", "Date", "Message-ID"):
        assert found[name] == sent[name]
    # Byte for byte from the first part on: only our fields were added above.
    body = letter.data.partition(b"\r\n\r\n")[2]
    assert opened.inner.partition(b"\r\n\r\n")[2].rstrip(b"\r\n") == body.rstrip(b"\r\n")
    assert opened.attachments == [letter.attachment]
    assert opened.good_signature


def test_a_2_mb_report_from_the_hospitals_system_is_opened_from_a_maildir(
    made: world.World, tmp_path: Path
) -> None:
    letter = letters.report(world.HOSPITAL, world.GP, pdf_bytes=TWO_MEGABYTES, patient="Zoé Léonard-Gérôme")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.GP], letter.data)
    inner_is_what_was_sent(opened_report(tmp_path, made, letter, world.GP), letter)


def test_a_2_mb_report_handed_over_by_swaks_on_port_25_is_opened_from_a_maildir(
    made: world.World, demo: dict[str, Any], tmp_path: Path
) -> None:
    operator = demo["operator"]
    letter = letters.report(operator["address"], world.GP, pdf_bytes=TWO_MEGABYTES, patient="Anaïs Crèvecœur")
    eml = tmp_path / "letter.eml"
    eml.write_bytes(letter.data)
    done = subprocess.run(
        [
            "swaks", "--server", "127.0.0.1", "--port", str(demo["endpoints"]["smtp"]), "--tls",
            "--tls-cert", operator["certificate"], "--tls-key", operator["key"],
            "--tls-ca-path", demo["ca"], "--ehlo", f"smtp.{operator['domain']}",
            "--from", operator["address"], "--to", world.GP, "--data", f"@{eml}", "--suppress-data",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    inner_is_what_was_sent(opened_report(tmp_path, made, letter, world.GP), letter)


def test_a_ward_letter_is_opened_by_each_member_and_by_nobody_else(made: world.World) -> None:
    letter = letters.report(world.HOSPITAL, world.WARD, pdf_bytes=20_000, patient="Léa Chaïb")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.WARD], letter.data)
    stored = b""
    for address in (world.NURSE, world.DOCTOR):
        person = made.persons[address]
        assert person.secret_key is not None
        with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
            folder = next(name for name in clients.folders(imap) if world.WARD in name)
            stored = clients.newest(imap, folder)
        opened = clients.open_with_gpg(stored, person.secret_key, person.passphrase, made.authority)
        assert opened.subject == letter.subject
    outsider = made.persons[world.GP]
    assert outsider.secret_key is not None
    with pytest.raises(clients.NotOpened):
        clients.open_with_gpg(stored, outsider.secret_key, outsider.passphrase, None)
