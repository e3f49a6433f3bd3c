"""A hospital's own program against a whole operator: what it hands in, who reads it, what comes back, what it is told.

Played once; each test is one thing that must have been so.
"""

from __future__ import annotations

import csv
import imaplib
import io
import time
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.demo import clients, people, pki, sign_in, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from mail_server import mime
from mail_server.keys.kek import make_kek
from mail_server.payloads.record import integration, pdf_copy, xdm
from mail_server.payloads.record.refusal import AnsCode
from mail_server.reports.sending import send_report
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import State

CORPUS = Path(__file__).parents[1] / "webmail" / "vectors" / "cda"
ROBOT = f"logiciel.cabinet@{world.DOMAIN}"
WATCHED = f"cardiologie@{world.DOMAIN}"
_STEM = "2510369999731"
HER = replace(people.GARANCE, matricule=f"{_STEM}{97 - int(_STEM) % 97:02d}")
PATIENT = {
    "ins": HER.matricule,
    "family_name": HER.family_name,
    "given_name": "Éloïse",
    "birth_date": HER.birth_date,
    "sex": HER.sex,
    "birth_place": HER.birth_place,
}


def hers(name: str) -> bytes:
    """A document of the corpus, about the patient of the demo."""
    text = (CORPUS / name).read_text("utf-8")
    for theirs, own in (
        ("250033523804241", PATIENT["ins"]),
        ("1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.8"),
        ("MORVAN", PATIENT["family_name"]),
        ("JEANNE", PATIENT["given_name"]),
        ("19500312", "19510314"),
        ("1950-03-12", PATIENT["birth_date"]),
        ("35238", PATIENT["birth_place"]),
    ):
        text = text.replace(theirs, own)
    return text.encode()


def hospital(made: world.World, folder: Path) -> HospitalSettings:
    make_kek(folder / "key" / "spool.key", folder / "spool")
    return HospitalSettings.model_validate(
        {
            "node": {
                "host": "localhost",
                "port": made.ports["submissions"],
                "certificate": made.hospital.certificate,
                "key": made.hospital.key,
                "authorities": made.ca,
            },
            "account": {
                "address": world.HOSPITAL,
                "name": world.HOSPITAL_NAME,
                "reply_to": WATCHED,
                "product": "DEV000042",
            },
            "establishment": {
                "name": world.HOSPITAL_NAME,
                "identifier": "1690099991",
                "author_family_name": "Delorme",
            },
            "spool": {"folder": folder / "spool", "key": folder / "key" / "spool.key"},
        }
    )


def practice_software(made: world.World, folder: Path) -> pki.LeafFiles:
    """Software with a certificate of its own, which a doctor has copies made for."""
    authority = pki.TestAuthority.load(made.folder / "pki")
    leaf = authority.issue_client(
        "LOGICIEL CABINET", pki.Organisation.with_finess("CABINET DES LILAS", 77, "Rhône (69)")
    )
    files = leaf.write(folder, "robot")
    made.command(
        "account_add", address=ROBOT, kind="APP", password=False, certificate=files.certificate.read_text()
    )
    made.command("account_software", address=world.GP, software=ROBOT)
    page = PageClient(made.ports["http"])
    page.log_in_by_provider(sign_in.PROFESSIONALS, made.identity.doctors[world.GP].name)
    assert page.post("/api/practice-copy", {"on": True}, method="PUT")["on"]
    return files


def stored(made: world.World, files: pki.LeafFiles) -> list[bytes]:
    """What lies in a system's INBOX, over IMAP with its certificate (SASL EXTERNAL)."""
    context = clients.tls(made.ca, files.certificate, files.key)
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=60)
    try:
        imap.authenticate("EXTERNAL", lambda _: b"")
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "ALL")
        return [
            cast("tuple[bytes, bytes]", imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0])[1]
            for uid in cast("bytes", found[0]).split()
        ]
    finally:
        imap.logout()


def parts_of(message: EmailMessage) -> dict[str, bytes]:
    return {one.get_content_type(): one.get_payload(decode=True) for one in message.iter_attachments()}  # pyright: ignore[reportReturnType]


@dataclass
class Played:
    first: dict[str, Any]  # the morning before anybody read
    second: dict[str, Any]
    cda: dict[str, bytes] = field(repr=False)  # parts of the letters, as the patient's browser has them
    fhir: dict[str, bytes] = field(repr=False)
    fields: dict[str, str] = field(repr=False)
    at_gp: dict[str, bytes] = field(repr=False)  # as GnuPG opens what IMAP gives
    gp_lies: bytes = field(repr=False)
    copy: bytes = field(repr=False)
    back: list[bytes] = field(repr=False)


