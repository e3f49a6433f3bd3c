"""How quick a long record is: `python -m tests.browser.measure_record [--documents N] [--weeks N]`. Figures alone.

A patient of a whole operator with 2,000 documents (a laboratory's data in one of five) and a doctor's appointment for
each week of five years. In Chromium, with the page's own worker and its IndexedDB: everything read for the first time,
the page opened again, the list, a document, the medical profile, the curves, the agenda's list and its month. The clock
is the page's own: from the act to the frame that shows it.
"""

from __future__ import annotations

import argparse
import smtplib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.demo import clients, world
from deploy.demo.browser import derivations
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Attendee, Component, Me, Organiser, When, stamp_text
from mail_server.payloads.record.letter import Report, level_one, report_letter
from mail_server.payloads.record.model import Author, Code, PatientId, Traits
from tests.browser.measure import PASSWORD
from tests.browser.served import Served, served_operator

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
LABORATORY = HERE.parent / "webmail" / "vectors" / "cda" / "biologie-1.xml"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
NAME = "Dr Camille Aubry"
HOUR = 3_600_000
_SHOWN = """(there) => new Promise((resolve) => {
  const look = () => there() ? requestAnimationFrame(() => resolve(performance.now())) : requestAnimationFrame(look);
  look();
})"""
_DOCUMENTS = "() => document.querySelectorAll(\"a[href^='/dossier/document/']\").length > 0"
_ALL_READ = f"() => ({_DOCUMENTS})() && !document.querySelector('main progress')"
_APPOINTMENTS = "() => document.querySelectorAll(\"a[href^='/agenda/rendez-vous/']\").length > 0"
_MARK = """() => {
  const all = [...document.querySelectorAll("main button, main label")];
  all.find((one) => one.textContent.trim() === "Mois").id ||= "to-month";
}"""
_MONTH = """() => document.querySelectorAll("[role=grid] [data-day]").length >= 28"""


def documents(space: world.Space, count: int) -> Iterator[bytes]:
    """Letters of a hospital over five years."""
    person = space.person
    patient = PatientId("1.2.250.1.213.1.4.8", person.matricule)
    traits = Traits(
        person.family_name, person.given_names.split()[0], person.birth_date, person.sex, person.birth_place
    )
    author = Author(
        "ROUX", "Antoine", "899700300042", organisation="Hôpital de la Gare", organisation_id="1690000000"
    )
    now = datetime.now(UTC)
    for number in range(count):
        day = (now - timedelta(days=number * 1800 // count)).date().isoformat()
        laboratory = number % 5 == 0
        unique_id = f"1.2.250.1.999.7.{number + 1}"
        report = Report(
            message_id=f"<mesure-{number}@{world.DOMAIN}>", at=int(now.timestamp() * 1000), sender=world.HOSPITAL,
            recipient=space.shown, patient=patient, traits=traits,
            type=Code("11502-2", "2.16.840.1.113883.6.1", "CR d'examens biologiques") if laboratory
            else Code("34112-3", "2.16.840.1.113883.6.1", "CR hospitalier (séjour)"),
            class_=Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu"), title=f"Compte rendu {number}", act=day,
            unique_id=unique_id, set_id=f"{unique_id}.1", entry_uuid=f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
            facility=Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement public de santé"),
            setting=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé"),
            author=author, receipt=False,
        )  # fmt: skip
        cda = results(space, unique_id, day) if laboratory else level_one(report, PDF)
        yield report_letter(report, cda, PDF)


def results(space: world.Space, unique_id: str, day: str) -> bytes:
    """The laboratory's shared example, of another day and of this person."""
    document = LABORATORY.read_text("utf-8").replace('"1.2.250.1.999.1.6"', f'"{unique_id}"')
    document = document.replace("250033523804241", space.person.matricule)
    document = document.replace("1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.8")
    return document.replace("20261119", day.replace("-", "")).encode()


def appointments(served: Served, to: str, weeks: int) -> Iterator[bytes]:
    doctor = Engine(Me((world.GP,), NAME))
    now = time.time_ns() // 1_000_000
    monday = now // (168 * HOUR) * 168 * HOUR + 9 * HOUR

    def when(at: int) -> When:
        return When(stamp_text(at)[:-1], "UTC")

    for week in range(weeks):
        start = monday + (week - weeks + 8) * 168 * HOUR
        whole = Component(
            f"mesure-{week}@cabinet", start=when(start), end=when(start + HOUR // 2), title=f"Séance {week}",
            place="12 rue des Lilas", organiser=Organiser(world.GP, NAME), attendees=(Attendee(to, rsvp=True),),
        )  # fmt: skip
        for one in doctor.organise(whole, now + week * 1000):
            yield imip.letter(one, NAME, world.DOMAIN)


def fill(served: Served, space: world.Space, count: int, weeks: int) -> None:
    made, person = served.made, space.person
    page = served.another_browser()
    sheet = derivations.new_recovery_code()
    page.enrol(space.code, PASSWORD, sheet, birth_date=person.birth_date, last_five=person.last_five)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    letters = list(documents(space, count))

    def send(datas: Sequence[bytes]) -> None:
        with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=120) as smtp:
            smtp.ehlo("hopital.demo.test")
            smtp.docmd("AUTH", "EXTERNAL =")
            for data in datas:
                smtp.sendmail(world.HOSPITAL, [space.shown], data)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, [letters[start::4] for start in range(4)]))
    doctor = made.persons[world.GP]
    with smtplib.SMTP("localhost", made.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(made.ca))
        smtp.login(world.GP, doctor.password)
        for data in appointments(served, space.shown, weeks):
            smtp.sendmail(world.GP, [space.shown], data)


