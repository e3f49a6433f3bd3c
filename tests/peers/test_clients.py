"""IMAP and SMTP libraries that others wrote, against a whole node: logging in, waiting, moving, keeping."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import imaplib
import secrets
import smtplib
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import aioimaplib
import pytest
from imapclient import IMAPClient

from deploy.demo import clients, letters, world
from mail_server.store.model import State

pytestmark = pytest.mark.peers


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), from the text of the RFC alone."""

    def __init__(self, user: str, password: str) -> None:
        self._password = password.encode()
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={secrets.token_urlsafe(18)}"
        self.first = f"n,,{self._bare}".encode()
        self._expected = b""

    def final(self, server_first: bytes) -> bytes:
        fields = dict(
            cast(tuple[str, str], field.split("=", 1)) for field in server_first.decode().split(",")
        )
        assert fields["r"].startswith(self._bare.partition(",r=")[2])
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"])
        )
        without_proof = f"c={base64.b64encode(b'n,,').decode()},r={fields['r']}"
        message = f"{self._bare},{server_first.decode()},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def is_the_server(self, server_final: bytes) -> bool:
        return server_final == b"v=" + base64.b64encode(self._expected)


def send(made: world.World, subject: str) -> letters.Letter:
    letter = letters.note(world.HOSPITAL, world.DOCTOR, subject, "À demain.\n")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.DOCTOR], letter.data)
    return letter


def stored_state(made: world.World, email_id: str) -> State:
    """What the node wrote beside the letter."""
    with closing(sqlite3.connect(f"file:{made.node / 'mail.db'}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT state FROM message WHERE email_id = ?", (email_id,)).fetchone()
    return State(row[0])


@pytest.fixture
def doctor(made: world.World) -> world.Person:
    return made.persons[world.DOCTOR]


@pytest.fixture
def imap(made: world.World, doctor: world.Person) -> Iterator[IMAPClient]:
    with IMAPClient("localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=60) as client:
        client.login(doctor.address, doctor.password)
        yield client


# -- SCRAM-SHA-256 ------------------------------------------------------------------------------------------


def test_imaplib_logs_in_by_scram_and_each_side_proves_itself(
    made: world.World, doctor: world.Person
) -> None:
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=60)
    scram = Scram(doctor.address, doctor.password)
    told: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        told.append(challenge)
        return (scram.first, scram.final(challenge) if len(told) == 2 else b"", b"")[len(told) - 1]

    assert "AUTH=SCRAM-SHA-256" in imap.capabilities
    assert imap.authenticate("SCRAM-SHA-256", answer)[0] == "OK"
    assert scram.is_the_server(told[2])
    assert imap.select("INBOX", readonly=True)[0] == "OK"
    imap.logout()


def test_imaplib_with_a_wrong_password_is_refused_by_scram(made: world.World, doctor: world.Person) -> None:
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=60)
    scram = Scram(doctor.address, "un autre mot de passe")
    told: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        told.append(challenge)
        return scram.first if len(told) == 1 else scram.final(challenge)

    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap.authenticate("SCRAM-SHA-256", answer)
    imap.logout()


def test_smtplib_logs_in_by_scram_after_starttls_and_sends(made: world.World, doctor: world.Person) -> None:
    scram = Scram(doctor.address, doctor.password)
    with smtplib.SMTP("localhost", made.ports["submission"], timeout=60) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth"), "no password in clear"
        smtp.starttls(context=clients.tls(made.ca))
        smtp.ehlo()
        assert "SCRAM-SHA-256" in smtp.esmtp_features["auth"].split()
        code, challenge = smtp.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(scram.first).decode())
        assert code == 334
        code, challenge = smtp.docmd(base64.b64encode(scram.final(base64.b64decode(challenge))).decode())
        assert code == 334
        assert scram.is_the_server(base64.b64decode(challenge))
        # RFC 4954 §4: the server's final word came as a challenge, which an empty line answers.
        assert smtp.docmd("")[0] == 235
        note = letters.note(world.DOCTOR, world.GP, "Par SCRAM", "Bonne journée.\n")
        assert smtp.sendmail(world.DOCTOR, [world.GP], note.data) == {}


