"""Entries as FHIR R4 resources: plain dicts, as they go out.

Shapes and codes are those of the national directory (reference/mssante.md §5.1): a mailbox is a `telecom` with two
extensions, its kind spelled one way (R257, CodeableConcept).

Invariants: `responsible`, `phone` and what is on the red list are in no resource; `meta.versionId` changes whenever
anything shown changes, and with nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from directory.fhir import codes
from directory.fhir.dates import instant
from directory.fhir.entries import Entry, Person, Role, Service, Structure
from directory.fhir.locators import Locators
from directory.fhir.predicates import organisation_identifiers, professional_identifiers
from directory.model import Coded, Mailbox, Organisation, Place, Professional

Resource = dict[str, Any]

_ALWAYS = frozenset({"resourceType", "id", "meta"})


class Resources:
    def __init__(self, locators: Locators) -> None:
        self._locators = locators

    def id(self, entry: Entry) -> str:
        return self._locators.id(entry.locator)

    def of(self, entry: Entry, elements: frozenset[str] = frozenset()) -> Resource:
        match entry:
            case Person():
                body = _person(entry)
            case Role():
                body = self._role(entry)
            case Structure():
                body = _structure(entry)
            case Service():
                body = self._service(entry)
        body = _filled(body)
        meta = {"versionId": _version(body), "lastUpdated": instant(entry.updated_at)}
        resource = {"resourceType": entry.type.value, "id": self.id(entry), "meta": meta, **body}
        return _subset(resource, elements) if elements else resource

    def _role(self, role: Role) -> Resource:
        professional = role.person.professional
        told = [(codes.PROFESSION, professional.profession), (codes.CATEGORY, professional.category)]
        address = _address(role.place)
        return {
            "contained": [_filled({"resourceType": "Location", "id": "place", "address": address})]
            if address
            else [],
            "active": True,
            "practitioner": self._reference(role.person, _name(professional)),
            "organization": self._reference(Structure(Organisation(role.organisation_id)), role.organisation)
            if role.organisation_id
            else {},
            "code": _concepts([*told, *((codes.MODE, one) for one in role.modes)]),
            "specialty": _concepts((codes.SPECIALITY, one) for one in role.specialities),
            "location": [{"reference": "#place"}] if address else [],
            "telecom": [telecom(one) for one in role.mailboxes],
        }

    def _service(self, service: Service) -> Resource:
        organisation = service.structure.organisation
        return {
            "active": True,
            "providedBy": self._reference(service.structure, organisation.brand or organisation.name),
            "name": service.name,
            "telecom": [telecom(one) for one in service.mailboxes],
        }

    def _reference(self, entry: Entry, display: str) -> Resource:
        return _filled({"reference": f"{entry.type}/{self.id(entry)}", "display": display})


def _person(person: Person) -> Resource:
    professional = person.professional
    told = [(codes.PROFESSION, professional.profession)]
    told += [(codes.SPECIALITY, one) for one in person.specialities]
    return {
        "identifier": _identifiers(professional_identifiers(professional)),
        "active": True,
        "name": [
            _filled(
                {
                    "use": "official",
                    "text": _name(professional),
                    "family": professional.family,
                    "given": [professional.given] if professional.given else [],
                    "prefix": [professional.title] if professional.title else [],
                }
            )
        ],
        "telecom": [telecom(one) for one in person.mailboxes],
        "qualification": [{"code": one} for one in _concepts(told)],
    }


def _structure(structure: Structure) -> Resource:
    organisation = structure.organisation
    name = organisation.name or organisation.brand
    address = _address(organisation.place)
    return {
        "identifier": _identifiers(organisation_identifiers(organisation)),
        "active": True,
        "name": name,
        "alias": [organisation.brand] if organisation.brand not in ("", name) else [],
        "telecom": [telecom(one) for one in structure.mailboxes],
        "address": [address] if address else [],
    }


def telecom(mailbox: Mailbox) -> Resource:
    kind = {"coding": [{"system": codes.MAILBOX_KIND, "code": mailbox.kind.value}]}
    metadata: list[Resource] = [{"url": "type", "valueCodeableConcept": kind}]
    if mailbox.description:
        metadata.append({"url": "description", "valueString": mailbox.description})
    if mailbox.service:
        metadata.append({"url": "service", "valueString": mailbox.service})
    metadata.append({"url": "digitization", "valueBoolean": mailbox.digitization})
    metadata.append({"url": "listeRouge", "valueBoolean": False})
    return {
        "extension": [
            {
                "url": codes.EMAIL_TYPE,
                "valueCoding": {"system": codes.MAIL_SERVICE, "code": codes.MSSANTE},
            },
            {"url": codes.METADATA, "extension": metadata},
        ],
        "system": "email",
        "value": mailbox.address,
        "rank": max(1, mailbox.rank),
    }


# ---------------------------------------------------------------------------------------------------- parts


def _identifiers(held: Iterable[tuple[str, str, str]]) -> list[Resource]:
    return [
        {
            **({"use": "official"} if position == 0 else {}),
            "type": {"coding": [{"system": codes.IDENTIFIER_TYPE, "code": kind}]},
            "system": system,
            "value": value,
        }
        for position, (system, kind, value) in enumerate(held)
    ]


def _concepts(told: Iterable[tuple[str, Coded]]) -> list[Resource]:
    made: list[Resource] = []
    for system, one in told:
        if one.code:
            made.append({"coding": [_filled({"system": system, "code": one.code, "display": one.label})]})
        elif one.label:
            made.append({"text": one.label})
    return made


def _address(place: Place) -> Resource:
    lines = [place.recipient_line, place.building_line, place.street, place.locality_line]
    insee = {"url": codes.INSEE_CODE, "valueCoding": {"system": codes.COMMUNE, "code": place.commune_code}}
    return _filled(
        {
            "extension": [insee] if place.commune_code else [],
            "text": place.routing_line,
            "line": [one for one in lines if one],
            "city": place.commune,
            "district": place.department,
            "postalCode": place.postcode,
            "country": place.country,
        }
    )


def _name(professional: Professional) -> str:
    return " ".join(filter(None, (professional.title, professional.given, professional.family)))


def _filled(body: Resource) -> Resource:
    """FHIR has no empty element."""
    return {name: value for name, value in body.items() if value not in ("", [], {}, None)}


def _version(body: Resource) -> str:
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _subset(resource: Resource, elements: frozenset[str]) -> Resource:
    kept = {name: value for name, value in resource.items() if name in elements or name in _ALWAYS}
    tag = {"system": codes.SUBSETTED, "code": "SUBSETTED"}
    kept["meta"] = {**resource["meta"], "tag": [tag]}
    return kept


def of_domains(resource: Resource, domains: Collection[str]) -> Resource:
    """With the mailboxes of these domains alone, marked as a part of it (FHIR R4 §3.1.1.5.8)."""
    own = [one for one in resource.get("telecom", []) if one["value"].rpartition("@")[2].lower() in domains]
    tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    left = {name: value for name, value in resource.items() if name != "telecom"}
    return left | {"meta": resource["meta"] | {"tag": [tag]}} | ({"telecom": own} if own else {})


def etag(resource: Resource) -> str:
    return f'W/"{resource["meta"]["versionId"]}"'


def bundle_entries(base: str, matches: Sequence[Resource], included: Sequence[Resource]) -> list[Resource]:
    return [
        {
            "fullUrl": f"{base}{codes.ROOT}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": mode},
        }
        for mode, resources in (("match", matches), ("include", included))
        for resource in resources
    ]
