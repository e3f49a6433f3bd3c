"""The header of a CDA document: who, about whom, when, in what care. The page's twin is `cda_header.ts`.

Invariants: a header that says less is read for what it says; two patients are refused, whoever they are.
"""

from __future__ import annotations

from typing import Final

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import ClinicalEntry, Header
from mail_server.payloads.record.cda.values import Narrative, code_of, cut, period, plain
from mail_server.payloads.record.model import Author, Code, PatientId, Traits
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from mail_server.payloads.record.xml import ANY, Element

_MANY: Final = 50  # of anything that a header repeats
_NOTHING: Final = Code("")
_CONTACTS: Final = {
    "ECON": "Personne à prévenir",
    "NOK": "Proche",
    "CAREGIVER": "Aidant",
    "GUARD": "Représentant légal",
}


def header_of(root: Element, narrative: Narrative) -> Header:
    role = _one_patient(root)
    kind = code_of(root.child("code"), narrative) or _NOTHING
    event = root.child("documentationOf", "serviceEvent")
    start, stop = period(None if event is None else event.child("effectiveTime"))
    custodian = root.child("custodian", "assignedCustodian", "representedCustodianOrganization")
    authenticator = root.child("legalAuthenticator", "assignedEntity")
    return Header(
        id=identifier(root.child("id")),
        set_id=identifier(root.child("setId")),
        version=_version(root.child("versionNumber")),
        type=kind,
        title=_text(root.child("title")) or kind.display,
        at=_time(root.child("effectiveTime")),
        confidentiality=code_of(root.child("confidentialityCode"), narrative) or _NOTHING,
        language=_code(root.child("languageCode")),
        patient_ids=() if role is None else _patient_ids(role),
        traits=Traits() if role is None else _traits(role.child("patient")),
        authors=tuple(_author(one, "assignedAuthor", narrative) for one in root.elements("author")[:_MANY]),
        custodian=_text(None if custodian is None else custodian.child("name")),
        custodian_id=_extension(None if custodian is None else custodian.child("id")),
        legal_authenticator=None if authenticator is None else _assigned(authenticator, "", narrative),
        service_start=start,
        service_stop=stop,
        setting=_setting(root, narrative),
        facility=code_of(
            root.child("componentOf", "encompassingEncounter", "location", "healthCareFacility", "code"),
            narrative,
        ),
        replaces=_replaced(root),
        templates=tuple(identifier(one) for one in root.elements("templateId")[:_MANY] if identifier(one)),
        prescription=_prescription(root),
    )


def marks_of(root: Element) -> list[str]:
    """Codes of confidentiality wherever a document bears them: beside its own, in translations, on a section. Who
    carries it must not overlook one that stands where few look."""
    return [
        cut(one.get("code"))
        for told in root.descendants("confidentialityCode", ANY)
        for one in (told, *told.descendants(ns=ANY))
        if one.get("code")
    ]


def identifier(element: Element | None) -> str:
    """`root`, or `root^extension`."""
    if element is None:
        return ""
    root, extension = cut(element.get("root")), cut(element.get("extension"))
    return f"{root}^{extension}" if root and extension else root or extension


def contacts_of(root: Element, narrative: Narrative) -> list[ClinicalEntry]:
    """Whom to call: participants of the header."""
    found: list[ClinicalEntry] = []
    for one in root.elements("participant")[:_MANY]:
        entity = one.child("associatedEntity")
        label = "" if entity is None else _CONTACTS.get(entity.get("classCode"), "")
        if entity is None or not label:
            continue
        family, given = _person(entity.child("associatedPerson"))
        name = f"{given} {family}".strip(" ")
        relation = narrative.name_of(entity.child("code")) or label
        phone = entity.child("telecom")
        number = "" if phone is None else cut(phone.get("value")).removeprefix("tel:")
        if name:
            detail = ", ".join(part for part in (relation, number) if part)
            found.append(ClinicalEntry("contact", name, detail=detail))
    return found


def _one_patient(root: Element) -> Element | None:
    roles = [one for target in root.elements("recordTarget") for one in target.elements("patientRole")]
    if len(roles) > 1:
        raise RecordRefused(AnsCode.INS_MISMATCH, "cda-two-patients", "A document is about two patients")
    return roles[0] if roles else None


