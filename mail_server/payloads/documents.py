"""Documents of a letter as items of its manifest: those of an IHE_XDM archive, and FHIR documents.

METADATA.XML tells of a document what sorts it; the CDA itself tells which version of what it is, and about whom. Where
the two disagree about the patient the letter is refused; a document that should be a CDA and is none is flagged.

Invariants: pure; raises RecordRefused alone; an item's hash is of the document's own bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mail_server.payloads.manifest import DOCUMENT, FHIR, Item, hash_of
from mail_server.payloads.record import confidentiality, fhir, mss_fields, xdm, xml
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.header import header_of, marks_of
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.times import iso_of
from mail_server.payloads.record.cda.values import Narrative
from mail_server.payloads.record.model import Author, DocumentEntry, PatientId
from mail_server.payloads.record.refusal import AnsCode, RecordRefused

INS_NIR: Final = "1.2.250.1.213.1.4.8"
_CDA: Final = frozenset({"text/xml", "application/xml", "application/hl7-v3+xml", "application/cda+xml", ""})


_DAMAGED: Final = frozenset({"xml-malformed", "xml-encoding"})  # not hostile: shown as the file it is
_KEPT_BACK: Final = (confidentiality.INVISIBLE, confidentiality.MASKED, confidentiality.NOT_REPRESENTATIVES)
_CODES: Final = 20  # of one item, in a manifest
MARKS: Final = 500_000  # "<" of all documents of a letter: what one of them may hold, twice


@dataclass(slots=True)
class Allowance:
    """What reading one letter may still cost: many files that are each within bounds may be too much together."""

    marks: int = MARKS

    def take(self, document: bytes) -> None:
        """Raises RecordRefused."""
        self.marks -= document.count(b"<")
        if self.marks < 0:
            raise RecordRefused(AnsCode.OTHER, "xml-too-many", "The documents hold too many elements")


@dataclass(frozen=True, slots=True)
class Made:
    item: Item
    patients: tuple[PatientId, ...] = ()  # whom it is about, national identifiers first
    cda: bool = False  # by what its archive says of it: X-MSS-* speak of these
    identified: bool = False  # by a matricule and four traits, as X-MSS-INS promises


def archive_documents(content: bytes, section: str, allowance: Allowance | None = None) -> list[Made]:
    """Of one archive. Raises RecordRefused."""
    allowance = allowance or Allowance()
    archive = xdm.read(content)
    headers: dict[str, Header] = {}
    marked: dict[str, list[str]] = {}  # codes that a CDA bears, wherever in it
    unread: set[str] = set()
    for entry in archive.entries:
        if not _is_cda(entry):
            continue
        allowance.take(archive.documents[entry.uri])
        try:
            header, marked[entry.uri] = _header(archive.documents[entry.uri])
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
        codes = (*made.confidentiality, *marked.get(entry.uri, ()))
        made = replace(made, confidentiality=codes_of(codes))
        if entry.uri in unread:
            made = replace(made, flags=(*made.flags, "cda-unreadable"))
        cda = _is_cda(entry)
        found.append(
            Made(made, (patient,) if patient else (), cda, mss_fields.qualified(patient, entry.traits))
        )
    return found


def _is_cda(entry: DocumentEntry) -> bool:
    return entry.mime_type.partition(";")[0].strip().lower() in _CDA


def codes_of(told: Iterable[str]) -> tuple[str, ...]:
    """Each once; those that keep a document from somebody as they are known, and first when there are so many that
    others before them would have them cut off."""
    plain = [code.strip().upper() if code.strip().upper() in _KEPT_BACK else code for code in told if code]
    once = tuple(dict.fromkeys(plain))
    return once if len(once) <= _CODES else tuple(sorted(once, key=lambda code: code not in _KEPT_BACK))


def _document(
    entry: DocumentEntry, content: bytes, header: Header | None, section: str, ids: dict[str, str]
) -> Item:
    replaced = [ids[old] for old in entry.replaces if ids.get(old)]
    if header is not None:
        replaced += [old for old in header.replaces if old not in replaced]
    codes = [one.code for one in entry.confidentiality]
    if header is not None:
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
        confidentiality=tuple(code for code in codes if code),
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


def _header(data: bytes) -> tuple[Header | None, list[str]]:
    """What a CDA says of itself, None when it is no CDA; and every code it bears. Raises RecordRefused."""
    root = xml.parse(data)
    if root.name != "ClinicalDocument" or root.ns not in (names.HL7, ""):
        return None, []
    return header_of(root, Narrative(root)), marks_of(root)


def fhir_document(content: bytes, section: str) -> Made | None:
    """Of a FHIR part; None when it is no document, and stays an attachment. Raises RecordRefused for two patients."""
    try:
        bundle = fhir.parsed(content)
        header = fhir.document_of(bundle).header
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
        confidentiality=codes_of((header.confidentiality.code, *fhir.labels_of(bundle))),
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
