"""METADATA.XML written: the ebRIM submission of documents, with every attribute that the DMP's model requires
(reference/mssante.md §4.2; IHE ITI TF-3 §4.2.3).

Invariants: the same values give the same octets (identifiers of classifications are drawn from what they classify);
what is required and missing is a `ValueError`, for it is our own mistake; nothing is cut silently.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from mail_server.payloads.record import ebrim
from mail_server.payloads.record.model import Author, Code, DocumentEntry, SubmissionSet

_NAMES: Final = uuid.UUID("5c1e9a0e-7d0b-5f0f-9a3a-8f3d1f0f6b11")  # under which ours are drawn
_SUBMITTED: Final = "SubmissionSet01"


def written_metadata(submission: SubmissionSet, entries: Sequence[DocumentEntry]) -> bytes:
    """The file. `entries` have their hash, size and URI."""
    _required(submission, "unique_id", "source_id", "patient_id", "submission_time", "content_type", "author")
    if not entries:
        raise ValueError("a submission without documents")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{ebrim.LCM}" xmlns:rim="{ebrim.RIM}">',
        "<rim:RegistryObjectList>",
    ]
    for entry in entries:
        lines += _entry(entry)
    lines += _submission(submission)
    for number, entry in enumerate(entries, 1):
        original = [_slot("SubmissionSetStatus", "Original")]
        lines += _association(f"as{number:02}", ebrim.HAS_MEMBER, _SUBMITTED, entry.entry_uuid, original)
    replaced = [(entry, old) for entry in entries for old in entry.replaces]
    for number, (entry, old) in enumerate(replaced, 1):
        lines += _association(f"rplc{number:02}", ebrim.REPLACES, entry.entry_uuid, old, [])
    lines += ["</rim:RegistryObjectList>", "</lcm:SubmitObjectsRequest>", ""]
    return "\n".join(lines).encode("utf-8")


def _entry(entry: DocumentEntry) -> list[str]:
    _required(
        entry,
        *(
            "entry_uuid",
            "unique_id",
            "uri",
            "mime_type",
            "hash",
            "size",
            "title",
            "patient_id",
            "source_patient_id",
        ),
        *(
            "type",
            "class_",
            "format",
            "facility",
            "setting",
            "confidentiality",
            "authors",
            "legal_authenticator",
        ),
        *("language", "creation_time", "service_start"),
    )
    if len(entry.confidentiality) > 4:
        raise ValueError("more than four codes of confidentiality")
    me = entry.entry_uuid
    legal = entry.legal_authenticator
    opening = {
        "id": me,
        "lid": entry.logical_id or me,
        "mimeType": entry.mime_type,
        "objectType": ebrim.STABLE,
        "status": entry.status,
    }
    slots = [
        _slot("creationTime", entry.creation_time),
        _slot("hash", entry.hash),
        _slot("languageCode", entry.language),
        _slot("legalAuthenticator", ebrim.written_person(legal) if legal else ""),
        _slot("serviceStartTime", entry.service_start),
        _slot("serviceStopTime", entry.service_stop),
        _slot("size", str(entry.size)),
        _slot("sourcePatientId", ebrim.written_patient(entry.source_patient_id, _kind(entry))),
        _slot("sourcePatientInfo", *ebrim.written_traits(entry.traits)),
        _slot("URI", entry.uri),
    ]
    lines = [_open("rim:ExtrinsicObject", opening), *(one for one in slots if one), _name(entry.title)]
    for number, author in enumerate(entry.authors, 1):
        lines += _author(author, ebrim.AUTHOR, me, number)
    coded = [
        (ebrim.CLASS, entry.class_),
        *((ebrim.CONFIDENTIALITY, code) for code in entry.confidentiality),
        (ebrim.FORMAT, entry.format),
        (ebrim.FACILITY, entry.facility),
        (ebrim.SETTING, entry.setting),
        (ebrim.TYPE, entry.type),
    ]
    for number, (scheme, code) in enumerate(coded, 1):
        lines += _coded(code, scheme, me, number)
    patient = ebrim.written_patient(entry.patient_id, "NH")
    lines += _identifier("XDSDocumentEntry.patientId", patient, ebrim.ENTRY_PATIENT, me)
    lines += _identifier("XDSDocumentEntry.uniqueId", entry.unique_id, ebrim.ENTRY_UNIQUE, me)
    return [*lines, "</rim:ExtrinsicObject>"]


def _kind(entry: DocumentEntry) -> str:
    """Type of the hospital's identifier: NH when it is the matricule itself, PI when it is its own number."""
    source = entry.source_patient_id
    return "NH" if source and source.root in ebrim.INS_ROOTS else "PI"


