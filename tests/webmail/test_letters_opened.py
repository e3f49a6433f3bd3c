"""Letters that the page opens: what the server seals, what GnuPG seals, and what nobody should have sealed so."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.payloads.findings import find
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import Sealed
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings
from mail_server.store.armor import armor
from tests.webmail.worker import DOCTOR, PATIENT, SHOWN, Patient, Program, text
from tests.webmail.worker import doctor as doctor
from tests.webmail.worker import page as page
from tests.webmail.worker import patient as patient

REPORT = (
    f"From: =?utf-8?q?H=C3=B4pital?= <rapports@chu.mss.example>\r\nTo: {SHOWN}\r\nSubject: =?utf-8?b?w4l0w6k=?=\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour, été.\r\n"
).encode()


@dataclass
class Operator:
    """The server's own sealing, with its gateway's certificate."""

    engine: OpenPgpEngine
    gateway: str


@pytest.fixture
async def operator() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="vm-auth-"))
    authority = Authority(folder / "authority", AesKeyWrapper(b"k" * 32), "mss.example")
    authority.make()
    pool = Pool(SealingSettings(workers=1, deadline_seconds=60))
    await pool.start()
    await pool.load(authority.signing_key())
    yield Operator(OpenPgpEngine(pool), authority.certificate().decode("ascii"))
    await pool.close()
    shutil.rmtree(folder, ignore_errors=True)


def joined(sealed: Sealed) -> bytes:
    return b"".join(one.packet for one in sealed.key_packets) + sealed.body


def framed(
    message: bytes, fields: bytes = b"From: rapports@chu.mss.example\r\nSubject: [...] abcd\r\n"
) -> bytes:
    head, tail = mime.wrap(fields, "b" * 20)
    return head + armor(b"", message) + tail


async def test_what_the_server_seals_opens_in_the_page_with_its_summary(
    patient: Patient, operator: Operator
) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    inner = mime.protect(REPORT, [("Subject", b"[...] abcd")])
    summary = find(REPORT, mime.parse(REPORT)).summary or b""
    sealed = await operator.engine.seal(inner, [certificate], summary)
    made = patient.page.open(framed(joined(sealed)), gateway=operator.gateway)
    assert (made["subject"], made["text"], made["signature"]) == ("Été", "Bonjour, été.", "gateway")
    assert made["from"] == {"name": "Hôpital", "address": "rapports@chu.mss.example"}
    assert sealed.beside is not None
    line = {"id": "M2", "summary": text(joined(sealed.beside)), "keyIds": [certificate.encryption_key_id]}
    [shown] = patient.page.ask("lines", {"letters": [line]})
    assert shown["line"] == json.loads(summary)
    assert shown["line"] == made["line"]


async def test_a_list_of_fifty_is_opened_at_once(patient: Patient, operator: Operator) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    letters: list[dict[str, Any]] = []
    for number in range(50):
        report = REPORT.replace(b"Bonjour", b"Lettre %d" % number)
        sealed = await operator.engine.seal(
            report, [certificate], find(report, mime.parse(report)).summary or b""
        )
        assert sealed.beside is not None
        letters.append({"id": f"M{number}", "summary": text(joined(sealed.beside)), "keyIds": []})
    shown = patient.page.ask("lines", {"letters": letters})
    assert [one["line"]["text"] for one in shown] == [f"Lettre {number}, été." for number in range(50)]
    opened = patient.page.ms
    assert opened < 30_000  # of CPU
    patient.page.ask("lines", {"letters": letters})
    assert patient.page.ms < opened / 2  # from what this device keeps


async def test_a_name_inside_counts_only_with_the_address_outside(
    patient: Patient, operator: Operator
) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    sealed = await operator.engine.seal(REPORT, [certificate])
    outside = b"From: Escroc <escroc@ailleurs.example>\r\nSubject: [...] abcd\r\n"
    made = patient.page.open(framed(joined(sealed), outside), gateway=operator.gateway)
    assert made["from"] == {"name": "Escroc", "address": "escroc@ailleurs.example"}


def signed_and_sealed(doctor: Program, entity: bytes, *more: str) -> bytes:
    done = doctor.run("--passphrase", "", "--recipient", PATIENT, *more, "--encrypt", data=entity)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gnupg_s_letter_is_its_author_s_only_by_the_author_s_certificate(
    patient: Patient, doctor: Program
) -> None:
    certificate = text(doctor.make(DOCTOR))
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = framed(signed_and_sealed(doctor, REPORT, "--sign"))
    assert patient.page.open(message, [certificate])["signature"] == "author"
    assert patient.page.open(message, [])["signature"] == "unknown"
    assert patient.page.open(message, [patient.told])["signature"] == "unknown"
    assert patient.page.open(framed(signed_and_sealed(doctor, REPORT)), [certificate])["signature"] == "none"


def test_a_signature_apart_inside_the_seal_is_looked_at_over_the_entity_as_it_lies(
    patient: Patient, doctor: Program
) -> None:
    certificate = text(doctor.make(DOCTOR))
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    for altered, wanted in ((False, "author"), (True, "bad")):
        signature = doctor.run("--passphrase", "", "--armor", "--detach-sign", data=REPORT).stdout
        shown = REPORT.replace(b"Bonjour", b"Bonsoir") if altered else REPORT
        entity = (
            b'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary=s\r\n'
            b"\r\n--s\r\n" + shown + b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n"
            + signature.replace(b"\n", b"\r\n") + b"\r\n--s--\r\n"
        )  # fmt: skip
        made = patient.page.open(framed(signed_and_sealed(doctor, entity)), [certificate])
        assert made["signature"] == wanted
        assert made["subject"] == "Été"
        assert made["parts"] == []


def test_a_letter_to_another_key_is_locked_and_a_damaged_one_is_not_opened(
    patient: Patient, doctor: Program
) -> None:
    doctor.make(DOCTOR)
    other = doctor.run("--recipient", DOCTOR, "--encrypt", data=REPORT).stdout
    made = patient.page.open(framed(other))
    assert (made["opened"], made["locked"], made["text"]) == (False, True, "")
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = bytearray(signed_and_sealed(doctor, REPORT))
    message[-30] ^= 1
    made = patient.page.open(framed(bytes(message)))
    assert (made["opened"], made["locked"], made["text"], made["subject"]) == (False, False, "", "")


def test_nothing_in_a_letter_makes_the_page_fail(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    hostile = [
        b"",
        b"\0" * 5000,
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n" * 50,
        b"Content-Type: multipart/encrypted; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n",
        b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-",
        b"Subject: " + b"=?utf-8?q?=?=" * 3000 + b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 200,
        framed(b"\xc1" * 300),
        framed(b"\xd2\xff\xff\xff\xff\xff" + b"a" * 100),
    ]
    for entity in hostile:
        assert patient.page.open(entity)["signature"] in ("none", "unknown", "bad")
        assert patient.page.open(framed(signed_and_sealed(doctor, entity)))["opened"] is True


def test_one_byte_changed_anywhere_never_shows_another_text(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = signed_and_sealed(doctor, REPORT, "--compress-algo", "none")
    for at in range(0, len(message), 7):
        altered = bytearray(message)
        altered[at] ^= 0x55
        made = patient.page.open(framed(bytes(altered)))
        assert made["text"] in ("", "Bonjour, été.")


def test_a_letter_that_swells_without_end_is_not_opened(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    bomb = signed_and_sealed(doctor, b"\r\n" + b"0" * 200_000_000, "--compress-algo", "zlib", "-z", "9")
    assert len(bomb) < 1_000_000
    assert patient.page.open(framed(bomb))["opened"] is False
