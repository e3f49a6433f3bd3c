"""What is in a person's record and agenda: no title, type, value, name, time or place of it anywhere on the server.

Documents and appointments come by SMTP and by JMAP, one of them also for the practice's software; some are refused.
A hospital's night is sent from its watched folder and told of in the morning; software says that it could not file a
document; a patient keeps entries of their own and answers an invitation. Sender and node are killed in between.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import signal
import smtplib
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, letters, people, sign_in, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from mail_server.payloads.record import integration
from mail_server.payloads.record.refusal import AnsCode
from tests.faults.canaries import Canaries, Patient, disk_of, invented
from tests.nights import Night, hour_far_away
from tests.peers.federation import wait
from tests.webmail.vectors import record_letters as made_of
from tests.worlds import own_world

pytestmark = pytest.mark.faults
_VENDOR = "https://vaguemestre.example/jmap/mail"


@dataclass
class Ward:
    """A node, and documents about somebody whose every word is a marker."""

    made: world.World
    process: world.NodeProcess
    canaries: Canaries
    since: float = field(default_factory=lambda: time.time() - 1)

    @property
    def tls(self) -> Any:
        return clients.tls(self.made.ca)

    def archive(self, **changes: object) -> bytes:
        """One document: title, type, value, name and number of the patient are words to be found nowhere."""
        word, unique = self.canaries.word, f"1.2.250.1.999.{secrets.randbelow(10**15)}"
        number = f"2{secrets.randbelow(10**14):014d}"
        self.canaries.mark(number, unique)
        patient = made_of.PatientId(made_of.INS, number)
        kind = replace(made_of.LAB, display=word())
        value = b"%PDF-1.4\n% " + word().encode() + b"\n%%EOF\n"
        told: dict[str, object] = {
            "patient_id": patient, "title": word(), "type": kind,
            "traits": made_of.Traits(word(), word(), "1967-01-12", "F"),
        }  # fmt: skip
        entry = made_of.entry(unique, **(told | changes))
        return made_of.archive(
            (entry, made_of.cda(unique, patient=patient, title=word(), kind=kind, body=value)),
            patient=patient,
        )

    def report(self, recipient: str, archive: bytes, sender: str = world.HOSPITAL) -> bytes:
        part = made_of.zip_part(archive, f"{self.canaries.word()}.zip")
        return made_of.letter(
            part, subject=f"XDM/1.0/DDM+{self.canaries.word()}", sender=sender, to=recipient,
            more=f"X-MSS-CODECDA: {self.canaries.word()}\r\n",
        )  # fmt: skip

    def invitation(self, sender: str, recipient: str) -> bytes:
        second = secrets.randbelow(10**6)
        start = f"2031{second // 100000 % 3 + 10}17T{second // 1000 % 10:02d}{second // 100 % 60:02d}{second % 60:02d}Z"
        self.canaries.mark(start)
        event = made_of.event(
            self.canaries.word(), f"LOCATION:{self.canaries.word()}", start=start, title=self.canaries.word()
        )
        return made_of.letter(
            made_of.calendar_part(made_of.calendar(event)),
            subject=self.canaries.word(),
            sender=sender,
            to=recipient,
        )

    def hospital_sends(self, recipient: str, archive: bytes) -> None:
        context = clients.tls(self.made.ca, self.made.hospital.certificate, self.made.hospital.key)
        data = self.report(recipient, archive)
        clients.send_as_system(self.made.ports["submissions"], context, world.HOSPITAL, [recipient], data)

    def killed(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.restart()
        self.process.wait_ready(self.made.ports)


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    canaries = Canaries()
    monkeypatch.setattr(people, "YOU", invented(canaries))
    with own_world("record", {"reports": {"hour": hour_far_away()}}) as (made, process):
        yield Ward(made, process, canaries)


def test_nothing_of_a_record_or_an_agenda_is_on_the_disk(ward: Ward, tmp_path: Path) -> None:
    made, canaries = ward.made, ward.canaries
    patient = Patient(made, canaries, made.you)
    nurse = page_with_software(ward)
    report = ward.archive()
    ward.hospital_sends(patient.shown, ward.archive())
    ward.hospital_sends(world.NURSE, report)
    ward.hospital_sends(world.GP, ward.archive())
    refused(ward, patient)
    by_jmap(ward, world.GP, world.NURSE, ward.invitation(world.GP, world.NURSE))
    by_jmap(ward, world.GP, world.DOCTOR, ward.report(world.DOCTOR, ward.archive(), world.GP))
    night = MarkedNight(ward)
    night.sent()
    ward.killed()

    # What is nowhere on the disk is all there for those it was sent to.
    patient.activate()
    [line] = patient.page.letters()
    told = patient.page.summary(line)
    assert told["manifest"]["items"][0]["kind"] == "document"
    assert told["manifest"]["items"][0]["title"] in canaries.markers
    # The page's and programs' letters leave a moment after they were handed over; the node was killed meanwhile.
    newest = wait(lambda: found if len(found := nurse.letters()) >= 2 else None)
    carried = [
        nurse.summary(one).get("manifest", {"items": [{"kind": ""}]})["items"][0]["kind"] for one in newest
    ]
    assert sorted(carried)[-2:] == ["appointment", "document"]
    robot = made.persons[world.LABORATORY]
    with clients.mailbox(made.ports["imaps"], ward.tls, world.LABORATORY, robot.password) as imap:
        copy = message_from_bytes(clients.newest(imap), policy=policy.default)
    assert [part.get_content() for part in copy.walk() if part.get_content_type() == "application/zip"] == [
        report
    ]

    not_filed(ward)
    told_in_the_morning(ward)
    kept_for_oneself(ward, patient.page, line)
    seen = patient.page.request("GET", "/api/access-log.csv?lang=fr") + metrics(made)
    assert thief.told(seen, canaries.markers) == set()
    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    time.sleep(0.3)
    ward.killed()
    found = thief.search([*disk_of(made, ward.since), tmp_path / "backup", *night.left()], canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how} {one.marker[:60]}" for one in found})
    shown = b"".join(
        json.dumps(made.command(name, **asked)).encode()
        for name, asked in (
            ("audit_show", {"limit": 1000, "action": None, "address": None, "reference": None}),
            ("account_software", {"address": world.NURSE}),
            ("reports_standing", {}),
            ("check", {}),
        )
    )
    assert thief.told(shown, canaries.markers) == set()


def page_with_software(ward: Ward) -> PageClient:
    """A professional's page, where copies for the practice's software are switched on."""
    made, canaries, nurse = ward.made, ward.canaries, PageClient(ward.made.ports["http"])
    code = made.command("enrolment_code", address=world.NURSE)["code"]
    nurse.enrol(code, canaries.word(), derivations.new_recovery_code(), address=world.NURSE)
    nurse.log_in_by_provider(sign_in.PROFESSIONALS, made.identity.doctors[world.NURSE].name)
    made.command("account_software", address=world.NURSE, software=world.LABORATORY)
    told = nurse.post("/api/practice-copy", {"on": True}, method="PUT")
    assert told == {"software": world.LABORATORY, "on": True}
    return nurse


class MarkedNight:
    """A hospital's watched folder: every title and name of it is a marker, half of its reports are bad."""

    def __init__(self, ward: Ward) -> None:
        canaries = ward.canaries
        night = self.night = Night(ward.made, patients=2)
        for one in night.people:
            canaries.mark(one["ins"])
        night.put(6, 3, lambda _: canaries.word(), lambda _: letters.pdf(canaries.word(), 4_000))
        self.ward = ward

    def sent(self) -> None:
        night = self.night
        try:
            night.start()
            night.wait(lambda found: found["sent"] + found["refused"] >= 2, 180)
            night.kill()
            night.start()
            night.wait_all(6, 240)
            night.stop()
        finally:
            night.close()

    def left(self) -> list[Path]:
        """Spool, its key, the log; of the folder what the sender wrote there: the hospital's own files are its own."""
        reasons = list((self.night.folder / "refused").glob("*.reason.txt"))
        assert len(reasons) == 3
        return [self.night.spool, self.night.place / "key", self.night.place / "sender.log", *reasons]


