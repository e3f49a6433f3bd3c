"""One document's whole way: from a hospital's command line to whoever may read it, the same to the byte everywhere.

The hospital's own program hands over a CDA and a PDF, swaks a FHIR document. The doctor opens them with GnuPG over
IMAP, the patient by JMAP and in Chromium. The practice's robot reads METADATA.XML from a copy that the doctor switched
on, and the doctor's own stays sealed. Played once; each test is one thing that must have been so.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from deploy.demo import clients, letters, sign_in, world
from deploy.demo.people import Patient
from mail_server.payloads.record import xdm
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.writing import level1
from mail_server.payloads.record.model import PatientId, Traits
from tests.browser.conftest import browsing
from tests.browser.served import Served, served_operator
from tests.browser.visitor import Visitor
from tests.webmail.vectors import record_letters

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1200)]  # the first test plays it all

FHIR = Path(__file__).parents[1] / "webmail" / "vectors" / "cda" / "fhir-resume.json"
PASSWORD = "lanterne moulin jeudi 18 mauve"
WRITTEN, WRAPPED, TOLD = "Compte rendu d’échographie", "Lettre de sortie", "Résumé patient international"
ROBOT = "imagerie.robot@mss.vaguemestre.test"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the hospital holds in its hands."""

    pdf: bytes = field(repr=False)
    cda: bytes = field(repr=False)
    fhir: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Read:
    """The three letters as one reader has them."""

    wrapped: EmailMessage = field(repr=False)  # made by the hospital's program from a PDF
    written: EmailMessage = field(repr=False)  # from a CDA
    told: EmailMessage = field(repr=False)  # FHIR, attached


@dataclass(frozen=True, slots=True)
class Way:
    sent: Sent
    doctor: Read
    patient: Read
    stored: list[bytes] = field(repr=False)  # the doctor's mailbox as it lies on the server
    robot: list[EmailMessage] = field(repr=False)
    shown: str = field(repr=False)
    saved: list[bytes] = field(repr=False)
    faults: list[str]


def a_cda(person: Patient) -> bytes:
    stay = record_letters.STAY
    gp = record_letters.GP
    header = Header(
        id="1.2.250.1.999.8.1",
        set_id="1.2.250.1.999.8.1.9",
        version=1,
        type=stay,
        title=WRITTEN,
        at="2026-11-20T09:00:00+01:00",
        confidentiality=record_letters.NORMAL,
        language="fr-FR",
        patient_ids=(PatientId(record_letters.INS, person.matricule),),
        traits=Traits(person.family_name, given(person), person.birth_date, person.sex, person.birth_place),
        authors=(gp,),
        custodian="CHU de Valbonne",
        custodian_id="1750000001",
        legal_authenticator=gp,
        service_start="2026-11-19T08:30:00+01:00",
    )
    return level1(header, letters.pdf(WRITTEN, 20_000), "application/pdf")


def given(person: Patient) -> str:
    return person.given_names.split()[0]


