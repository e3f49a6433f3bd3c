"""A doctor ends an exchange from Thunderbird, by a copy to fin@<domain>; the server never sees the subject."""

from __future__ import annotations

import json
import re
import secrets
import smtplib
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from deploy.demo import clients, letters, world
from deploy.demo.browser.page import Letter
from mail_server import mime
from tests.peers import intruder
from tests.peers.test_thunderbird import installed
from tests.peers.test_wkd import advanced

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

FIN = f"fin@{world.DOMAIN}"
ASKED = "Suites de votre bilan lipidique"
_SEND = Path(__file__).parent / "thunderbird" / "send.py"


@dataclass
class Closed:
    """What is known once Thunderbird has sent the letter that closes."""

    patient: intruder.Someone
    said: dict[str, Any]  # what Thunderbird showed
    listed: dict[str, Any]  # the letter as the patient's page lists it
    letter: Letter = field(repr=False)
    stored: bytes = field(repr=False)
    kept: bytes = field(repr=False)  # the doctor's own copy


@pytest.fixture(scope="module")
def closed(made: world.World, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    installed()
    out = tmp_path_factory.mktemp("thunderbird")
    patient = intruder.activated(made, "Aurore", "DELMAS", 711)
    gp = made.persons[world.GP]
    asked = letters.note(world.GP, patient.shown, ASKED, "Comment allez-vous ?\n")
    context = clients.tls(made.ca)
    clients.send_as_person(
        made.ports["submission"], context, gp.address, gp.password, [patient.shown], asked.data
    )
    (first,) = patient.page.letters()
    patient.page.write(world.GP, f"Re: {ASKED}", "Mieux, merci.", answering=patient.page.open(first))
    in_mailbox(made, "INBOX", patient.shown)  # it is there
    (out / "fin.asc").write_text(str(pysequoia.Cert.from_bytes(closing_certificate(made))))
    done = subprocess.run(
        [
            sys.executable, str(_SEND), "--demo-json", str(made.folder / "demo.json"), "--out", str(out),
            "--address", world.GP, "--answer", f"Re: {ASKED}", "--cc", FIN,
            "--key", str(out / "fin.asc"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1400,
    )  # fmt: skip
    log = out / "thunderbird.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-2000:] if log.exists() else "")
    newest = patient.page.letters()[0]
    blob = f"/jmap/download/{patient.account}/{newest['blobId']}/letter.eml"
    return Closed(
        patient,
        json.loads((out / "thunderbird-answer.json").read_text()),
        newest,
        patient.page.open(newest),
        patient.page.request("GET", blob),
        in_mailbox(made, "Sent", patient.shown),
    )


def in_mailbox(made: world.World, folder: str, other: str, seconds: float = 150) -> bytes:
    """The doctor's newest letter from or to somebody, as it lies on the server."""
    gp = made.persons[world.GP]
    asked = "FROM" if folder == "INBOX" else "TO"
    deadline = time.monotonic() + seconds
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), gp.address, gp.password) as imap:
        while True:
            imap.select(folder, readonly=True)
            _, found = imap.uid("SEARCH", asked, f'"{other}"')
            if uids := found[0].split():
                _, data = imap.uid("FETCH", uids[-1].decode(), "(BODY.PEEK[])")
                return data[0][1]
            assert time.monotonic() < deadline, f"nothing in {folder}"
            time.sleep(0.2)


def closing_certificate(made: world.World) -> bytes:
    deadline = time.monotonic() + 150  # made behind the doors when the node starts
    while (answer := advanced(made, FIN)).status == 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert answer.status == 200
    return answer.body


def sealed_part(letter: bytes) -> bytes:
    """The very bytes of what its sender encrypted."""
    found = re.search(rb"-----BEGIN PGP MESSAGE-----.+?-----END PGP MESSAGE-----", letter, re.DOTALL)
    assert found
    return found[0]


def traced(made: world.World, action: str, patient: intruder.Someone) -> list[dict[str, Any]]:
    asked = {"limit": 20, "action": action, "address": patient.address, "reference": None}
    deadline = time.monotonic() + 150
    while not (rows := made.command("audit_show", **asked)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows


def test_thunderbird_offers_the_certificate_that_came_with_the_patient_s_letter(closed: Closed) -> None:
    """It has no other way to have it: a patient's certificate is published nowhere."""
    answered = closed.said["answered"]
    assert answered["subject"] == f"Re: {ASKED}"
    assert answered["encryption"].endswith("-ok")
    assert answered["keyOffered"]


def test_thunderbird_s_own_defaults_encrypt_sign_and_hide_the_subject(closed: Closed) -> None:
    written = closed.said["written"]
    assert (written["to"], written["cc"]) == ([closed.patient.shown], [FIN])
    assert written["encrypted"]
    assert written["signed"]
    assert written["subjectHidden"]


def test_the_letter_arrives_as_thunderbird_sealed_it_and_its_subject_is_seen_by_the_patient_alone(
    closed: Closed,
) -> None:
    assert closed.listed["guard"] == "sealed"
    assert closed.listed["subject"] == closed.letter.outer_subject == "..."
    assert sealed_part(closed.stored) == sealed_part(closed.kept), "the doctor's copy and the patient's"
    assert ASKED.encode() not in closed.stored
    assert closed.letter.subject == f"Re: {ASKED}"
    assert closed.said["words"] in "".join(
        part.get_content() for part in closed.letter.inner.walk() if part.get_content_type() == "text/plain"
    )


def test_the_trace_says_who_closed_it_and_how(made: world.World, closed: Closed) -> None:
    (entry,) = traced(made, "conversation-close", closed.patient)
    assert (entry["who"], entry["on"]) == (world.GP, closed.patient.address)
    assert (entry["outcome"], entry["detail"]["form"]) == ("done", "fin-address")


def answer(closed: Closed, certificate: bytes) -> bytes:
    """The patient's encrypted answer to the letter that closed."""
    named = str(closed.letter.inner["Message-ID"]).encode()
    outside = [
        ("From", closed.patient.shown.encode()),
        ("To", world.GP.encode()),
        ("Date", mime.date_text(int(time.time() * 1000))),
        ("Message-ID", mime.new_message_id(world.PATIENT_DOMAIN).encode()),
        ("In-Reply-To", named),
        ("References", named),
        ("Subject", b"..."),
    ]
    inner = b"".join(mime.header_field(name, value) for name, value in outside[:-1])
    inner += mime.header_field("Subject", "Encore") + mime.text_part("Encore une question.")
    sealed = pysequoia.encrypt(
        mime.protect(inner, outer=outside), [pysequoia.Cert.from_bytes(certificate)], armor=True
    )
    header = b"".join(mime.header_field(name, value) for name, value in outside)
    head, tail = mime.wrap(header, secrets.token_hex(16))
    return head + bytes(sealed).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + tail


def test_an_answer_by_raw_jmap_is_refused_and_says_who_closed_it(made: world.World, closed: Closed) -> None:
    patient = closed.patient
    message = answer(closed, advanced(made, world.GP).body)
    uploaded = json.loads(
        patient.page.request("POST", f"/jmap/upload/{patient.account}/", message, "message/rfc822")
    )
    sent = {patient.page.mailbox("sent"): True}
    wanted = {"blobId": uploaded["blobId"], "mailboxIds": sent}
    (imported,) = patient.page.call(("Email/import", {"emails": {"l": wanted}}))
    (identities,) = patient.page.call(("Identity/get", {"ids": None}))
    submission = {
        "emailId": imported["created"]["l"]["id"],
        "identityId": identities["list"][0]["id"],
        "envelope": {"mailFrom": {"email": patient.shown}, "rcptTo": [{"email": world.GP}]},
    }
    asked = ("EmailSubmission/set", {"accountId": patient.account, "create": {"s": submission}})
    ((name, told),) = intruder.jmap(made.ports["http"], patient.cookie, asked)
    assert name == "EmailSubmission/set"
    assert not told.get("created")
    refused = told["notCreated"]["s"]
    assert refused["closedBy"] == world.GP
    assert f"{world.GP} has closed this exchange" in refused["description"]


def test_an_answer_by_smtp_is_refused_at_every_door(made: world.World, closed: Closed) -> None:
    """No door of SMTP takes a patient's letter, so none says who closed: a patient writes from the page."""
    patient, context = closed.patient, clients.tls(made.ca)
    for name in (patient.shown, patient.address):
        with smtplib.SMTP("localhost", made.ports["submission"], timeout=60) as smtp:
            smtp.starttls(context=context)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                smtp.login(name, patient.password)
            assert refused.value.smtp_code == 535
            assert smtp.docmd("MAIL", f"FROM:<{name}>")[0] == 530
        operator = clients.tls(made.ca, made.operator.certificate, made.operator.key)
        with smtplib.SMTP("localhost", made.ports["smtp"], timeout=60) as smtp:
            smtp.starttls(context=operator)
            smtp.ehlo()
            assert smtp.docmd("MAIL", f"FROM:<{name}>")[0] == 550
    assert newest_is_the_first_answer(made, patient)


def newest_is_the_first_answer(made: world.World, patient: intruder.Someone) -> bool:
    gp = made.persons[world.GP]
    assert gp.secret_key is not None
    stored = in_mailbox(made, "INBOX", patient.shown)
    return clients.open_with_gpg(stored, gp.secret_key, gp.passphrase, None).subject == f"Re: {ASKED}"
