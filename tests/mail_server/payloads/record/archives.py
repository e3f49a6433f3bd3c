"""Archives and METADATA.XML as producers write them, to be spoiled by the hostile corpus. Nobody's data."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mail_server.payloads.record import xdm
from mail_server.payloads.record.metadata_writing import written_metadata
from mail_server.payloads.record.model import (
    Author,
    Code,
    DocumentEntry,
    PatientId,
    SubmissionSet,
    Traits,
    XdmArchive,
)
from tests.mail_server.payloads.record.zips import Member

NIR = "1.2.250.1.213.1.4.8"
JEANNE = PatientId(NIR, "248053523814762")
PAUL = PatientId(NIR, "179035121518989")
TRAITS = Traits("DURAND", "Jeanne", "1948-05-03", "F", "35238")
CLAIRE = Author(
    "MARTIN",
    "Claire",
    "899700218896",
    "",
    Code("G15_10/SM26", "1.2.250.1.71.4.2.5", "Médecine générale"),
    "CHU d’Exemple & Fils",
    "1750712184",
)
CDA = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.250.1.999.1"/>'
    b"<title>Lettre de liaison</title></ClinicalDocument>\n"
)
SUBSET = "IHE_XDM/SUBSET01/"


def entry(number: int = 1, **changes: object) -> DocumentEntry:
    made = DocumentEntry(
        entry_uuid=f"urn:uuid:6f8d6c0e-0000-4000-8000-{number:012}",
        unique_id=f"1.2.250.1.999.1.{number}",
        uri=f"DOC{number:04}.XML",
        mime_type="text/xml",
        hash=hashlib.sha1(CDA, usedforsecurity=False).hexdigest(),
        size=len(CDA),
        title="Lettre de liaison",
        patient_id=JEANNE,
        source_patient_id=PatientId("1.2.250.1.999.2", "IPP-0042"),
        traits=TRAITS,
        type=Code("11490-0", "2.16.840.1.113883.6.1", "Lettre de liaison à la sortie"),
        class_=Code("11", "1.2.250.1.213.1.1.4.1", "Synthèse"),
        format=Code("urn:asip:ci-sis:ldl-ses:2017", "1.2.250.1.213.1.1.4.2.282", "Lettre de liaison"),
        facility=Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement public de santé"),
        setting=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé"),
        confidentiality=(Code("N", "2.16.840.1.113883.5.25", "Normal"),),
        authors=(CLAIRE,),
        legal_authenticator=CLAIRE,
        creation_time="20261120083000+0100",
        service_start="20261118",
        service_stop="20261120",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


SUBMISSION = SubmissionSet(
    unique_id="1.2.250.1.999.3.1",
    source_id="1.2.250.1.999.4",
    patient_id=JEANNE,
    submission_time="20261120083500",
    content_type=Code("03", "1.2.250.1.213.2.2", "Hospitalisation complète"),
    title="Sortie d’hospitalisation",
    author=CLAIRE,
)


def archive(*entries: DocumentEntry, content: bytes = CDA) -> XdmArchive:
    chosen = entries or (entry(),)
    return XdmArchive(SUBMISSION, chosen, {one.uri: content for one in chosen})


def metadata(*entries: DocumentEntry, submission: SubmissionSet = SUBMISSION) -> bytes:
    return written_metadata(submission, entries or (entry(),))


def good() -> bytes:
    return xdm.write(archive())


def members(told: bytes | None = None, document: bytes = CDA, folder: str = SUBSET) -> list[Member]:
    """The usual four files, METADATA.XML and the document replaceable."""
    return [
        Member(b"README.TXT", b"Archive IHE_XDM\r\n"),
        Member(b"INDEX.HTM", b"<html/>"),
        Member(f"{folder}METADATA.XML".encode(), metadata() if told is None else told),
        Member(f"{folder}DOC0001.XML".encode(), document),
    ]