class Hospital:
    """Its information system: a folder, a certificate, and the program's command line."""

    def __init__(self, served: Served, folder: Path, person: Patient) -> None:
        self._made, self._folder = served.made, folder
        (folder / "patient.json").write_text(
            json.dumps(
                {
                    "ins": person.matricule,
                    "family_name": person.family_name,
                    "given_name": given(person),
                    "birth_date": person.birth_date,
                    "sex": person.sex,
                    "birth_place": person.birth_place,
                }
            )
        )
        made = self._made
        self._run(
            "init", "--host", "localhost", "--port", str(made.ports["submissions"]), "--address", world.HOSPITAL,
            "--certificate", str(made.hospital.certificate), "--key", str(made.hospital.key),
            "--authorities", str(made.ca), "--establishment", "CH d'Exemple", "--identifier", "1690000005",
            "--spool", str(folder / "spool"), "--spool-key", str(folder / "spool.key"),
        )  # fmt: skip

    def send(self, flag: str, document: bytes, title: str, to: str = "") -> None:
        path = self._folder / f"document{flag}"
        path.write_bytes(document)
        told = [flag, str(path), "--patient", str(self._folder / "patient.json"), "--type", "34112-3"]
        self._run("send", *told, "--title", title, *(("--to", to) if to else ()))

    def _run(self, *told: str) -> None:
        command = [sys.executable, "-m", "deploy.node.cli", "report", *told]
        settings = ("--settings", str(self._folder / "reports.toml"))
        done = subprocess.run([*command, *settings], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def by_swaks(served: Served, to: str, document: bytes, folder: Path) -> None:
    """A doctor's program that knows nothing of archives attaches a FHIR document."""
    made, doctor = served.made, served.made.persons[world.DOCTOR]
    part = record_letters.zip_part(document, "resume.json", "application/fhir+json")
    letter = folder / "fhir.eml"
    letter.write_bytes(record_letters.letter(part, subject=TOLD, sender=world.DOCTOR, to=to))
    done = subprocess.run(
        [
            "swaks", "--server", "localhost", "--port", str(made.ports["submissions"]), "--tls-on-connect",
            "--tls-ca-path", str(made.ca), "--tls-verify", "--auth", "PLAIN", "--auth-user", doctor.address,
            "--auth-password", doctor.password, "--from", world.DOCTOR, "--to", to, "--data", f"@{letter}",
            "--suppress-data", "--auth-hide-password",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def switch_copies_on(served: Served) -> None:
    """The administrator names the software; the doctor, in the page, wants copies of documents for it."""
    served.command("account_software", address=world.GP, software=ROBOT, network="")
    page = served.another_browser()
    page.log_in_by_provider(sign_in.PROFESSIONALS, served.made.identity.doctors[world.GP].name)
    assert page.post("/api/practice-copy", {"on": True}, "PUT") == {"software": ROBOT, "on": True}


def mailbox_of(served: Served, address: str) -> list[bytes]:
    made, person = served.made, served.made.persons[address]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "ALL")
        read: list[bytes] = []
        for uid in found[0].split():
            _, data = imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            read.append(cast(tuple[bytes, bytes], data[0])[1])
        return read


def sorted_out(messages: list[EmailMessage]) -> Read:
    def one(word: str) -> EmailMessage:
        [found] = [each for each in messages if word in str(each["Subject"])]
        return found

    return Read(one(WRAPPED), one(WRITTEN), one(TOLD))


def as_message(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=policy.default)


def read_and_save(page: Page, title: str, rendered: Locator, files: int) -> list[bytes]:
    """Opens a document of the record, and keeps every file that the page offers of it."""
    main = page.get_by_role("main")
    main.get_by_role("link", name=title).first.click()
    expect(rendered.first).to_be_visible()
    buttons = main.get_by_role("button", name="Enregistrer")
    expect(buttons).to_have_count(files)
    found: list[bytes] = []
    for button in buttons.all():
        with page.expect_download() as saved:
            button.click()
        found.append(Path(saved.value.path()).read_bytes())
    page.go_back()
    return found


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    if shutil.which("swaks") is None:
        pytest.skip("swaks is not installed")
    folder = tmp_path_factory.mktemp("hospital")
    with served_operator() as served, browsing() as browser:
        space = served.new_patient(618)
        sent = Sent(
            letters.pdf("Lettre de sortie", 30_000, ("quenouille",)), a_cda(space.person), FHIR.read_bytes()
        )
        switch_copies_on(served)
        hospital = Hospital(served, folder, space.person)
        for to in ("", world.GP):
            hospital.send("--pdf", sent.pdf, WRAPPED, to)
            hospital.send("--cda", sent.cda, WRITTEN, to)
            by_swaks(served, to or space.shown, sent.fhir, folder)

        context = browser.new_context(locale="fr-FR", viewport={"width": 1100, "height": 900})
        context.set_default_timeout(120_000)
        faults: list[str] = []
        context.on("weberror", lambda fault: faults.append(str(fault.error)))
        page = context.new_page()
        Visitor(page, served.origin).activate(space.person, space.code, PASSWORD)
        page.goto(f"{served.origin}/dossier")
        for title in (WRAPPED, WRITTEN, TOLD):  # they come one after the other
            expect(page.get_by_role("main").get_by_text(title).first).to_be_visible()
        shown = page.get_by_role("main").inner_text()
        as_pages, in_words = (
            page.locator("main canvas"),
            page.get_by_role("cell", name="HTA"),
        )
        saved = read_and_save(page, WRAPPED, as_pages, 3)
        saved += read_and_save(page, WRITTEN, as_pages, 3)
        saved += read_and_save(page, TOLD, in_words, 1)
        context.close()

        at_patient = served.another_browser()
        at_patient.log_in(space.person.matricule, PASSWORD)
        gp = served.made.persons[world.GP]
        assert gp.secret_key is not None
        stored = mailbox_of(served, world.GP)
        opened = [clients.open_with_gpg(each, gp.secret_key, gp.passphrase, None).message for each in stored]
        by_jmap = [at_patient.open(each).inner for each in at_patient.letters()]
        robot = [as_message(each) for each in mailbox_of(served, ROBOT)]
        yield Way(sent, sorted_out(opened), sorted_out(by_jmap), stored, robot, shown, saved, faults)


def archive_of(letter: EmailMessage) -> bytes:
    [found] = [part.get_content() for part in letter.walk() if part.get_content_type() == "application/zip"]
    return found


def cda_of(letter: EmailMessage) -> bytes:
    [found] = xdm.read(archive_of(letter)).documents.values()
    return found


def pdf_of(letter: EmailMessage) -> bytes:
    [found] = [part.get_content() for part in letter.walk() if part.get_content_type() == "application/pdf"]
    return found


def fhir_of(letter: EmailMessage) -> bytes:
    [found] = [part.get_content() for part in letter.walk() if part.get_content_subtype() == "fhir+json"]
    return found


@pytest.mark.parametrize("reader", ["doctor", "patient"])
def test_the_documents_come_out_of_the_seal_the_same_to_the_byte(way: Way, reader: str) -> None:
    read: Read = getattr(way, reader)
    assert cda_of(read.written) == way.sent.cda
    assert pdf_of(read.wrapped) == way.sent.pdf
    assert fhir_of(read.told) == way.sent.fhir


def test_what_the_browser_saves_is_the_same_to_the_byte(way: Way) -> None:
    made = cda_of(way.patient.wrapped), archive_of(way.patient.wrapped), archive_of(way.patient.written)
    assert {way.sent.cda, way.sent.pdf, way.sent.fhir, *made} <= set(way.saved)


def test_the_patient_s_page_renders_them(way: Way) -> None:
    for title in (WRAPPED, WRITTEN, TOLD):
        assert way.shown.count(title) == 1
    assert way.faults == []


def test_a_robot_reads_metadata_from_its_copy_while_the_doctor_s_own_stays_sealed(way: Way) -> None:
    read = [one for one in way.robot if any(p.get_content_type() == "application/zip" for p in one.walk())]
    metadata: list[bytes] = []
    for letter in read:
        with zipfile.ZipFile(io.BytesIO(archive_of(letter))) as archive:
            metadata.append(archive.read("IHE_XDM/SUBSET01/METADATA.XML"))
    assert [b"1.2.250.1.999.8.1" in one for one in metadata].count(True) == 1
    assert len(metadata) == 2
    assert len(way.stored) == 3
    for stored in way.stored:
        assert b"BEGIN PGP MESSAGE" in stored
        assert b"METADATA" not in stored
        assert b"Subject: [...]" in stored


def test_the_robot_has_its_copy_for_documents_alone_and_the_same_as_the_doctor(way: Way) -> None:
    archives = [archive_of(one) for one in way.robot]
    assert sorted(archives) == sorted([archive_of(way.doctor.wrapped), archive_of(way.doctor.written)])