def not_filed(ward: Ward) -> None:
    """The practice's software could not file a document: its answer carries the document again."""
    made = ward.made
    robot = made.persons[world.LABORATORY]
    ward.hospital_sends(world.LABORATORY, ward.archive())
    with clients.mailbox(made.ports["imaps"], ward.tls, world.LABORATORY, robot.password) as imap:
        received = clients.newest(imap)
    by = integration.Answerer(world.LABORATORY, world.DOMAIN, int(time.time() * 1000))
    outcome = integration.Outcome(AnsCode.UNKNOWN_PATIENT, ward.canaries.word())
    asked = b"Disposition-Notification-To: " + world.HOSPITAL.encode() + b"\r\n"
    answer = integration.acknowledgement(asked + received, outcome, by, world.HOSPITAL)
    assert answer is not None
    clients.send_as_person(
        made.ports["submission"], ward.tls, world.LABORATORY, robot.password, [world.HOSPITAL], answer
    )


def told_in_the_morning(ward: Ward) -> None:
    """The letter and its table name references and addresses; no title, no name, no cause's words of software."""
    told = ward.made.command("report_morning", address=world.HOSPITAL, send=True)
    assert told["delivered"] + told["waiting"] + told["refused"] == told["handed_in"] >= 6
    assert ";refused;902;" in told["csv"], "what software could not file is told as refused"
    addresses = {marker for marker in ward.canaries.markers if marker.isdigit()}  # the table says to whom
    words = [marker for marker in ward.canaries.markers if marker not in addresses]
    assert thief.told(json.dumps(told).encode(), words) == set()


