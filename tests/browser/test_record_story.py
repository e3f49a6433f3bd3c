"""The record against a whole operator: documents come as a hospital sends them, and the patient's browser draws them.

Played once; each test is one thing that must have been so.
"""

from __future__ import annotations

import base64
import email
import email.policy
import io
import json
import re
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from icalendar import Calendar

from deploy.demo import clients, world
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Attendee, Component, Me, Organiser, When
from mail_server.payloads.record import xdm
from tests.browser.conftest import visitors_own
from tests.browser.served import Served

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VECTORS = Path(__file__).parents[1] / "webmail" / "vectors" / "manifests.json"
PASSWORD = "lanterne moulin jeudi 18 mauve"
TITLE = "Bilan sanguin du 19 novembre"
OWN = "Mes volontés écrites"
VISIT, NAME = "Consultation de suivi", "Dr Camille Aubry"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def as_the_hospital_sends(name: str, to: str) -> bytes:
    """One of the shared examples, in the hospital's name."""
    found = next(one for one in json.loads(VECTORS.read_text("utf-8"))["letters"] if one["name"] == name)
    letter = zlib.decompress(base64.b64decode(found["letter"]))
    return letter.replace(b"labo@chu.example", world.HOSPITAL.encode()).replace(b"x@y.example", to.encode())


