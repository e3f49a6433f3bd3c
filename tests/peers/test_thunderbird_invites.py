"""A doctor invites from Thunderbird's calendar, the patient answers sealed, Thunderbird applies the answer.

Then the doctor moves the appointment, and calls it off. What Thunderbird wrote once is kept in
tests/webmail/vectors/itip/thunderbird (VAGUEMESTRE_KEEP_THUNDERBIRD=1 writes it anew).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world
from deploy.demo.browser.page import Letter
from mail_server import mime
from mail_server.payloads.agenda import imip, standing
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Event, Me, Outgoing
from tests.peers import intruder
from tests.peers.test_thunderbird import installed

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

UID = "thunderbird-rendez-vous-1"
TITLE = "Contrôle tensionnel"
DAY = date.today() + timedelta(days=19)  # to come, whenever this runs
KEPT = Path(__file__).parents[1] / "webmail" / "vectors" / "itip" / "thunderbird"
DRIVER = Path(__file__).parent / "thunderbird" / "appointments.py"


@dataclass
class Practice:
    """A doctor at Thunderbird, told what to do by lines."""

    process: subprocess.Popen[str]

    def tell(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.answered()

    def answered(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "Thunderbird's driver ended"
        told: dict[str, Any] = json.loads(line)
        assert "failed" not in told, told
        return told


@dataclass
class Consultation(Practice):
    """And a patient at their page with an engine of ours."""

    made: world.World
    patient: intruder.Someone
    engine: Engine
    version: str = ""
    seen: set[str] = field(default_factory=set[str])

    def arrived(self, name: str) -> tuple[Letter, tuple[Event, ...]]:
        """The next letter of the patient's, and what the engine makes of its calendar. One that comes again, since
        Thunderbird was not told that it had left, changes nothing."""
        while True:
            letter, told = self._next(name)
            if told:
                return letter, told

    def _next(self, name: str, seconds: float = 150) -> tuple[Letter, tuple[Event, ...]]:
        deadline = time.monotonic() + seconds
        while not (new := [one for one in self.patient.page.letters() if one["id"] not in self.seen]):
            assert time.monotonic() < deadline, "no letter came"
            time.sleep(0.2)
        self.seen.add(new[-1]["id"])
        letter = self.patient.page.open(new[-1])
        data = letter.inner.as_bytes()
        (found,) = imip.calendars(data, mime.parse(data), world.GP, int(time.time() * 1000))
        assert not found.refused, found.refused
        (message,) = found.messages
        assert imip.said_by_sender(message)
        if os.environ.get("VAGUEMESTRE_KEEP_THUNDERBIRD"):
            KEPT.mkdir(exist_ok=True)
            calendar = next(one for one in letter.inner.walk() if one.get_content_type() == "text/calendar")
            (KEPT / f"{name}.ics").write_bytes(calendar.get_payload(decode=True))
        return letter, self.engine.receive(message)

    def send(self, outgoing: tuple[Outgoing, ...]) -> str:
        """The patient's answer, sealed to the doctor; gives its subject."""
        (one,) = outgoing
        subject, entity = imip.entity(one.message, "Aurore Delmas")
        self.patient.page.write(one.to[0], subject, "", entity=entity)
        return subject.partition("\u00a0")[0]  # what of it Thunderbird shows as it was written


@pytest.fixture(scope="module")
def consultation(made: world.World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consultation]:
    installed()
    out = tmp_path_factory.mktemp("thunderbird")
    patient = intruder.activated(made, "Aurore", "DELMAS", 731)
    command = [
        sys.executable, str(DRIVER), "--demo-json", str(made.folder / "demo.json"), "--out", str(out),
        "--address", world.GP,
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        engine = Engine(Me((patient.shown, patient.address), "Aurore Delmas"))
        running = Consultation(process, made, patient, engine)
        running.version = running.answered()["version"]
        yield running
        assert process.stdin is not None
        process.stdin.close()
        process.wait(180)


def event(guest: str) -> str:
    return "\r\n".join(
        [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//FR", "BEGIN:VEVENT", f"UID:{UID}",
            "DTSTAMP:20261101T080000Z", f"DTSTART;TZID=Europe/Paris:{DAY:%Y%m%d}T093000",
            f"DTEND;TZID=Europe/Paris:{DAY:%Y%m%d}T100000", f"SUMMARY:{TITLE}", "LOCATION:Cabinet",
            f"ORGANIZER;CN=GP:mailto:{world.GP}",
            f"ATTENDEE;CN=Aurore;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;ROLE=REQ-PARTICIPANT:mailto:{guest}",
            "X-MOZ-SEND-INVITATIONS:TRUE",  # the box "notify attendees" of its event dialogue
            "END:VEVENT", "END:VCALENDAR", "",
        ]
    )  # fmt: skip


def test_thunderbird_invites_the_patient_accepts_and_thunderbird_applies_it(
    consultation: Consultation,
) -> None:
    patient, engine = consultation.patient, consultation.engine
    consultation.tell(deed="add", uid=UID, ics=event(patient.shown))
    letter, (told,) = consultation.arrived("request")
    assert TITLE in letter.subject
    assert (told.kind, told.uid, told.who, told.status) == ("invited", UID, world.GP, "NEEDS-ACTION")
    held = engine.appointments[UID]
    assert held.master is not None
    start = held.master.component.start
    assert start is not None
    assert (start.local, start.zone) == (f"{DAY}T09:30:00", "Europe/Paris")
    subject = consultation.send(engine.answer(UID, "ACCEPTED", int(time.time() * 1000), comment="À bientôt"))
    applied = consultation.tell(deed="apply", uid=UID, subject=subject)
    assert applied["method"] == "REPLY"
    assert applied["before"] == [[f"mailto:{patient.shown}", "NEEDS-ACTION"]]
    assert applied["after"] == [[f"mailto:{patient.shown}", "ACCEPTED"]]
    assert applied["opened"]["encryption"].endswith("-ok"), "the answer was sealed to the doctor"


def test_thunderbird_moves_it_the_patient_is_asked_again_and_declines(consultation: Consultation) -> None:
    patient, engine = consultation.patient, consultation.engine
    consultation.tell(deed="move", uid=UID)
    _, (told,) = consultation.arrived("moved")
    assert told.kind == "rescheduled"
    held = engine.appointments[UID]
    assert held.master is not None
    assert held.master.component.start is not None
    assert held.master.component.start.local == f"{DAY}T10:30:00"
    subject = consultation.send(engine.answer(UID, "DECLINED", int(time.time() * 1000)))
    applied = consultation.tell(deed="apply", uid=UID, subject=subject)
    assert applied["after"] == [[f"mailto:{patient.shown}", "DECLINED"]]


def test_thunderbird_calls_it_off_and_the_patient_sees_it(consultation: Consultation) -> None:
    consultation.tell(deed="remove", uid=UID)
    _, (told,) = consultation.arrived("cancelled")
    assert told.kind == "cancelled"
    assert standing.cancelled(consultation.engine.appointments[UID])
