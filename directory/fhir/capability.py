"""The CapabilityStatement: what can be asked here, made from the tables that the questions are read with."""

from __future__ import annotations

from typing import Any

from directory.fhir.codes import MEDIA_TYPE, ROOT
from directory.fhir.dates import instant
from directory.fhir.entries import Type
from directory.fhir.parameters import INCLUDES, PARAMETERS, REVINCLUDES

PUBLISHED_ON = frozenset({Type.PRACTITIONER, Type.ROLE, Type.ORGANIZATION})
"""Resources that carry mailboxes which other operators publish."""

_PROFILES = {
    Type.PRACTITIONER: "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-practitioner",
    Type.ROLE: "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-practitionerrole",
    Type.ORGANIZATION: "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-organization",
}
_SINCE = 1_795_000_000_000  # when what stands here last changed


def capability_statement(base: str) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(_SINCE),
        "kind": "instance",
        "software": {"name": "Vaguemestre"},
        "implementation": {
            "description": "Professionals, organisations and their secure health mailboxes",
            "url": f"{base}{ROOT}",
        },
        "fhirVersion": "4.0.1",
        "format": ["json", MEDIA_TYPE],
        "patchFormat": [MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "API key in the header ESANTE-API-KEY"},
                "resource": [_resource(type_) for type_ in Type],
            }
        ],
    }


def _resource(type_: Type) -> dict[str, Any]:
    published = type_ in PUBLISHED_ON
    interactions = ["read", "search-type", *(["patch"] if published else [])]
    told: dict[str, Any] = {
        "type": type_.value,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [
            {"name": name, "type": form.value} for name, form in PARAMETERS[type_].items() if "." not in name
        ],
    }
    if type_ in _PROFILES:
        told["supportedProfile"] = [_PROFILES[type_]]
    if included := INCLUDES[type_]:
        told["searchInclude"] = list(included)
    if included := REVINCLUDES[type_]:
        told["searchRevInclude"] = list(included)
    return told