def kept_for_oneself(ward: Ward, page: PageClient, line: dict[str, Any]) -> None:
    """An entry of the profile; one of the agenda, what was said of recalls, when to wake; an invitation's answer."""
    canaries, shown = ward.canaries, page.session["account"]["shown"]
    account = page.session["account"]["id"]
    for kind in ("record", "agenda"):
        entry: dict[str, object] = {"kind": "entry", "id": canaries.word(), "title": canaries.word()}
        items = canaries.agenda() if kind == "agenda" else [entry]
        entity = made_of.alternative(made_of.mime.text_part(canaries.word()), made_of.manifest_part(*items))
        message = page._composed(shown, canaries.word(), entity, None, [page.own_certificate()])
        uploaded = json.loads(page.request("POST", f"/jmap/upload/{account}/", message, "message/rfc822"))
        wanted = {
            "blobId": uploaded["blobId"], "mailboxIds": {page.mailbox("archive"): True},
            "keywords": {"$seen": True, "vaguemestre-own": True}, "class": kind,
        }  # fmt: skip
        page.call(("Email/import", {"emails": {"k": wanted}}))
    at = int(time.time() * 1000) + 3_600_000
    page.post("/api/wakes", {"at": [at]}, method="PUT")
    event = made_of.event(canaries.word(), f"COMMENT:{canaries.word()}", title=canaries.word())
    answer = made_of.calendar_part(made_of.calendar(event, method="REPLY"), "REPLY")
    page.write(world.HOSPITAL, canaries.word(), "", answering=page.open(line), entity=answer)


def metrics(made: world.World) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{made.ports['metrics']}/metrics", timeout=60) as answer:
        return answer.read()


def refused(ward: Ward, patient: Patient) -> None:
    """Turned away at the end of data: about two people, and not for the patient's eyes yet."""
    two = ward.archive(patient_id=made_of.OTHER)
    kept = ward.archive(confidentiality=(made_of.NORMAL, made_of.confidential("INVISIBLE_PATIENT")))
    for recipient, archive, words in ((world.GP, two, b"ANS 904"), (patient.shown, kept, b"announced")):
        with pytest.raises(smtplib.SMTPDataError) as answer:
            ward.hospital_sends(recipient, archive)
        assert answer.value.smtp_code == 554
        assert words in bytes(answer.value.smtp_error)


def by_jmap(ward: Ward, sender: str, recipient: str, message: bytes) -> None:
    """In clear, by a program with an app password: uploaded, imported among the drafts, handed over."""
    password, port = ward.made.persons[sender].password, ward.made.ports["https"]
    proof = base64.b64encode(f"{sender}:{password}".encode()).decode()

    def asked(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> dict[str, Any]:
        connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=ward.tls)
        with closing(connection):
            connection.request(method, path, body, {"Authorization": f"Basic {proof}", "Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status in (200, 201), content
        return json.loads(content)

    mail = "urn:ietf:params:jmap:mail"
    session = asked("GET", "/jmap/session")
    account = session["primaryAccounts"][mail]

    def call(name: str, **arguments: Any) -> dict[str, Any]:
        using = ["urn:ietf:params:jmap:core", mail, "urn:ietf:params:jmap:submission", _VENDOR]
        calls = [[name, {"accountId": account} | arguments, "c"]]
        body = json.dumps({"using": using, "methodCalls": calls}).encode()
        [[told, answer, _]] = asked("POST", "/jmap/api", body)["methodResponses"][:1]
        assert told == name, answer
        return answer

    boxes = call("Mailbox/get", ids=None)["list"]
    drafts = next(one["id"] for one in boxes if one["role"] == "drafts")
    blob = asked("POST", f"/jmap/upload/{account}/", message, "message/rfc822")["blobId"]
    email = {"blobId": blob, "mailboxIds": {drafts: True}, "keywords": {"$draft": True}}
    made = call("Email/import", emails={"k": email})["created"]["k"]["id"]
    identity = call("Identity/get", ids=None)["list"][0]["id"]
    envelope = {"mailFrom": {"email": sender}, "rcptTo": [{"email": recipient}]}
    wanted = {"emailId": made, "identityId": identity, "envelope": envelope}
    answer = call("EmailSubmission/set", create={"s": wanted})
    assert answer["created"], answer
