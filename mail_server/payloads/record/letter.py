"""The letter that carries one document: words for a person, a PDF to look at, the archive for software.

ECO.2.1 and ECO.2.4 of reference/mssante.md §4: subject `XDM/1.0/DDM+…`, IHE_XDM.zip with the CDA, the PDF copy under
its required name, the fields X-MSS-*; a replacement says `[Annule et remplace]`, a withdrawal answers the first letter
and carries no document.

Invariants: pure; the same values make the same letter, boundaries and archive times included, so that a letter can be
made again; nothing of it is ever logged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mail_server import mime
from mail_server.payloads import manifest
from mail_server.payloads.record import mss_fields, value_sets, xdm
from mail_server.payloads.record.cda import writing
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.model import (
    Author,
    Code,
    DocumentEntry,
    PatientId,
    SubmissionSet,
    Traits,
    XdmArchive,
)

FORMAT_PDF: Final = "urn:ihe:iti:xds-sd:pdf:2008"
FHIR_TYPE: Final = "application/fhir+json"
FORMAT_OTHER: Final = "urn:asipSante:modelesHorsProfils:2011"
_HOSPITAL_STAY: Final = "03"
_URI: Final = "DOC0001.XML"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A document that was sent before, as the new letter must name it."""

    unique_id: str
    set_id: str = ""
    version: int = 1
    entry_uuid: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one letter says beside the document's bytes."""

    message_id: str
    at: int  # ms: when the letter is made
    sender: str
    recipient: str = field(repr=False)
    patient: PatientId
    traits: Traits
    type: Code
    class_: Code
    title: str = field(repr=False)
    act: str  # YYYY-MM-DD
    unique_id: str
    set_id: str
    entry_uuid: str
    facility: Code
    setting: Code
    author: Author
    sender_name: str = ""
    reply_to: str = ""
    product: str = ""
    receipt: bool = True
    version: int = 1
    act_end: str = ""
    confidentiality: tuple[Code, ...] = (Code("N", "2.16.840.1.113883.5.25", "Normal"),)
    format: str = FORMAT_PDF
    replaces: Earlier | None = None
    words: str = field(default="", repr=False)  # of the author, before ours
    archive: bool = True  # False: FHIR stands for itself


def level_one(report: Report, pdf: bytes) -> bytes:
    """The CDA that wraps a PDF, under the report's own identifiers."""
    when = _iso(report.at)
    return writing.level1(
        Header(
            id=report.unique_id,
            set_id=report.set_id,
            version=report.version,
            type=report.type,
            title=report.title,
            at=when,
            confidentiality=report.confidentiality[0],
            language="fr-FR",
            patient_ids=(report.patient,),
            traits=report.traits,
            authors=(report.author,),
            custodian=report.author.organisation,
            custodian_id=report.author.organisation_id,
            legal_authenticator=report.author,
            service_start=report.act,
            service_stop=report.act_end or report.act,
            setting=report.setting,
            facility=report.facility,
            replaces=(report.replaces.unique_id,) if report.replaces else (),
        ),
        pdf,
        "application/pdf",
    )


def report_letter(report: Report, cda: bytes, pdf: bytes, fhir: bytes = b"") -> bytes:
    """The whole letter. `pdf` is the copy for people: the one inside `cda`, or drawn from it; `fhir` says the same for
    software that reads it, beside the archive or, when there is no CDA, in its place."""
    archive = _archive(report, cda) if cda else None
    boundary = "=_" + hashlib.sha256(f"{report.message_id} {report.entry_uuid}".encode()).hexdigest()[:32]
    name = pdf_name(report)
    parts = [mime.text_part(_text(report, bool(cda), bool(fhir)))]
    parts.append(mime.attachment_part(pdf, "application/pdf", name))
    if archive is not None:
        parts.append(mime.attachment_part(xdm.write(archive), "application/zip", "IHE_XDM.zip"))
    if fhir:
        parts.append(mime.attachment_part(fhir, FHIR_TYPE, f"{name.removesuffix('.pdf')}.json"))
    subject = (f"{mss_fields.REPLACES} " if report.replaces else "") + subject_of(report)
    kind, body = mime.multipart("mixed", parts, boundary)
    header = [
        *_who(report.sender, report.sender_name, report.recipient, report.reply_to, report.at),
        mime.header_field("Subject", subject),
        mime.header_field("Message-ID", report.message_id),
        *(_answering(report.replaces.message_id) if report.replaces else ()),
        *(
            [mime.address_field("Disposition-Notification-To", [("", report.sender)])]
            if report.receipt
            else ()
        ),
        *_mss(archive, report.product),
        b"MIME-Version: 1.0\r\n",
        kind,
    ]
    return b"".join([*header, b"\r\n", body])


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """That a document sent before is taken back."""

    message_id: str
    at: int
    sender: str
    recipient: str = field(repr=False)
    patient: PatientId
    withdrawn: Earlier
    subject: str = field(repr=False)  # of the first letter
    sender_name: str = ""
    reply_to: str = ""
    product: str = ""


