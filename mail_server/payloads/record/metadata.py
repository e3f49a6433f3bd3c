"""METADATA.XML read: what an XDS submission says of its documents (IHE ITI TF-3 §4.2, ITI-32 §3.32.4.1).

Tolerant of how foreign producers write it (namespaces of ebRIM 2.1 or 3.0, a ProvideAndRegister around it, slots that
are missing): what is not there is "" or None. Whether it is true is for `xdm.py`.
Invariants: pure; never raises anything but `RecordRefused`.
"""

from __future__ import annotations

from typing import Final

from mail_server.payloads.record import ebrim
from mail_server.payloads.record.model import Author, Code, DocumentEntry, SubmissionSet
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from mail_server.payloads.record.xml import ANY, Element, parse

ENTRIES: Final = 200


def read_metadata(data: bytes) -> tuple[SubmissionSet, list[DocumentEntry]]:
    """The submission set and its documents, in the order of the file."""
    root = parse(data)
    objects = [one for one in (root, *root.descendants(ns=ANY)) if one.name in _OBJECTS]
    found = [one for one in objects if one.name == "ExtrinsicObject"]
    packages = [one for one in objects if one.name == "RegistryPackage"]
    if not found and not packages:
        raise RecordRefused(AnsCode.OTHER, "xdm-metadata", "METADATA.XML holds no submission")
    if len(found) > ENTRIES:
        raise RecordRefused(AnsCode.OTHER, "xdm-too-many", "METADATA.XML lists too many documents")
    links = [one for one in objects if one.name == "Association"]
    replaced: dict[str, list[str]] = {}
    for link in links:
        if link.get("associationType").endswith(":RPLC") or link.get("associationType") == "RPLC":
            replaced.setdefault(link.get("sourceObject"), []).append(link.get("targetObject"))
    marked = {
        one.get("classifiedObject")
        for one in objects
        if one.name == "Classification" and one.get("classificationNode") == ebrim.SUBMISSION
    }
    apart = _apart(objects, found)
    return _submission(packages, marked), [
        _entry(one, replaced, apart.get(one.get("id"), [])) for one in found
    ]


_OBJECTS: Final = frozenset({"ExtrinsicObject", "RegistryPackage", "Association", "Classification"})


def _apart(objects: list[Element], found: list[Element]) -> dict[str, list[Code]]:
    """Codes of confidentiality that are said of a document from outside its own element, as ebRIM allows too."""
    inside = {id(one) for entry in found for one in _classifications(entry, ebrim.CONFIDENTIALITY)}
    apart: dict[str, list[Code]] = {}
    for one in objects:
        scheme = one.get("classificationScheme").lower() if one.name == "Classification" else ""
        if scheme == ebrim.CONFIDENTIALITY and one.get("classifiedObject") and id(one) not in inside:
            apart.setdefault(one.get("classifiedObject"), []).append(_classified(one))
    return apart


def _submission(packages: list[Element], marked: set[str]) -> SubmissionSet:
    """The package that is the submission set: classified so, or bearing its identifier; a folder is neither."""
    for package in packages:
        unique = _identifier(package, ebrim.SUBMISSION_UNIQUE)
        if unique or package.get("id") in marked:
            break
    else:
        return SubmissionSet("", "", None, "", Code(""))
    authors = _authors(package, ebrim.SUBMISSION_AUTHOR)
    contents = _codes(package, ebrim.SUBMISSION_CONTENT)
    return SubmissionSet(
        unique_id=unique,
        source_id=_identifier(package, ebrim.SUBMISSION_SOURCE),
        patient_id=ebrim.patient_of(_identifier(package, ebrim.SUBMISSION_PATIENT)),
        submission_time=_slot(package, "submissionTime"),
        content_type=contents[0] if contents else Code(""),
        title=_name(package),
        author=authors[0] if authors else None,
    )


