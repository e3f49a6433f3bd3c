"""The agenda against a whole operator: a doctor's invitation by SMTP, answered in the page, and what the doctor gets.

Played once; each test is one thing that must have been so.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.demo import clients, world
from mail_server import mime
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import (
    Attendee,
    Component,
    Event,
    Me,
    Message,
    Organiser,
    Outgoing,
    When,
    stamp_text,
)
from tests.browser.conftest import midday, visitors_own
from tests.browser.served import Served

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "lanterne moulin jeudi 18 mauve"
TITLE, PLACE = "Consultation azalée-4417", "Cabinet hortensia-4418, 12 rue des Lilas"
OWN = "Don du sang camélia-4419"
NAME = "Dr Camille Aubry"
MINUTE, HOUR = 60_000, 3_600_000
_IN_AN_HOUR = """() => {
  const at = new Date(Date.now() + 59 * 60_000);
  const [day, time] = [at.toLocaleDateString("sv"), at.toTimeString().slice(0, 5)];
  return [day, time, new Date(at.getTime() + 600_000).toTimeString().slice(0, 5)];
}"""
_WAKES = """() => fetch("/api/wakes", { headers: { "X-Vaguemestre": "1" } })
  .then((answer) => answer.json()).then(({ at }) => at)"""


def at(milliseconds: int) -> When:
    return When(stamp_text(milliseconds)[:-1], "UTC")


@dataclass
class Doctor:
    """At a mail program with a calendar: the engine decides what is sent, SMTP carries it."""

    served: Served
    to: str
    engine: Engine = field(default_factory=lambda: Engine(Me((world.GP,), NAME)))
    last: int = 0

    def now(self) -> int:
        self.last = max(self.last + 1000, time.time_ns() // 1_000_000)
        return self.last

    def send(self, outgoing: tuple[Outgoing, ...]) -> None:
        made, person = self.served.made, self.served.made.persons[world.GP]
        for one in outgoing:
            data = imip.letter(one, NAME, world.DOMAIN)
            port, tls = made.ports["submission"], clients.tls(made.ca)
            clients.send_as_person(port, tls, world.GP, person.password, list(one.to), data)

    def invite(self, uid: str, title: str, start: int) -> None:
        whole = Component(
            uid, start=at(start), end=at(start + 30 * MINUTE), title=title, place=PLACE,
            organiser=Organiser(world.GP, NAME), attendees=(Attendee(self.to, rsvp=True),),
        )  # fmt: skip
        self.send(self.engine.organise(whole, self.now()))

    def read(self, seen: bytes = b"") -> tuple[Message, tuple[Event, ...], bytes]:
        """The newest answer, opened with the doctor's own key, and what the engine makes of it."""
        person = self.served.made.persons[world.GP]
        assert person.secret_key is not None
        until = time.monotonic() + 180
        while (stored := self.served.newest_from(self.to, world.GP)) == seen:
            assert time.monotonic() < until, "no newer letter arrived"
            time.sleep(0.2)
        opened = clients.open_with_gpg(stored, person.secret_key, person.passphrase, None)
        found = imip.calendars(opened.inner, mime.parse(opened.inner), self.to, self.now())
        (message,) = [each for one in found for each in one.messages]
        return message, self.engine.receive(message), stored


@dataclass
class Played:
    served: Served
    replied: tuple[Message, tuple[Event, ...], bytes] = field(repr=False)
    countered: tuple[Message, tuple[Event, ...], bytes] = field(repr=False)
    standing: str = field(repr=False)
    cancelled: str = field(repr=False)
    reminded: str = field(repr=False)
    wakes: list[int] = field(repr=False)
    asked: list[str] = field(repr=False)
    card: str = field(repr=False)
    faults: list[str] = field(default_factory=list[str])


def shown(page: Page) -> str:
    return page.get_by_role("main").inner_text()


