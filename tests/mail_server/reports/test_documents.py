"""CDA and FHIR documents of the shared corpus, handed in as they are: the same bytes leave, with a copy for people."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from deploy.demo import letters
from mail_server import mime
from mail_server.payloads import drawing
from mail_server.payloads.record import fhir, xdm
from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.writing import level1
from mail_server.payloads.record.letter import FHIR_TYPE
from mail_server.reports.documents import Source
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.sending import Desk, Taken
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import State
from tests.nights import invented, with_script

CORPUS = Path(__file__).parents[2] / "webmail" / "vectors" / "cda"
WHOLE = (  # one of each kind a hospital or a laboratory sends
    "biologie-1", "biologie-urine", "sortie", "sortie-corrigee", "ordonnance", "ordonnance-bio", "vaccin-note", "vsm",
    "imagerie", "operatoire", "urgences", "signes-vitaux", "etranger-biologie", "etranger-utf16", "etranger-copie",
    "n1-pdf", "n1-texte", "n1-image", "volontes", "certificat",
)  # fmt: skip


@pytest.fixture
def desk(settings: HospitalSettings, desk: Desk) -> Desk:
    """Documents of the corpus are about people of the test ranges."""
    taking = settings.model_copy(
        update={"limits": settings.limits.model_copy(update={"test_identities": True})}
    )
    return Desk(taking, desk.spool)


def content(name: str) -> bytes:
    return (CORPUS / name).read_bytes()


def patient_of(header: Header) -> dict[str, str]:
    traits, number = header.traits, header.patient_ids[0]
    return {
        "ins": number.extension,
        "oid": number.root,
        "family_name": traits.family_name,
        "given_name": traits.given_name,
        "birth_date": traits.birth_date,
        "sex": traits.sex,
        "birth_place": traits.birth_place,
    }


def order_for(document: bytes, **more: Any) -> dict[str, Any]:
    read = fhir.read if document.lstrip().startswith(b"{") else reading.read
    return {"patient": patient_of(read(document).header), **more}


class Sent:
    """A letter that lies in the spool, taken apart."""

    def __init__(self, desk: Desk, taken: Taken) -> None:
        self.data = desk.spool.letter(taken.reference)
        self.tree = mime.parse(self.data)
        self.parts = [one for one in self.tree.walk() if not one.is_multipart]
        self.fields = {one.name: one.value for one in mime.fields(mime.header_block(self.data))}
        self.subject = mime.decoded(self.tree.fields[b"subject"])
        self.drawn = drawing.draw(self.data, self.tree)

    def part(self, kind: str) -> bytes:
        [found] = [one for one in self.parts if one.content_type == kind]
        return mime.decoded_body(self.data, found)

    def name(self, kind: str) -> str:
        return next(one.filename or "" for one in self.parts if one.content_type == kind)


def take(desk: Desk, document: bytes, **more: Any) -> Sent:
    source = Source(fhir=document) if document.lstrip().startswith(b"{") else Source(cda=document)
    return Sent(desk, desk.take(order_for(document, **more), source))


@pytest.mark.parametrize("name", WHOLE)
def test_a_cda_leaves_to_the_byte_with_a_copy_to_read_and_says_itself_what_it_is(
    desk: Desk, name: str
) -> None:
    document = content(f"{name}.xml")
    header = reading.read(document).header
    sent = take(desk, document)  # neither type, nor title, nor date is ordered
    archive = xdm.read(sent.part("application/zip"))
    assert list(archive.documents.values()) == [document]
    [entry] = archive.entries
    assert (entry.unique_id, entry.type.code, entry.title) == (header.id, header.type.code, header.title)
    written_by = header.authors[0].family_name or "Aurore"  # else who the settings name
    assert (entry.authors[0].family_name, entry.authors[0].organisation) == (written_by, "CH Essai")
    [item] = sent.drawn.manifest.items
    assert (item.id, item.flags, sent.drawn.manifest.flags) == (header.id, (), ())
    assert sent.fields["x-mss-codecda"] == header.type.code.encode()
    assert f" {header.traits.family_name} {header.traits.given_name} " in sent.subject
    assert sent.subject.startswith("[Annule et remplace] " if header.replaces else "XDM/1.0/DDM+")
    assert sent.name("application/pdf").endswith(
        f"_{header.traits.family_name}_{header.traits.given_name}.pdf"
    )
    pages = PdfReader(io.BytesIO(sent.part("application/pdf"))).pages
    assert len(pages) > 0
    if name != "n1-pdf":
        assert b"pdfaid:part" in sent.part("application/pdf"), "PDF/A"
        assert header.traits.family_name in pages[0].extract_text()


def test_the_copy_says_what_the_laboratory_found(desk: Desk) -> None:
    document = content("biologie-1.xml")
    text = PdfReader(io.BytesIO(take(desk, document).part("application/pdf"))).pages[0].extract_text()
    for result in reading.read(document).results[:5]:
        assert result.value in text


def test_a_fhir_document_leaves_alone_to_the_byte_and_promises_no_archive(desk: Desk) -> None:
    document = content("fhir-biologie.json")
    sent = take(desk, document)
    assert sent.part(FHIR_TYPE) == document
    assert sent.name(FHIR_TYPE).endswith("_MORVAN_JEANNE.json")
    assert sent.subject == "Examens biologiques MORVAN JEANNE 12/03/1950"
    assert "x-mss-codecda" not in sent.fields
    assert sent.fields["x-mss-nil"] == b"DEV000000"
    [item] = sent.drawn.manifest.items
    assert (item.kind, item.id) == ("fhir", fhir.read(document).header.id)
    assert "MORVAN" in PdfReader(io.BytesIO(sent.part("application/pdf"))).pages[0].extract_text()


@pytest.mark.parametrize("beside", ["pdf", "cda"])
def test_a_fhir_document_may_go_beside_another(desk: Desk, pdf: bytes, beside: str) -> None:
    document = content("fhir-biologie.json")
    cda = content("biologie-1.xml") if beside == "cda" else b""
    told = order_for(document, type="11502-2", title="Biologie", date="2026-11-20")
    sent = Sent(desk, desk.take(told, Source(b"" if cda else pdf, cda, fhir=document)))
    assert sent.part(FHIR_TYPE) == document
    assert len(xdm.read(sent.part("application/zip")).entries) == 1
    assert [one.kind for one in sent.drawn.manifest.items] == ["document", "fhir"]
    assert cda or sent.part("application/pdf") == pdf


@pytest.mark.parametrize("name", ["biologie-1.xml", "fhir-biologie.json"])
def test_a_document_about_somebody_else_is_refused(desk: Desk, name: str) -> None:
    document = content(name)
    stranger = order_for(document) | {"patient": invented(7)}
    source = Source(fhir=document) if name.endswith("json") else Source(cda=document)
    with pytest.raises(ReportRefused, match="another-patient"):
        desk.take(stranger, source)
    beside = Source(cda=content("biologie-1.xml"), fhir=content("fhir-sans-patient.json"))
    with pytest.raises(ReportRefused, match="fhir-another-patient"):
        desk.take(order_for(content("biologie-1.xml")), beside)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("refuse-doctype.xml", "cda-refused"),
        ("refuse-deux-patients.xml", "cda-refused"),
        ("refuse-coupe.xml", "cda-refused"),
        ("fhir-refuse-coupe.json", "fhir-refused"),
        ("fhir-refuse-deux-patients.json", "fhir-refused"),
        ("etranger-n1.xml", "pdf-unreadable"),
    ],
)
def test_what_cannot_be_read_is_refused(desk: Desk, name: str, slug: str) -> None:
    source = Source(fhir=content(name)) if name.endswith("json") else Source(cda=content(name))
    with pytest.raises(ReportRefused, match=slug):
        desk.take(order_for(content("biologie-1.xml")), source)


def test_a_type_that_the_document_denies_is_refused(desk: Desk) -> None:
    with pytest.raises(ReportRefused, match="type-disagrees"):
        take(desk, content("biologie-1.xml"), type="34112-3")


def test_a_pdf_that_acts_is_refused_inside_a_cda_too(desk: Desk) -> None:
    document = reading.read(content("n1-pdf.xml"))
    acting = level1(document.header, with_script(letters.pdf("x", 1000)), "application/pdf")
    with pytest.raises(ReportRefused, match="pdf-active"):
        take(desk, acting)


def test_a_document_that_hides_itself_is_held_and_only_a_new_version_is_announced(desk: Desk) -> None:
    document = content("rcp.xml")
    assert reading.read(document).header.confidentiality.code == "INVISIBLE_PATIENT"
    taken = desk.take(order_for(document), Source(cda=document))  # the order says nothing of it
    assert taken.state is State.HELD
    with pytest.raises(ReportRefused, match="document-invisible"):
        desk.announce(taken.reference)


def test_a_fhir_document_may_be_held_and_announced_unchanged(desk: Desk) -> None:
    document = content("fhir-biologie.json")
    taken = desk.take(order_for(document, hold=True), Source(fhir=document))
    assert taken.state is State.HELD
    announced = Sent(desk, desk.announce(taken.reference))
    assert announced.part(FHIR_TYPE) == document
    withdrawn = Sent(desk, desk.withdraw(taken.reference))
    assert withdrawn.subject == f"Re: {announced.subject}"
    assert withdrawn.fields["x-mss-nil"] == b"DEV000000"


def test_a_fhir_document_alone_carries_no_code_that_it_does_not_bear(desk: Desk) -> None:
    document = content("fhir-biologie.json")
    with pytest.raises(ReportRefused, match="confidentiality-wrong"):
        take(desk, document, confidentiality=["N", "MASQUE_PS"])
    bundle = json.loads(document)
    bundle["meta"] = {"security": [{"code": "MASQUE_PS"}]}
    sent = take(desk, json.dumps(bundle).encode())
    assert "MASQUE_PS" in sent.drawn.confidentiality


def test_a_fhir_document_alone_replaces_what_it_says_itself(desk: Desk) -> None:
    first = desk.take(order_for(content("fhir-biologie.json")), Source(fhir=content("fhir-biologie.json")))
    next_one = content("fhir-ordonnance.json")  # it replaces the first
    sent = take(desk, next_one, replaces=first.reference)
    assert sent.subject.startswith("[Annule et remplace] Ordonnance")
    assert sent.tree.fields[b"in-reply-to"].startswith(b"<" + first.reference.encode())
    with pytest.raises(ReportRefused, match="replaced-unknown"):
        take(desk, content("fhir-resume.json"), replaces=first.reference)


def test_two_main_documents_or_none_are_refused(desk: Desk, pdf: bytes) -> None:
    for source in (Source(), Source(pdf, content("biologie-1.xml"))):
        with pytest.raises(ReportRefused, match="document-missing"):
            desk.take(order_for(content("biologie-1.xml")), source)


def test_what_is_announced_keeps_the_document_and_its_name(desk: Desk) -> None:
    document = content("sortie.xml")
    taken = desk.take(order_for(document, hold=True), Source(cda=document))
    before, after = Sent(desk, taken), Sent(desk, desk.announce(taken.reference))
    assert after.part("application/pdf") == before.part("application/pdf")
    [old], [new] = (xdm.read(one.part("application/zip")).entries for one in (before, after))
    assert new == replace(
        old, entry_uuid=new.entry_uuid, logical_id=new.logical_id, creation_time=new.creation_time
    )
    assert new.entry_uuid != old.entry_uuid