def _patient_ids(role: Element) -> tuple[PatientId, ...]:
    return tuple(
        PatientId(cut(one.get("root")), cut(one.get("extension")))
        for one in role.elements("id")[:_MANY]
        if one.get("extension")
    )


def _traits(patient: Element | None) -> Traits:
    if patient is None:
        return Traits()
    name = patient.child("name")
    place = patient.child("birthplace", "place", "addr")
    county = None if place is None else place.child("county") or place.child("city")
    sex = _code(patient.child("administrativeGenderCode")).upper()
    return Traits(
        family_name=_part(name, "family"),
        given_name=_part(name, "given"),
        birth_date=_time(patient.child("birthTime"))[:10],
        sex=sex if sex in ("M", "F") else "",
        birth_place=_text(county),
    )


def _part(name: Element | None, tag: str) -> str:
    """The name at birth (`BR`) before one without a qualifier, before any other."""
    found = [] if name is None else name.elements(tag)
    for wanted in ("BR", ""):
        for one in found:
            if wanted in one.get("qualifier").split(" ") and _text(one):
                return _text(one)
    return _text(found[0]) if found else ""


def _author(author: Element, tag: str, narrative: Narrative) -> Author:
    entity = author.child(tag)
    function = author.child("functionCode")
    role = "" if function is None else narrative.name_of(function)
    return Author(role=role) if entity is None else _assigned(entity, role, narrative)


def _assigned(entity: Element, role: str, narrative: Narrative) -> Author:
    family, given = _person(entity.child("assignedPerson"))
    device = entity.child("assignedAuthoringDevice")
    if device is not None and not family:
        family = _text(device.child("softwareName")) or _text(device.child("manufacturerModelName"))
    organisation = entity.child("representedOrganization")
    ids = entity.elements("id")
    national = [one for one in ids if one.get("root") == names.PROFESSIONAL]
    return Author(
        family_name=family,
        given_name=given,
        identifier=_extension((national or ids or [None])[0]),
        role=role,
        specialty=code_of(entity.child("code"), narrative),
        organisation=_text(None if organisation is None else organisation.child("name")),
        organisation_id=_extension(None if organisation is None else organisation.child("id")),
    )


def _person(person: Element | None) -> tuple[str, str]:
    name = None if person is None else person.child("name")
    if name is None:
        return "", ""
    family, given = _part(name, "family"), _part(name, "given")
    return (family, given) if family or given else (_text(name), "")


def _setting(root: Element, narrative: Narrative) -> Code | None:
    for documented in root.elements("documentationOf")[:_MANY]:
        coded = documented.child(
            "serviceEvent",
            "performer",
            "assignedEntity",
            "representedOrganization",
            "standardIndustryClassCode",
        )
        if coded is not None:
            return code_of(coded, narrative)
    return None


def _replaced(root: Element) -> tuple[str, ...]:
    parents = [
        one.child("parentDocument", "id")
        for one in root.elements("relatedDocument")[:_MANY]
        if one.get("typeCode") == "RPLC"
    ]
    return tuple(identifier(one) for one in parents if identifier(one))


def _prescription(root: Element) -> str:
    """Of the event documented, of the document itself (biology), or of the prescription that was dispensed."""
    held = [one.child("serviceEvent", "id") for one in root.elements("documentationOf")[:_MANY]]
    held += [root.child("id")]
    held += [one.child("order", "id") for one in root.elements("inFulfillmentOf")[:_MANY]]
    numbers = [
        cut(one.get("extension")) for one in held if one is not None and one.get("root") == names.PRESCRIPTION
    ]
    return numbers[0] if numbers else ""


def _version(element: Element | None) -> int:
    told = "" if element is None else element.get("value")
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 6 else 0


def _extension(element: Element | None) -> str:
    return "" if element is None else cut(element.get("extension")) or cut(element.get("root"))


def _time(element: Element | None) -> str:
    return period(element)[0]


def _code(element: Element | None) -> str:
    return "" if element is None else cut(element.get("code"))


def _text(element: Element | None) -> str:
    return "" if element is None else plain(element)