def _entry(found: Element, replaced: dict[str, list[str]], apart: list[Code]) -> DocumentEntry:
    legal = _slot(found, "legalAuthenticator")
    size = _slot(found, "size")
    return DocumentEntry(
        entry_uuid=found.get("id"),
        unique_id=_identifier(found, ebrim.ENTRY_UNIQUE),
        uri=_uri(found),
        mime_type=found.get("mimeType").strip().lower(),
        hash=_slot(found, "hash").lower(),
        size=int(size) if size.isascii() and size.isdigit() and len(size) < 16 else -1 if size else 0,
        title=_name(found),
        patient_id=ebrim.patient_of(_identifier(found, ebrim.ENTRY_PATIENT)),
        source_patient_id=ebrim.patient_of(_slot(found, "sourcePatientId")),
        traits=ebrim.traits_of(_slots(found, "sourcePatientInfo")),
        type=_code(found, ebrim.TYPE),
        class_=_code(found, ebrim.CLASS),
        format=_code(found, ebrim.FORMAT),
        facility=_code(found, ebrim.FACILITY),
        setting=_code(found, ebrim.SETTING),
        confidentiality=(*_codes(found, ebrim.CONFIDENTIALITY), *apart),
        authors=tuple(_authors(found, ebrim.AUTHOR)),
        legal_authenticator=_person(legal) if legal else None,
        language=_slot(found, "languageCode"),
        creation_time=_slot(found, "creationTime"),
        service_start=_slot(found, "serviceStartTime"),
        service_stop=_slot(found, "serviceStopTime"),
        logical_id=found.get("lid"),
        status=found.get("status") or ebrim.APPROVED,
        replaces=tuple(one for one in replaced.get(found.get("id"), []) if one),
    )


def _slots(found: Element, name: str) -> list[str]:
    return [
        value.text().strip()
        for slot in found.elements("Slot", ANY)
        if slot.get("name") == name
        for value in slot.descendants("Value", ANY)
    ]


def _slot(found: Element, name: str) -> str:
    values = _slots(found, name)
    return values[0] if values else ""


def _uri(found: Element) -> str:
    """A long URI comes in pieces, each with its number: `1|http…`, `2|…` (ITI TF-3 §4.2.3.2.27)."""
    values = _slots(found, "URI")
    if len(values) > 1 and all(value[:1] in "123456789" and value[1:2] == "|" for value in values):
        return "".join(value[2:] for value in sorted(values))
    return values[0] if values else ""


def _name(found: Element) -> str:
    for name in found.elements("Name", ANY):
        for text in name.elements("LocalizedString", ANY):
            return text.get("value").strip()
    return ""


def _identifier(found: Element, scheme: str) -> str:
    for one in found.elements("ExternalIdentifier", ANY):
        if one.get("identificationScheme").lower() == scheme:
            return one.get("value").strip()
    return ""


def _classifications(found: Element, scheme: str) -> list[Element]:
    return [
        one
        for one in found.elements("Classification", ANY)
        if one.get("classificationScheme").lower() == scheme
    ]


def _codes(found: Element, scheme: str) -> list[Code]:
    return [_classified(one) for one in _classifications(found, scheme)]


def _classified(one: Element) -> Code:
    return Code(one.get("nodeRepresentation").strip(), _slot(one, "codingScheme"), _name(one))


def _code(found: Element, scheme: str) -> Code:
    codes = _codes(found, scheme)
    return codes[0] if codes else Code("")


def _authors(found: Element, scheme: str) -> list[Author]:
    made: list[Author] = []
    for one in _classifications(found, scheme):
        identifier, family, given = ebrim.person_of(_slot(one, "authorPerson"))
        organisation, organisation_id = ebrim.organisation_of(_slot(one, "authorInstitution"))
        specialty = ebrim.specialty_of(_slot(one, "authorSpecialty"))
        role = ebrim.unescaped(_slot(one, "authorRole"))
        made.append(Author(family, given, identifier, role, specialty, organisation, organisation_id))
    return made


def _person(text: str) -> Author:
    identifier, family, given = ebrim.person_of(text)
    return Author(family, given, identifier)