def test_swaks_logs_in_and_sends_over_implicit_tls(
    made: world.World, doctor: world.Person, tmp_path: Path
) -> None:
    eml = tmp_path / "letter.eml"
    eml.write_bytes(letters.note(world.DOCTOR, world.GP, "Par swaks", "Bonne journée.\n").data)
    done = subprocess.run(
        [
            "swaks", "--server", "localhost", "--port", str(made.ports["submissions"]), "--tls-on-connect",
            "--tls-ca-path", str(made.ca), "--tls-verify", "--auth", "PLAIN", "--auth-user", doctor.address,
            "--auth-password", doctor.password, "--from", world.DOCTOR, "--to", world.GP, "--data", f"@{eml}",
            "--suppress-data", "--auth-hide-password",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


# -- waiting ------------------------------------------------------------------------------------------------


def test_imapclient_in_idle_is_told_of_a_letter(made: world.World, imap: IMAPClient) -> None:
    before = int(imap.select_folder("INBOX")[b"EXISTS"])
    imap.idle()
    send(made, "Pendant l'attente")
    told: list[Any] = []
    while (before + 1, b"EXISTS") not in told:
        found = imap.idle_check(timeout=60)
        assert found, f"told of {told} only"
        told += found
    imap.idle_done()
    assert len(imap.search("ALL")) == before + 1


async def test_aioimaplib_in_idle_is_told_of_a_letter(made: world.World, doctor: world.Person) -> None:
    client = aioimaplib.IMAP4_SSL(
        "localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=60
    )
    await client.wait_hello_from_server()
    assert (await client.login(doctor.address, doctor.password)).result == "OK"
    selected = await client.select("INBOX")
    before = next(int(line.split()[0]) for line in selected.lines if line.endswith(b" EXISTS"))
    idling = await client.idle_start(timeout=120)
    await asyncio.to_thread(send, made, "Pendant une autre attente")
    told: list[bytes] = []
    while b"%d EXISTS" % (before + 1) not in told:
        told += await client.wait_server_push(60)
    client.idle_done()
    await asyncio.wait_for(idling, 60)
    fetched = await client.fetch(str(before + 1), "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert fetched.result == "OK"
    assert any(b"Subject: [...] " in bytes(line) for line in fetched.lines)
    await client.logout()


# -- changing -----------------------------------------------------------------------------------------------


def test_flags_copies_moves_and_removals_come_back_as_they_were_made(
    made: world.World, imap: IMAPClient
) -> None:
    send(made, "Un aller et retour")
    imap.select_folder("INBOX")
    uid = max(imap.search("ALL"))
    whole = imap.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]

    assert imap.add_flags([uid], [b"\\Flagged", b"$Suivi"])[uid] == imap.get_flags([uid])[uid]
    assert {b"\\Flagged", b"$Suivi"} <= set(imap.get_flags([uid])[uid])
    imap.remove_flags([uid], [b"\\Flagged"])
    assert b"\\Flagged" not in imap.get_flags([uid])[uid]

    imap.create_folder("Suivi/Épaule")
    imap.copy([uid], "Suivi/Épaule")
    imap.move([uid], "Archive")
    assert uid not in imap.search("ALL")
    for folder in ("Archive", "Suivi/Épaule"):
        imap.select_folder(folder)
        there = max(imap.search("ALL"))
        assert imap.fetch([there], ["BODY.PEEK[]"])[there][b"BODY[]"] == whole
        assert b"$Suivi" in imap.get_flags([there])[there]

    imap.select_folder("Suivi/Épaule")
    gone = imap.search("ALL")
    imap.delete_messages(gone)
    imap.expunge(gone)
    assert imap.search("ALL") == []
    imap.close_folder()
    imap.delete_folder("Suivi/Épaule")
    assert not imap.folder_exists("Suivi/Épaule")


def test_what_a_program_keeps_in_sent_comes_back_to_the_byte_in_the_state_kept(
    made: world.World, imap: IMAPClient
) -> None:
    letter = letters.report(world.DOCTOR, world.GP, pdf_bytes=50_000, patient="Gaëlle Aubry").data
    assert b"APPENDUID" in imap.append("Sent", letter, flags=[b"\\Seen"])
    imap.select_folder("Sent")
    uid = max(imap.search("ALL"))
    found = imap.fetch([uid], ["BODY.PEEK[]", "RFC822.SIZE", "FLAGS", "EMAILID"])[uid]
    assert found[b"BODY[]"] == letter, "the program compares: nothing is added"
    assert found[b"RFC822.SIZE"] == len(letter)
    assert b"\\Seen" in found[b"FLAGS"]
    email_id = cast(tuple[bytes], found[b"EMAILID"])[0].decode()
    assert stored_state(made, email_id) is State.KEPT
    kept = made.command("audit_show", limit=10, action="keep", address=world.DOCTOR, reference=email_id)
    assert [entry["outcome"] for entry in kept] == ["kept"]
