"""The header of a CDA document of France, written: who, about whom, when, in what care (CI-SIS).

Invariants: the order of elements is the schema's; what is not known carries a nullFlavor, never an invented value.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree  # to write only: what comes is read by `record.xml`

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import Header
from mail_server.payloads.record.cda.times import hl7_of
from mail_server.payloads.record.model import Author, Code, PatientId

Element = ElementTree.Element

_NO_PLACE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: Final = {"N": "Normal", "R": "Restreint", "V": "Très restreint"}
_SYSTEMS: Final = {
    names.LOINC: "LOINC",
    names.CONFIDENTIALITY: "HL7:Confidentiality",
    names.LOCAL_TYPES: "TRE_A04-TypeDocument-NonLOINC",
    names.SETTING: "TRE_A01-CadreExercice",
    names.FACILITY: "TRE_R02-SecteurActivite",
    names.SNOMED: "SNOMED CT",
}


def add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """A child in HL7's namespace, which the root declares; attributes without a value are left out."""
    made = ElementTree.SubElement(parent, tag)
    for name, value in attributes.items():
        if value:
            made.set(name, clean(value))
    if text:
        made.text = clean(text)
    return made


def clean(text: str) -> str:
    """Without the characters that XML 1.0 has no place for (§2.2): no reader takes them."""
    return _NO_PLACE.sub("", text)


def add_code(parent: Element, tag: str, code: Code | None) -> Element:
    if code is None or not code.code:
        made = add(parent, tag, nullFlavor="UNK")
        if code is not None and code.display:
            add(made, "originalText", code.display)
        return made
    return add(
        parent,
        tag,
        code=code.code,
        codeSystem=code.system,
        codeSystemName=_SYSTEMS.get(code.system, ""),
        displayName=code.display,
    )


def add_id(parent: Element, tag: str, whole: str) -> Element:
    """`root` or `root^extension`."""
    root, _, extension = whole.partition("^")
    return add(parent, tag, root=root, extension=extension) if root else add(parent, tag, nullFlavor="UNK")


def add_time(parent: Element, tag: str, iso: str) -> Element:
    value = hl7_of(iso)
    return add(parent, tag, value=value) if value else add(parent, tag, nullFlavor="UNK")


def document(header: Header, templates: tuple[str, ...]) -> Element:
    """The root with everything before `component`. `templates` stands when the header names none."""
    root = ElementTree.Element("ClinicalDocument", {"xmlns": names.HL7, "xmlns:xsi": names.XSI})
    add(root, "realmCode", code="FR")
    add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    for template in header.templates or templates:
        add_id(root, "templateId", template)
    add_id(root, "id", header.id)
    add_code(root, "code", header.type)
    add(root, "title", header.title)
    add_time(root, "effectiveTime", header.at)
    add_code(root, "confidentialityCode", _confidentiality(header.confidentiality))
    add(root, "languageCode", code=header.language or "fr-FR")
    if header.set_id:
        add_id(root, "setId", header.set_id)
        add(root, "versionNumber", value=str(max(header.version, 1)))
    _patient(root, header)
    for author in header.authors:
        _author(root, author, header.at)
    _custodian(root, header)
    _authenticator(root, header)
    _event(root, header)
    for replaced in header.replaces:
        add_id(add(add(root, "relatedDocument", typeCode="RPLC"), "parentDocument"), "id", replaced)
    _encounter(root, header)
    return root


def octets(root: Element) -> bytes:
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _confidentiality(code: Code) -> Code:
    if not code.code:
        return Code("N", names.CONFIDENTIALITY, _WORDS["N"])
    standard = code.code in _WORDS
    system = code.system or (names.CONFIDENTIALITY if standard else names.MASKING)
    return Code(code.code, system, code.display or _WORDS.get(code.code, code.code))