def invite(served: Served, to: str) -> None:
    """An appointment from her doctor's mail program."""
    made, person = served.made, served.made.persons[world.GP]
    whole = Component(
        "visite-du-dossier@cabinet", start=When("20300107T093000", "UTC"), end=When("20300107T100000", "UTC"),
        title=VISIT, organiser=Organiser(world.GP, NAME), attendees=(Attendee(to, rsvp=True),),
    )  # fmt: skip
    for one in Engine(Me((world.GP,), NAME)).organise(whole, time.time_ns() // 1_000_000):
        port, data = made.ports["submission"], imip.letter(one, NAME, world.DOMAIN)
        clients.send_as_person(port, clients.tls(made.ca), world.GP, person.password, list(one.to), data)


@dataclass
class Played:
    served: Served
    waited: str = field(repr=False)
    opened: str = field(repr=False)
    replaced: str = field(repr=False)
    again: str = field(repr=False)
    masked: str = field(repr=False)
    shared: bytes = field(repr=False)
    archive: str = field(repr=False)
    export: bytes = field(repr=False)
    faults: list[str]


@pytest.fixture(scope="module")
def played(served: Served, browser: Browser) -> Played:
    space = served.new_patient(617)
    served.hospital_sends([as_the_hospital_sends("one document", space.shown)], space.shown)
    served.person_writes(world.GP, space.shown, "Votre bilan", "Envoyez-le-moi quand vous l’aurez.\n")
    invite(served, space.shown)
    context = visitors_own(browser)
    faults: list[str] = []
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    page = context.new_page()
    Visitor(page, served.origin).activate(space.person, space.code, PASSWORD)
    main = page.get_by_role("main")

    page.goto(f"{served.origin}/dossier")
    expect(page.get_by_text(TITLE).first).to_be_visible()
    waited = main.inner_text()
    page.get_by_role("link", name=TITLE).first.click()
    expect(page.get_by_role("button", name="Masquer aux professionnels")).to_be_visible()
    opened = main.inner_text()

    page.goto(f"{served.origin}/dossier")
    expect(page.get_by_text(TITLE).first).to_be_visible()
    newer = as_the_hospital_sends("a document that replaces one of another letter", space.shown)
    served.hospital_sends([newer], space.shown)
    expect(page.get_by_text("2 versions").first).to_be_visible()  # she touched nothing
    replaced = main.inner_text()

    page.get_by_role("link", name=TITLE).first.click()
    page.get_by_role("button", name="Envoyer à un professionnel").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("radio", name=re.compile("aubry", re.IGNORECASE)).check()
    asked.get_by_role("button", name="Envoyer", exact=True).click()
    shared = served.newest_from(space.shown, world.GP)

    page.goto(f"{served.origin}/dossier/ajouter")
    page.locator("#file").set_input_files(
        {"name": "volontes.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    page.get_by_label("Titre").fill(OWN)
    page.get_by_role("button", name="Ajouter au dossier").click()
    page.get_by_role("button", name="Masquer aux professionnels").click()
    page.get_by_role("dialog").get_by_role("button", name="Masquer aux professionnels").click()
    expect(main.get_by_text("Masqué aux professionnels").first).to_be_visible()
    masked = main.inner_text()
    page.reload()
    page.goto(f"{served.origin}/dossier")
    expect(page.get_by_text(OWN).first).to_be_visible()
    again = main.inner_text()

    page.goto(f"{served.origin}/messages/archive")
    expect(page.get_by_role("heading", level=2)).to_be_visible()
    archive = main.inner_text()

    page.goto(f"{served.origin}/dossier/exporter")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Préparer le fichier").click()
    export = Path(saved.value.path()).read_bytes()
    context.close()
    return Played(served, waited, opened, replaced, again, masked, shared, archive, export, faults)


def test_a_report_that_waited_for_activation_is_in_the_record(played: Played) -> None:
    assert TITLE in played.waited


def test_the_report_opens_with_what_it_says(played: Played) -> None:
    assert TITLE in played.opened
    assert "version" not in played.opened


def test_a_new_version_takes_the_place_of_the_old_one_while_the_page_is_open(played: Played) -> None:
    assert played.replaced.count(TITLE) == 1


def test_one_document_goes_to_one_professional_who_reads_it_with_gnupg(played: Played) -> None:
    made = played.served.made
    gp = made.persons[world.GP]
    assert gp.secret_key is not None
    opened = clients.open_with_gpg(played.shared, gp.secret_key, gp.passphrase, None)
    letter = email.message_from_bytes(opened.inner, policy=email.policy.default)
    [archive] = [part.get_content() for part in letter.walk() if part.get_content_type() == "application/zip"]
    [entry] = xdm.read(archive).entries
    assert entry.unique_id == "1.2.250.1.999.1.2"  # the newest, and not the one it replaced
    assert b"1.2.250.1.999.1.1" not in played.shared


def test_what_a_patient_adds_and_masks_is_so_after_another_visit(played: Played) -> None:
    assert OWN in played.masked
    assert OWN in played.again
    assert "Masqué" in played.again


def test_what_a_patient_writes_for_herself_is_no_letter_among_the_letters(played: Played) -> None:
    assert "Rien n’est archivé" in played.archive


def test_everything_leaves_in_one_archive(played: Played) -> None:
    with zipfile.ZipFile(io.BytesIO(played.export)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        archives = [archive.read(name) for name in names if name.endswith("IHE_XDM.zip")]
        assert {"index.html", "letters.mbox", "profile.fhir.json", "LISEZMOI.txt"} <= set(names)
        assert any(archive.read(name) == PDF for name in names)
    assert len([xdm.read(one) for one in archives]) == 2  # both versions


def test_appointments_leave_with_it_as_a_calendar_that_other_programs_open(played: Played) -> None:
    with zipfile.ZipFile(io.BytesIO(played.export)) as archive:
        calendar = Calendar.from_ical(archive.read("agenda.ics"))
    [event] = calendar.events
    assert str(event["SUMMARY"]) == VISIT
    assert event.decoded("DTSTART") == datetime(2030, 1, 7, 9, 30, tzinfo=UTC)


def test_nothing_of_it_was_said_to_the_server(played: Played) -> None:
    said = played.served.tap.sent
    for word in (OWN, "volontes", "EXPPAT", "DOCPAT", "Bilan sanguin"):
        assert word.encode() not in said, word


def test_the_page_complained_of_nothing(played: Played) -> None:
    assert played.faults == []