@pytest.fixture(scope="module")
def played(served: Served, browser: Browser) -> Played:
    space = served.new_patient(418)
    doctor = Doctor(served, space.shown)
    now = time.time_ns() // 1_000_000 // MINUTE * MINUTE
    start = now + 49 * HOUR
    doctor.invite("visite-1@cabinet", TITLE, start)
    context = visitors_own(browser, timezone_id=midday())
    faults, asked = list[str](), list[str]()
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    context.on("request", lambda request: asked.append(f"{request.url} {request.post_data_buffer or b''!r}"))
    page = context.new_page()
    Visitor(page, served.origin).activate(space.person, space.code, PASSWORD)

    page.goto(f"{served.origin}/agenda")
    page.get_by_role("button", name=f"Accepter {TITLE}").click()
    expect(page.get_by_text("Accepté").first).to_be_visible()
    replied = doctor.read()
    standing = shown(page)

    page.get_by_role("link", name=TITLE).first.click()
    page.get_by_role("button", name="Proposer un autre moment").click()
    page.get_by_label("Heure", exact=True).fill("23:45")
    page.get_by_role("button", name="Envoyer la proposition").click()
    expect(page.get_by_text("Vous avez proposé").first).to_be_visible()
    countered = doctor.read(replied[2])

    page.get_by_role("link", name="Voir la lettre").click()
    card = page.locator("article section").filter(has_text=TITLE).first
    expect(card.get_by_role("link", name="Voir dans l’agenda")).to_be_visible()
    in_letter = card.inner_text()

    doctor.send(doctor.engine.cancel("visite-1@cabinet", doctor.now()))
    page.goto(f"{served.origin}/agenda")
    expect(page.get_by_text("Annulé").first).to_be_visible()
    cancelled = shown(page)

    # One's own entry, an hour from now: its reminder was due a moment ago, and shows at once.
    page.get_by_role("link", name="Ajouter à mon agenda").click()
    page.get_by_label("Quoi", exact=True).fill(OWN)
    day, begins, ends = page.evaluate(_IN_AN_HOUR)
    page.get_by_label("Jour", exact=True).fill(day)
    page.get_by_label("De", exact=True).fill(begins)
    page.get_by_label("À", exact=True).fill(ends)
    page.get_by_role("button", name="Enregistrer").click()
    reminder = page.get_by_role("link", name=f"Rappel : {OWN}")
    expect(reminder).to_be_visible()
    reminded = reminder.inner_text()
    wakes: list[int] = page.evaluate(_WAKES)
    context.close()
    return Played(served, replied, countered, standing, cancelled, reminded, wakes, asked, in_letter, faults)


def test_one_tap_answers_the_invitation(played: Played) -> None:
    assert "Accepté" in played.standing
    assert PLACE in played.standing


def test_the_doctor_gets_a_sealed_reply_that_the_engine_applies(played: Played) -> None:
    message, events, stored = played.replied
    assert b"application/pgp-encrypted" in stored
    assert message.method == "REPLY"
    assert [(one.kind, one.status) for one in events] == [("replied", "ACCEPTED")]


def test_another_time_arrives_as_a_proposal(played: Played) -> None:
    message, events, _ = played.countered
    assert message.method == "COUNTER"
    assert [one.kind for one in events] == ["countered"]


def test_the_letter_shows_the_invitation_and_how_it_stands(played: Played) -> None:
    assert TITLE in played.card
    assert PLACE in played.card


def test_what_the_doctor_cancels_is_shown_as_cancelled(played: Played) -> None:
    assert "Annulé" in played.cancelled


def test_a_reminder_shows_while_the_page_is_open(played: Played) -> None:
    assert OWN in played.reminded


def test_wakes_are_the_same_with_appointments_and_without(played: Played) -> None:
    assert len(played.wakes) == 60
    gaps = [later - sooner for sooner, later in zip(played.wakes, played.wakes[1:], strict=False)]
    assert min(gaps) > 0
    assert max(gaps) < 40 * MINUTE


def test_nothing_of_it_stands_in_what_the_page_asked_or_in_the_node_s_files(played: Played) -> None:
    words = ("azalée-4417", "hortensia-4418", "camélia-4419", "visite-1@cabinet")
    sent = "\n".join(played.asked)
    assert [word for word in words if word in sent] == []
    held: list[bytes] = []
    for folder, _, names in os.walk(played.served.made.node):  # while the node works: files come and go
        for path in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                held += [path.read_bytes()] if path.is_file() else []
    assert len(held) > 5
    assert [word for word in words if any(word.encode() in one for one in held)] == []


def test_no_script_failed(played: Played) -> None:
    assert played.faults == []