def _patient(root: Element, header: Header) -> None:
    role = add(add(root, "recordTarget"), "patientRole", classCode="PAT")
    for one in header.patient_ids:
        _patient_id(role, one)
    if not header.patient_ids:
        add(role, "id", nullFlavor="UNK")
    add(role, "addr", nullFlavor="NASK")
    add(role, "telecom", nullFlavor="NASK")
    patient = add(role, "patient", classCode="PSN", determinerCode="INSTANCE")
    traits = header.traits
    name = add(patient, "name")
    add(name, "family", traits.family_name, qualifier="BR")
    if traits.given_name:
        add(name, "given", traits.given_name)
        add(name, "given", traits.given_name, qualifier="BR")
    gender = {"M": "Masculin", "F": "Féminin"}.get(traits.sex)
    if gender:
        add(
            patient,
            "administrativeGenderCode",
            code=traits.sex,
            displayName=gender,
            codeSystem="2.16.840.1.113883.5.1",
        )
    else:
        add(patient, "administrativeGenderCode", nullFlavor="UNK")
    add_time(patient, "birthTime", traits.birth_date)
    if traits.birth_place:
        place = add(add(patient, "birthplace"), "place")
        add(add(place, "addr"), "county", traits.birth_place)


def _patient_id(role: Element, one: PatientId) -> None:
    add(role, "id", root=one.root, extension=one.extension)


def _author(root: Element, author: Author, at: str) -> None:
    made = add(root, "author", typeCode="AUT")
    if author.role:
        add(
            made,
            "functionCode",
            code=author.role,
            displayName=author.role,
            codeSystem="2.16.840.1.113883.5.88",
        )
    add_time(made, "time", at)
    _assigned(add(made, "assignedAuthor", classCode="ASSIGNED"), author, "assignedPerson")


def _assigned(entity: Element, author: Author, person: str) -> None:
    """Id, code, address, telephone, person and organisation of an assigned role: one order for all of them."""
    if author.identifier:
        add(entity, "id", root=names.PROFESSIONAL, extension=author.identifier)
    else:
        add(entity, "id", nullFlavor="UNK")
    if author.specialty is not None:
        add_code(entity, "code", author.specialty)
    add(entity, "addr", nullFlavor="NASK")
    add(entity, "telecom", nullFlavor="NASK")
    if author.family_name or author.given_name:
        name = add(add(entity, person), "name")
        add(name, "family", author.family_name)
        if author.given_name:
            add(name, "given", author.given_name)
    if author.organisation or author.organisation_id:
        tag = "representedOrganization"
        organisation = add(entity, tag)
        if author.organisation_id:
            add(organisation, "id", root=names.STRUCTURE, extension=author.organisation_id)
        add(organisation, "name", author.organisation)


def _custodian(root: Element, header: Header) -> None:
    first = header.authors[0] if header.authors else Author()
    name = header.custodian or first.organisation
    identifier = header.custodian_id or first.organisation_id
    held = add(add(root, "custodian"), "assignedCustodian")
    organisation = add(held, "representedCustodianOrganization")
    if identifier:
        add(organisation, "id", root=names.STRUCTURE, extension=identifier)
    else:
        add(organisation, "id", nullFlavor="UNK")
    add(organisation, "name", name)


def _authenticator(root: Element, header: Header) -> None:
    who = header.legal_authenticator or (header.authors[0] if header.authors else None)
    if who is None:
        return
    made = add(root, "legalAuthenticator")
    add_time(made, "time", header.at)
    add(made, "signatureCode", code="S")
    _assigned(add(made, "assignedEntity"), who, "assignedPerson")


def _event(root: Element, header: Header) -> None:
    event = add(add(root, "documentationOf"), "serviceEvent")
    if header.prescription:
        add(event, "id", root=names.PRESCRIPTION, extension=header.prescription)
    add_code(event, "code", header.type)
    when = add(event, "effectiveTime")
    add_time(when, "low", header.service_start or header.at)
    if header.service_stop:
        add_time(when, "high", header.service_stop)
    performer = add(event, "performer", typeCode="PRF")
    who = header.legal_authenticator or (header.authors[0] if header.authors else Author())
    entity = add(performer, "assignedEntity")
    _assigned(entity, who, "assignedPerson")
    if header.setting is not None:
        found = entity.find("representedOrganization")
        organisation = found if found is not None else add(entity, "representedOrganization")
        add_code(organisation, "standardIndustryClassCode", header.setting)


def _encounter(root: Element, header: Header) -> None:
    encounter = add(add(root, "componentOf"), "encompassingEncounter")
    when = add(encounter, "effectiveTime")
    add_time(when, "low", header.service_start or header.at)
    if header.service_stop:
        add_time(when, "high", header.service_stop)
    facility = add(add(encounter, "location"), "healthCareFacility")
    add_code(facility, "code", header.facility)
