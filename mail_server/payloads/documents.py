"""Documents of a letter as items of its manifest: those of an IHE_XDM archive, and FHIR documents.

METADATA.XML tells of a document what sorts it; the CDA itself tells which version of what it is, and about whom. Where
the two disagree about the patient the letter is refused; a document that should be a CDA and is none is flagged.

Invariants: pure; raises RecordRefused alone; an item's hash is of the document's own bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mail_server.payloads.manifest import DOCUMENT, FHIR, Item, hash_of
from mail_server.payloads.record import fhir, xdm, xml
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.header import header_of
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.times import iso_of
from mail_server.payloads.record.cda.values import Narrative
from mail_server.payloads.record.model import Author, DocumentEntry, PatientId, Traits
from mail_server.payloads.record.refusal import AnsCode, RecordRefused

INS_NIR: Final = "1.2.250.1.213.1.4.8"
_CDA: Final = frozenset({"text/xml", "application/xml", "application/hl7-v3+xml", "application/cda+xml", ""})


_DAMAGED: Final = frozenset({"xml-malformed", "xml-encoding"})  # not hostile: shown as the file it is


@dataclass(frozen=True, slots=True)
class Made:
    item: Item
    patients: tuple[PatientId, ...] = ()  # whom it is about, national identifiers first
    cda: bool = False  # by what its archive says of it: X-MSS-* speak of these
    identified: bool = False  # by a matricule and four traits, as X-MSS-INS promises


def archive_documents(content: bytes, section: str) -> list[Made]:
    """Of one archive. Raises RecordRefused."""
    archive = xdm.read(content)
    headers: dict[str, Header] = {}
    unread: set[str] = set()
    for entry in archive.entries:
        if entry.mime_type.lower() not in _CDA:
            continue
        try:
            header = _header(archive.documents[entry.uri])
        except RecordRefused as refused:
            if refused.slug not in _DAMAGED:
                raise
            header = None
        if header is None:
            unread.add(entry.uri)
        else:
            headers[entry.uri] = header
    xdm.check_patient(archive, {uri: header.patient_ids for uri, header in headers.items()})
    ids = {entry.entry_uuid: entry.unique_id for entry in archive.entries}
    found: list[Made] = []
    for entry in archive.entries:
        patient = entry.patient_id or archive.submission.patient_id
        made = _document(entry, archive.documents[entry.uri], headers.get(entry.uri), section, ids)
        if entry.uri in unread:
            made = replace(made, flags=(*made.flags, "cda-unreadable"))
        cda = entry.mime_type.lower() in _CDA
        found.append(Made(made, (patient,) if patient else (), cda, _identified(patient, entry.traits)))
    return found


def _document(
    entry: DocumentEntry, content: bytes, header: Header | None, section: str, ids: dict[str, str]
) -> Item:
    replaced = [ids[old] for old in entry.replaces if ids.get(old)]
    if header is not None:
        replaced += [old for old in header.replaces if old not in replaced]
    codes = [one.code for one in entry.confidentiality]
    if header is not None and header.confidentiality.code and header.confidentiality.code not in codes:
        codes.append(header.confidentiality.code)
    return Item(
        DOCUMENT,
        entry.unique_id or (header.id if header else ""),
        type=entry.type.code or (header.type.code if header else ""),
        class_=entry.class_.code,
        format=entry.format.code,
        title=entry.title or (header.title if header else "") or entry.type.display,
        at=iso_of(entry.service_start)
        or (header.service_start if header else "")
        or iso_of(entry.creation_time),
        made=iso_of(entry.creation_time) or (header.at if header else ""),
        author=name_of(entry.authors or (header.authors if header else ())),
        confidentiality=tuple(codes),
        facility=entry.facility.code,
        setting=entry.setting.code,
        hash=hash_of(content),
        size=len(content),
        part=section,
        entry=entry.path,
        set=header.set_id if header else "",
        version=header.version if header else 0,
        replaces=tuple(replaced),
        flags=("id-mismatch",) if header and entry.unique_id and header.id != entry.unique_id else (),
    )


def _header(data: bytes) -> Header | None:
    """What a CDA says of itself; None when it is no CDA. Raises RecordRefused."""
    root = xml.parse(data)
    if root.name != "ClinicalDocument" or root.ns not in (names.HL7, ""):
        return None
    return header_of(root, Narrative(root))


def fhir_document(content: bytes, section: str) -> Made | None:
    """Of a FHIR part; None when it is no document, and stays an attachment. Raises RecordRefused for two patients."""
    try:
        header = fhir.read(content).header
    except RecordRefused as refused:
        if refused.code is AnsCode.INS_MISMATCH:
            raise
        return None
    item = Item(
        FHIR,
        header.id,
        type=header.type.code,
        title=header.title or header.type.display,
        at=header.service_start or header.at,
        made=header.at,
        author=name_of(header.authors),
        confidentiality=(header.confidentiality.code,) if header.confidentiality.code else (),
        hash=hash_of(content),
        size=len(content),
        part=section,
        set=header.set_id,
        version=header.version,
        replaces=header.replaces,
    )
    patients = sorted(header.patient_ids, key=lambda one: one.root != INS_NIR)
    return Made(item, tuple(patients))


def name_of(authors: Sequence[Author]) -> str:
    """Who made it, as a person would say: the person, else the place."""
    for one in authors:
        name = " ".join(part for part in (one.given_name, one.family_name) if part)
        if name or one.organisation:
            return name or one.organisation
    return ""


def _identified(patient: PatientId | None, traits: Traits) -> bool:
    told = (traits.family_name, traits.given_name, traits.birth_date, traits.sex)
    return patient is not None and patient.root == INS_NIR and all(told)