def withdrawal_letter(withdrawal: Withdrawal) -> bytes:
    """An answer to the first letter, without a document (AMBU.MSS/va1.02): words, and a manifest that says it."""
    told = manifest.written(
        manifest.Manifest(
            items=(
                manifest.Item(
                    kind=manifest.WITHDRAWAL,
                    id=withdrawal.message_id.strip("<>"),
                    made=_iso(withdrawal.at),
                    withdraws=(withdrawal.withdrawn.unique_id,),
                ),
            ),
            patient=manifest.patient_hash(withdrawal.patient.root, withdrawal.patient.extension),
        )
    )
    boundary = "=_" + hashlib.sha256(withdrawal.message_id.encode()).hexdigest()[:32]
    parts = (
        mime.text_part(_WITHDRAWN),
        mime.attachment_part(told, manifest.MEDIA_TYPE, "manifest.json"),
    )
    kind, body = mime.multipart("mixed", parts, boundary)
    header = [
        *_who(
            withdrawal.sender,
            withdrawal.sender_name,
            withdrawal.recipient,
            withdrawal.reply_to,
            withdrawal.at,
        ),
        mime.header_field("Subject", f"Re: {withdrawal.subject}"),
        mime.header_field("Message-ID", withdrawal.message_id),
        *_answering(withdrawal.withdrawn.message_id),
        *_mss(None, withdrawal.product),
        b"MIME-Version: 1.0\r\n",
        kind,
    ]
    return b"".join([*header, b"\r\n", body])


def subject_of(report: Report) -> str:
    """The subject without the mark of a replacement. XDM/1.0/DDM promises an archive (ECO.2.1.3)."""
    traits = report.traits
    told = mss_fields.subject(report.title, 1, traits.family_name, traits.given_name, traits.birth_date)
    return told if report.archive else mss_fields.parsed(told).text


def pdf_name(report: Report) -> str:
    """ECO.2.1.6: `<act date>_<type>_<NOM>_<prénom>.pdf`."""
    traits = report.traits
    label = report.type.display or report.type.code
    return mss_fields.pdf_name(report.act, label, traits.family_name, traits.given_name)


def _archive(report: Report, cda: bytes) -> XdmArchive:
    now = _hl7(report.at)
    entry = DocumentEntry(
        entry_uuid=report.entry_uuid,
        unique_id=report.unique_id,
        uri=_URI,
        mime_type="text/xml",
        hash=hashlib.sha1(cda, usedforsecurity=False).hexdigest(),
        size=len(cda),
        title=report.title,
        patient_id=report.patient,
        source_patient_id=report.patient,
        traits=report.traits,
        type=report.type,
        class_=report.class_,
        format=value_sets.format_code(report.format) or Code(report.format),
        facility=report.facility,
        setting=report.setting,
        confidentiality=report.confidentiality,
        authors=(report.author,),
        legal_authenticator=report.author,
        creation_time=now,
        service_start=report.act.replace("-", ""),
        service_stop=(report.act_end or report.act).replace("-", ""),
        logical_id=report.entry_uuid,
        replaces=(report.replaces.entry_uuid,) if report.replaces and report.replaces.entry_uuid else (),
    )
    drawn = hashlib.sha256(f"{report.entry_uuid} submission".encode()).digest()[:16]
    submission = SubmissionSet(
        unique_id=f"2.25.{int.from_bytes(drawn, 'big')}",
        source_id=f"1.2.250.1.71.4.2.2.{report.author.organisation_id}",
        patient_id=report.patient,
        submission_time=now,
        content_type=value_sets.content_type(_HOSPITAL_STAY) or Code(_HOSPITAL_STAY),
        title=report.title,
        author=report.author,
    )
    return XdmArchive(submission, (entry,), {_URI: cda})


def _who(sender: str, name: str, recipient: str, reply_to: str, at: int) -> list[bytes]:
    found = [
        mime.address_field("From", [(name, sender)]),
        mime.address_field("To", [("", recipient)]),
        mime.header_field("Date", mime.date_text(at)),
    ]
    return [*found, mime.address_field("Reply-To", [("", reply_to)])] if reply_to else found


def _mss(archive: XdmArchive | None, product: str) -> list[bytes]:
    return [mime.header_field(name, value) for name, value in mss_fields.header_values(archive, product)]


def _answering(message_id: str) -> list[bytes]:
    if not message_id:
        return []
    return [mime.header_field("In-Reply-To", message_id), mime.header_field("References", message_id)]


def _text(report: Report, archive: bool, fhir: bool) -> str:
    """What a person reads who looks at nothing else."""
    traits, author = report.traits, report.author
    day = "/".join(reversed(report.act.split("-")))
    born = "/".join(reversed(traits.birth_date.split("-")))
    who = f"{traits.given_name} {traits.family_name}".strip()
    made_by = " ".join(part for part in (author.given_name, author.family_name) if part)
    lines = [
        "Bonjour,",
        "",
        *([report.words.strip(), ""] if report.words.strip() else []),
        f"{author.organisation or report.sender_name} vous adresse un document\u00a0:",
        "",
        f"    {report.title}",
        f"    {report.type.display or report.type.code}, du {day}",
        f"    Patient\u00a0: {who}" + (f", né(e) le {born}" if born else ""),
        *([f"    Auteur\u00a0: {made_by}"] if made_by else []),
        "",
        *(
            ["Il annule et remplace le document envoyé précédemment.", ""]
            if report.replaces is not None
            else []
        ),
        "Vous pouvez le lire dans le PDF joint.",
        *(
            ["L’archive IHE_XDM.zip contient le même document, pour les logiciels de santé."]
            if archive
            else []
        ),
        *(
            ["Le fichier « .json » contient le même document au format FHIR, pour les logiciels."]
            if fhir
            else []
        ),
    ]
    return "\n".join(lines) + "\n"


_WITHDRAWN: Final = (
    "Bonjour,\n\n"
    "Le document envoyé précédemment est retiré par son auteur\u00a0: ne l’utilisez plus.\n"
    "Aucun document ne le remplace.\n"
)


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _hl7(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y%m%d%H%M%S}"
