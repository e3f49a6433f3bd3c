"""Letters that carry documents and appointments, made of invented people, always the same octets.

What the vectors of the manifest are made from, and what tests of delivery hand over.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace

from mail_server import mime
from mail_server.payloads.manifest import MEDIA_TYPE
from mail_server.payloads.record import xdm
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.writing import level1
from mail_server.payloads.record.model import (
    Author,
    Code,
    DocumentEntry,
    PatientId,
    SubmissionSet,
    Traits,
    XdmArchive,
)

INS = "1.2.250.1.213.1.4.8"
PATIENT = PatientId(INS, "267017506512334")
OTHER = PatientId(INS, "185051305500181")
TRAITS = Traits("VASARELY", "Apolline", "1967-01-12", "F", "75112")
GP = Author("MARTIN", "Claire", "899700218896", organisation="CHU de Valbonne")
LAB = Code("11502-2", "2.16.840.1.113883.6.1", "CR d'examens biologiques")
STAY = Code("34112-3", "2.16.840.1.113883.6.1", "CR hospitalier (séjour)")
NORMAL = Code("N", "2.16.840.1.113883.5.25", "Normal")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def confidential(code: str) -> Code:
    return Code(code, "1.2.250.1.213.1.1.4.13", code)


def cda(
    unique: str,
    *,
    patient: PatientId = PATIENT,
    title: str = "Bilan sanguin",
    kind: Code = LAB,
    replaces: Sequence[str] = (),
    version: int = 1,
    body: bytes = PDF,
) -> bytes:
    header = Header(
        id=unique,
        set_id=f"{unique}.9",
        version=version,
        type=kind,
        title=title,
        at="2026-11-20T09:00:00+01:00",
        confidentiality=NORMAL,
        language="fr-FR",
        patient_ids=(patient,),
        traits=TRAITS,
        authors=(GP,),
        custodian="CHU de Valbonne",
        custodian_id="1750000001",
        legal_authenticator=GP,
        service_start="2026-11-19T08:30:00+01:00",
        replaces=tuple(replaces),
    )
    return level1(header, body, "application/pdf")


def entry(
    unique: str, *, uri: str = "DOC0001.XML", patient: PatientId = PATIENT, **changes: object
) -> DocumentEntry:
    made = DocumentEntry(
        entry_uuid=f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, unique)}",
        unique_id=unique,
        uri=uri,
        mime_type="text/xml",
        hash="",
        size=0,
        title="Bilan sanguin du 19 novembre",
        patient_id=patient,
        source_patient_id=PatientId("1.2.250.1.999.2", "IPP-1"),
        traits=TRAITS,
        type=LAB,
        class_=Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu"),
        format=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.2.250.1.213.1.1.5.8", "PDF"),
        facility=Code("SA01", "1.2.250.1.71.4.2.4", "Hôpital public"),
        setting=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Établissement"),
        confidentiality=(NORMAL,),
        authors=(GP,),
        legal_authenticator=GP,
        creation_time="20261120090000+0100",
        service_start="20261119083000+0100",
    )
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


def archive(*documents: tuple[DocumentEntry, bytes], patient: PatientId = PATIENT) -> bytes:
    submission = SubmissionSet(
        "1.2.250.1.999.7.1", "1.2.250.1.999", patient, "20261120090100+0100",
        Code("03", "1.2.250.1.213.1.1.4.13.5", "x"), "Envoi", GP,
    )  # fmt: skip
    return xdm.write(
        XdmArchive(submission, tuple(one for one, _ in documents), {one.uri: data for one, data in documents})
    )


def one_document(unique: str = "1.2.250.1.999.1.1", **changes: object) -> bytes:
    return archive((entry(unique, **changes), cda(unique)))


def zip_part(data: bytes, name: str = "IHE_XDM.zip", kind: str = "application/zip") -> bytes:
    return mime.attachment_part(data, kind, name)


def calendar(*events: str, method: str = "REQUEST") -> str:
    return "\r\n".join(
        [
            "BEGIN:VCALENDAR", "PRODID:-//essai//FR", "VERSION:2.0", *([f"METHOD:{method}"] if method else []),
            *events, "END:VCALENDAR", "",
        ]
    )  # fmt: skip


def event(
    uid: str = "rdv-1@chu.example", *more: str, start: str = "20261203T093000Z", title: str = "Consultation"
) -> str:
    return "\r\n".join(
        [
            "BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261120T080000Z", f"DTSTART:{start}", f"SUMMARY:{title}",
            'ORGANIZER;CN="Martin: Claire":mailto:Claire.Martin@chu.example', "ATTENDEE:mailto:patient@x", *more,
            "END:VEVENT",
        ]
    )  # fmt: skip


def calendar_part(text: str, method: str = "REQUEST", name: str = "") -> bytes:
    if name:
        return mime.attachment_part(text.encode(), "text/calendar", name)
    head = f"Content-Type: text/calendar; charset=utf-8; method={method}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + text.encode()


def manifest_part(*items: dict[str, object], **more: object) -> bytes:
    whole = {"v": 1, "items": list(items)} | more
    head = f"Content-Type: {MEDIA_TYPE}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + json.dumps(whole, ensure_ascii=False).encode()


def letter(
    *parts: bytes,
    subject: str = "Vos résultats",
    more: str = "",
    sender: str = "labo@chu.example",
    to: str = "x@y.example",
) -> bytes:
    head = [
        f"From: <{sender}>", f"To: <{to}>", "Date: Fri, 20 Nov 2026 09:02:00 +0100", "MIME-Version: 1.0",
        f"Message-ID: <{abs(sum(map(len, parts)))}.{len(subject)}@chu.example>",
    ]  # fmt: skip
    top = "\r\n".join(head).encode() + b"\r\n" + mime.header_field("Subject", subject) + more.encode()
    if len(parts) == 1:
        return top + parts[0]
    text = mime.text_part("Bonjour,\r\n\r\nVoici vos documents.\r\n")
    return top + _multipart("mixed", text, *parts)


def _multipart(subtype: str, *parts: bytes) -> bytes:
    mark = f"=_{subtype}_0123456789"
    body = b"".join(f"--{mark}\r\n".encode() + part.rstrip(b"\r\n") + b"\r\n" for part in parts)
    return (
        f'Content-Type: multipart/{subtype}; boundary="{mark}"\r\n\r\n'.encode()
        + body
        + f"--{mark}--\r\n".encode()
    )


def alternative(*parts: bytes) -> bytes:
    return _multipart("alternative", *parts)