def until(page: Page, there: str) -> float:
    return float(page.evaluate(f"({_SHOWN})({there})"))


def act(page: Page, selector: str, there: str) -> float:
    """From a press to the frame that shows what it asked for."""
    began = "const began = performance.now()"
    press = f"document.querySelector({selector!r}).click()"
    script = f"() => {{ {began}; {press}; return ({_SHOWN})({there}).then((end) => end - began); }}"
    return float(page.evaluate(script))


def told(name: str, once: Callable[[], float], rounds: int = 3) -> None:
    times = sorted(once() for _ in range(rounds))
    print(f"{name:52} {times[len(times) // 2]:8.0f} ms   ({times[0]:.0f} to {times[-1]:.0f})", flush=True)


def measured(count: int, weeks: int) -> None:
    from tests.browser.conftest import browsing

    with served_operator() as served, browsing() as browser:
        space = served.made.patient
        began = time.monotonic()
        fill(served, space, count, weeks)
        print(
            f"{count:,} documents and {weeks} appointments laid down in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        context = browser.new_context(locale="fr-FR", viewport={"width": 390, "height": 844})
        context.set_default_timeout(300_000)
        page = context.new_page()
        page.goto(f"{served.origin}/connexion")
        page.get_by_label("Identifiant").fill(space.shown)
        page.get_by_role("textbox", name="Mot de passe").fill(PASSWORD)
        page.get_by_role("button", name="Me connecter").click()
        page.locator("h1").filter(has_text="Messages").wait_for()

        def opened(path: str, there: str) -> float:
            page.goto(f"{served.origin}{path}", wait_until="commit")
            return until(page, there)

        page.goto(f"{served.origin}/dossier", wait_until="commit")
        first = until(page, _DOCUMENTS)
        print(f"{'first time: a first list':52} {first:8.0f} ms", flush=True)
        print(f"{'first time: everything read':52} {until(page, _ALL_READ):8.0f} ms", flush=True)
        told("opened again: the list", lambda: opened("/dossier", _DOCUMENTS))
        title = (
            '() => document.querySelector("main table") || document.querySelector("main canvas, main .files")'
        )
        told(
            "a document, from its line",
            lambda: opened("/dossier", _DOCUMENTS) * 0 + act(page, "a[href^='/dossier/document/']", title),
        )
        area = "() => document.querySelectorAll(\"a[href^='/dossier/profil/']\").length > 4"
        told("opened again: the medical profile", lambda: opened("/dossier/profil", area))
        curve = '() => document.querySelectorAll("main li a, main li button").length > 5'
        told("opened again: the curves", lambda: opened("/dossier/analyses", curve))
        told("opened again: the agenda's list", lambda: opened("/agenda", _APPOINTMENTS))
        opened("/agenda", _APPOINTMENTS)
        page.get_by_text("Mois", exact=True).first.wait_for()
        page.evaluate(_MARK)
        print(f"{'the month, from the list':52} {act(page, '#to-month', _MONTH):8.0f} ms", flush=True)
        held = page.evaluate("() => navigator.storage.estimate().then(({ usage }) => usage)")
        print(f"kept on the device: {held / 1e6:.1f} MB", flush=True)
        context.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure_record", description=__doc__)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--weeks", type=int, default=260)
    given = parser.parse_args(arguments)
    measured(given.documents, given.weeks)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