def _submission(submission: SubmissionSet) -> list[str]:
    me = _SUBMITTED
    lines = [
        _open("rim:RegistryPackage", {"id": me}),
        _slot("submissionTime", submission.submission_time),
        *([_name(submission.title)] if submission.title else []),
    ]
    if submission.author:
        lines += _author(submission.author, ebrim.SUBMISSION_AUTHOR, me, 1)
    lines += _coded(submission.content_type, ebrim.SUBMISSION_CONTENT, me, 1)
    patient = ebrim.written_patient(submission.patient_id, "NH")
    lines += _identifier("XDSSubmissionSet.patientId", patient, ebrim.SUBMISSION_PATIENT, me)
    lines += _identifier("XDSSubmissionSet.sourceId", submission.source_id, ebrim.SUBMISSION_SOURCE, me)
    lines += _identifier("XDSSubmissionSet.uniqueId", submission.unique_id, ebrim.SUBMISSION_UNIQUE, me)
    lines.append("</rim:RegistryPackage>")
    marked = {
        "id": _id(me, ebrim.SUBMISSION, 1),
        "classifiedObject": me,
        "classificationNode": ebrim.SUBMISSION,
    }
    return [*lines, _open("rim:Classification", marked, closed=True)]


def _author(author: Author, scheme: str, of: str, number: int) -> list[str]:
    attributes = {
        "id": _id(of, scheme, number),
        "classificationScheme": scheme,
        "classifiedObject": of,
        "nodeRepresentation": "",
    }
    slots = [
        _slot("authorInstitution", ebrim.written_organisation(author)),
        _slot("authorPerson", ebrim.written_person(author)),
        _slot("authorRole", ebrim.escaped(author.role)),
        _slot("authorSpecialty", ebrim.written_specialty(author.specialty) if author.specialty else ""),
    ]
    return [
        _open("rim:Classification", attributes),
        *(one for one in slots if one),
        "</rim:Classification>",
    ]


def _coded(code: Code, scheme: str, of: str, number: int) -> list[str]:
    attributes = {
        "id": _id(of, scheme, number),
        "classificationScheme": scheme,
        "classifiedObject": of,
        "nodeRepresentation": code.code,
    }
    lines = [_open("rim:Classification", attributes), _slot("codingScheme", code.system)]
    return [*lines, _name(code.display or code.code), "</rim:Classification>"]


def _identifier(name: str, value: str, scheme: str, of: str) -> list[str]:
    attributes = {
        "id": _id(of, scheme, 1),
        "identificationScheme": scheme,
        "registryObject": of,
        "value": value,
    }
    return [_open("rim:ExternalIdentifier", attributes), _name(name), "</rim:ExternalIdentifier>"]


def _association(name: str, kind: str, source: str, target: str, inside: list[str]) -> list[str]:
    attributes = {"id": name, "associationType": kind, "sourceObject": source, "targetObject": target}
    if not inside:
        return [_open("rim:Association", attributes, closed=True)]
    return [_open("rim:Association", attributes), *inside, "</rim:Association>"]


def _slot(name: str, *values: str) -> str:
    """A slot on one line; "" when it would say nothing."""
    told = "".join(f"<rim:Value>{_text(value)}</rim:Value>" for value in values if value)
    return f'<rim:Slot name="{name}"><rim:ValueList>{told}</rim:ValueList></rim:Slot>' if told else ""


def _name(text: str) -> str:
    return f'<rim:Name><rim:LocalizedString xml:lang="fr-FR" value={_quoted(text)}/></rim:Name>'


def _open(tag: str, attributes: dict[str, str], closed: bool = False) -> str:
    told = "".join(f" {name}={_quoted(value)}" for name, value in attributes.items())
    return f"<{tag}{told}{'/' if closed else ''}>"


def _quoted(text: str) -> str:
    return quoteattr(_plain(text), {'"': "&quot;"})


def _text(text: str) -> str:
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Without the characters that XML 1.0 has no way to write (§2.2)."""
    return "".join(letter for letter in text if letter >= " " and not _outside(ord(letter)))


def _outside(code: int) -> bool:
    return 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF)


def _id(*named: object) -> str:
    return f"urn:uuid:{uuid.uuid5(_NAMES, '|'.join(map(str, named)))}"


def _required(values: Any, *names: str) -> None:
    missing = [name for name in names if _nothing(getattr(values, name))]
    if missing:
        raise ValueError(f"required and missing: {', '.join(missing)}")


def _nothing(value: object) -> bool:
    if isinstance(value, Code):
        return not value.code
    return value is None or value in ("", ())