@pytest.fixture(scope="module")
def played(made: world.World, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("hospital")
    settings, software = hospital(made, folder), practice_software(made, folder)
    space = made.command(
        "space_add",
        matricule=HER.matricule,
        family_name=HER.family_name,
        given_names=HER.given_names,
        sex=HER.sex,
        birth_date=HER.birth_date,
        birth_place=HER.birth_place,
    )
    for to, document in (("", "biologie-1.xml"), ("", "fhir-biologie.json"), (world.GP, "sortie.xml")):
        given = {"fhir" if document.endswith("json") else "cda": hers(document)}
        sent = send_report({"patient": PATIENT, "to": to}, settings=settings, **given)
        assert sent.state is State.SENT
    first = made.command("report_morning", address=world.HOSPITAL, send=True)

    page = PageClient(made.ports["http"])
    page.enrol(
        space["code"],
        "lanterne moulin jeudi 18 mauve",
        derivations.new_recovery_code(),
        birth_date=HER.birth_date,
        last_five=HER.last_five,
    )
    page.reseal()
    read = [page.open(each).inner for each in page.letters()]
    with_cda, with_fhir = sorted(read, key=lambda one: "application/zip" not in parts_of(one))

    gp = made.persons[world.GP]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), gp.address, gp.password) as imap:
        lies = clients.newest(imap)
    assert gp.secret_key is not None
    at_gp = clients.open_with_gpg(lies, gp.secret_key, gp.passphrase, made.authority)

    (copy,) = stored(made, software)
    by = integration.Answerer(ROBOT, world.DOMAIN, time.time_ns() // 1_000_000)
    told = integration.acknowledgement(copy, integration.Outcome(AnsCode.UNKNOWN_PATIENT), by, world.HOSPITAL)
    assert told is not None
    context = clients.tls(made.ca, software.certificate, software.key)
    clients.send_as_system(made.ports["submissions"], context, ROBOT, [world.HOSPITAL], told)
    deadline = time.monotonic() + 120
    while len(receipts(stored(made, made.hospital))) < 2:  # they leave a moment after letters are opened
        assert time.monotonic() < deadline
        time.sleep(0.2)
    second = made.command("report_morning", address=world.HOSPITAL, send=True)
    return Played(
        first,
        second,
        parts_of(with_cda),
        parts_of(with_fhir),
        {name: str(value) for name, value in with_cda.items()},
        parts_of(at_gp.message),
        lies,
        copy,
        stored(made, made.hospital),
    )


def test_cda_fhir_and_pdf_are_the_same_to_the_byte_in_the_patients_browser(played: Played) -> None:
    archive = xdm.read(played.cda["application/zip"])
    assert list(archive.documents.values()) == [hers("biologie-1.xml")]
    assert played.fhir["application/fhir+json"] == hers("fhir-biologie.json")
    assert played.cda["application/pdf"] == pdf_copy.pdf_copy(hers("biologie-1.xml"))


def test_and_for_a_doctor_with_gnupg_over_imap(played: Played) -> None:
    assert list(xdm.read(played.at_gp["application/zip"]).documents.values()) == [hers("sortie.xml")]


def test_software_reads_the_metadata_of_its_copy_while_the_doctors_stays_sealed(played: Played) -> None:
    tree = mime.parse(played.copy)
    zipped = next(one for one in tree.walk() if one.content_type == "application/zip")
    [entry] = xdm.read(mime.decoded_body(played.copy, zipped)).entries
    assert (entry.type.code, entry.patient_id and entry.patient_id.extension) == ("11490-0", PATIENT["ins"])
    assert mime.parse(played.gp_lies).content_type == "multipart/encrypted"
    assert b"IHE_XDM" not in played.gp_lies


def test_the_letter_says_which_product_made_it_and_where_people_answer(played: Played) -> None:
    assert played.fields["X-MSS-NIL"] == "DEV000042"
    assert played.fields["X-MSS-CODECDA"] == "11502-2"
    assert played.fields["X-MSS-INS"] == "O"
    assert WATCHED in played.fields["Reply-To"]


def test_the_patients_first_opening_comes_back_as_a_receipt(played: Played) -> None:
    assert len(receipts(played.back)) == 2
    opened = [one for one in rows(played.second) if one["list"] == "since" and one["opened"]]
    assert len(opened) == 2, "and stands in the table"


def test_what_software_could_not_take_is_told_the_next_morning_and_the_sums_hold(played: Played) -> None:
    first, second = played.first, played.second
    assert [first[name] for name in ("handed_in", "delivered", "waiting", "refused")] == [3, 1, 2, 0]
    assert second["handed_in"] == 0
    told = [(one["outcome"], one["cause"]) for one in rows(second) if one["list"] == "since"]
    assert sorted(told) == [("delivered", ""), ("delivered", ""), ("refused", "902")]
    assert any(b"902" in one and b"KO" in one for one in played.back), "and its letter is there to be read"


def receipts(letters: list[bytes]) -> list[bytes]:
    return [one for one in letters if b"disposition-notification" in one and b"displayed" in one]


def rows(told: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(told["csv"]), delimiter=";"))
