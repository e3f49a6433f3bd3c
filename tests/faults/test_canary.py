"""Plaintext is radioactive: the words of 200 letters are nowhere on the disk, however written, also after kill -9.

Grows with every new path a letter may take through the node.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import smtplib
import time
from pathlib import Path

import pytest

from deploy.demo import clients, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from tests.faults.canaries import Canaries, Patient, disk_of, invented, space_of
from webmail.login import totp

pytestmark = pytest.mark.faults


def cut_in_the_middle_of_data(made: world.World, data: bytes) -> smtplib.SMTP_SSL:
    """A connection that has sent half of a letter; the node has it in memory."""
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    smtp = smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60)
    smtp.ehlo("test")
    smtp.docmd("AUTH", "EXTERNAL =")
    smtp.mail(world.HOSPITAL)
    smtp.rcpt(world.GP)
    smtp.docmd("DATA")
    assert smtp.sock is not None
    smtp.sock.sendall(data[: len(data) * 3 // 4])
    return smtp


def test_no_word_of_200_letters_is_on_the_disk(
    fragile: tuple[world.World, world.NodeProcess], tmp_path: Path
) -> None:
    made, process = fragile
    since = time.time() - 1
    canaries = Canaries()
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    recipients = [world.GP, world.WARD, world.LABORATORY, world.IMAGING]
    with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
        smtp.ehlo("test")
        smtp.docmd("AUTH", "EXTERNAL =")
        for number in range(180):
            recipient = recipients[number % 4]
            size = 200_000 if number % 20 == 0 else 3_000
            smtp.sendmail(
                world.HOSPITAL, [recipient], canaries.letter(world.HOSPITAL, recipient, attached=size)
            )
    gp = made.persons[world.GP]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), gp.address, gp.password) as imap:
        for _ in range(10):
            imap.append("Drafts", "(\\Draft)", "", canaries.letter(world.GP, world.WARD))
        imap.create(canaries.word())
    operator = clients.tls(made.ca, made.operator.certificate, made.operator.key)
    for _ in range(10):
        data = canaries.letter(world.FOREIGN_DOCTOR, world.GP)
        clients.send_as_operator(made.ports["smtp"], operator, world.FOREIGN_DOCTOR, [world.GP], data)
    refused = canaries.letter(world.GP, world.WARD)
    clients.refusal(
        lambda: clients.send_as_system(
            made.ports["submissions"], context, world.HOSPITAL, [world.WARD], refused
        )
    )
    half_sent = cut_in_the_middle_of_data(made, canaries.letter(world.HOSPITAL, world.GP, attached=500_000))
    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    half_sent.close()
    process.restart()
    process.wait_ready(made.ports)

    found = thief.search([*disk_of(made, since), tmp_path / "backup"], canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how}" for one in found})


def test_nothing_that_passes_through_the_page_is_on_the_disk(
    fragile: tuple[world.World, world.NodeProcess], tmp_path: Path
) -> None:
    """Letters before and after activation, answers sent and held, uploads, mistyped secrets, a professional's second
    factor and app password: after kill -9, in home, log, backup and temporary folders, no word of it, no name, no
    number, no password, code, sheet, secret or cookie."""
    made, process = fragile
    since = time.time() - 1
    canaries = Canaries()
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    patient = Patient(made, canaries, space_of(made, invented(canaries)))

    def hospital_writes() -> None:
        data = canaries.letter(world.HOSPITAL, patient.shown)
        clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [patient.shown], data)

    hospital_writes()
    patient.activate()
    hospital_writes()
    patient.mistype()
    patient.write_and_hold()
    listed = patient.page.letters()
    assert len([patient.page.open(each) for each in listed]) == 2
    assert patient.page.get("/api/correspondents")["correspondents"]
    canaries.markers.append(patient.cookie())

    gp = PageClient(made.ports["http"])
    password, recovery = canaries.word(), derivations.new_recovery_code()
    code = made.command("enrolment_code", address=world.NURSE)["code"]
    gp.enrol(code, password, recovery, address=world.NURSE)
    secret = gp.post("/api/totp/start", {})["secret"]
    gp.post("/api/totp", {"code": totp.code_at(base64.b32decode(secret), int(time.time()) // 30)})
    program = gp.post("/api/app-passwords", {"label": "programme"})
    patient.keep(code, recovery)
    canaries.markers += [secret, program["password"], program["token"], gp.cookie_header.partition("=")[2]]

    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    half_sent = patient.cut_an_upload()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    half_sent.close()
    process.restart()
    process.wait_ready(made.ports)
    # Still logged in, and what was held still waits: it was durable all along.
    assert patient.page.get("/api/session")["account"]["address"] == patient.address
    assert len(patient.page.call(("EmailSubmission/query", {}))[0]["ids"]) == 2

    places = [*disk_of(made, since), tmp_path / "backup"]
    found = thief.search(places, canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how}" for one in found})
    for path in (
        each for place in (made.node, tmp_path / "backup") for each in place.rglob("*") if each.is_file()
    ):
        data = b""
        with contextlib.suppress(FileNotFoundError):  # the node writes while it is looked at
            data = path.read_bytes()
        assert b"1931-02-27" not in data, path.name
        assert base64.b32decode(secret) not in data, path.name


def test_the_search_finds_a_word_in_every_spelling(tmp_path: Path) -> None:
    """The canary that cannot sing proves nothing."""
    import quopri
    import zlib
    from email.header import Header

    marker = f"canari-é-{secrets.token_hex(10)}"
    raw = f"avant {marker} après".encode()
    spellings = {
        "raw": raw,
        "base64+0": base64.b64encode(raw),
        "base64+1": base64.b64encode(b"x" + raw),
        "base64+2": base64.b64encode(b"xx" + raw),
        "quoted-printable": quopri.encodestring(raw),
        "utf-16": raw.decode().encode("utf-16-le"),
        "deflated": zlib.compress(raw * 4),
        "base64 cut in lines": base64.encodebytes(b"." * 70 + raw * 3).replace(b"\n", b"\r\n"),
        "encoded words": Header(f"{'.' * 20}{marker}{'.' * 20}", "utf-8").encode().encode(),
        "quoted-printable cut in lines": quopri.encodestring(b"." * 60 + raw + b"." * 99),
    }
    for name, written in spellings.items():
        place = tmp_path / name
        place.write_bytes(b"\x00\x01" + written + b"\xff")
        assert thief.search([place], [marker]), name
