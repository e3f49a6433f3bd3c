"""What is sent to the national directory: conditional FHIRPath PATCH (ANS, API MSSanté 0.1.0; FHIR R4 §3.1.0.7).

A mailbox is one `telecom` of the resource that carries it, found by its holder's national identifier.

Invariants: pure; an address stands in a FHIRPath as a string and cannot end it; `address` and `type` are never changed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from directory.publication.client.states import PRACTITIONER, Entry, Step

MEDIA_TYPE = "application/fhir+json"
PERSON_SYSTEM = "urn:oid:1.2.250.1.71.4.2.1"  # idNat_PS
STRUCTURE_SYSTEM = "urn:oid:1.2.250.1.71.4.2.2"  # idNat_Struct
_EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
_EMAIL_TYPE_SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
_METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"


def target(entry: Entry) -> str:
    """Below the directory's address."""
    system = PERSON_SYSTEM if entry.carrier == PRACTITIONER else STRUCTURE_SYSTEM
    return f"{entry.carrier}?identifier={quote(system, safe='')}%7C{quote(entry.holder, safe='')}"


def parameters(step: Step, entry: Entry) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": step.value}]
    if step is Step.INSERT:
        parts.append({"name": "path", "valueString": f"{entry.carrier}.telecom"})
        parts.append({"name": "index", "valueInteger": 0})
    else:
        parts.append(
            {"name": "path", "valueString": f"{entry.carrier}.telecom.where(value = {_text(entry.address)})"}
        )
    if step is not Step.DELETE:
        parts.append({"name": "value", "valueContactPoint": contact_point(entry)})
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def contact_point(entry: Entry) -> dict[str, Any]:
    told: list[dict[str, Any]] = [{"url": "type", "valueCode": entry.kind.value}]
    for name, text in (
        ("description", entry.description),
        ("service", entry.service),
        ("responsible", entry.responsible),
    ):
        if text:
            told.append({"url": name, "valueString": text})
    told += [{"url": "idPP", "valueString": one} for one in entry.co_holders]
    told.append({"url": "digitization", "valueBoolean": entry.digitization})
    told.append({"url": "listeRouge", "valueBoolean": entry.red_list})
    mssante = {"coding": [{"system": _EMAIL_TYPE_SYSTEM, "code": "MSSANTE"}]}
    return {
        "extension": [
            {"url": _EMAIL_TYPE, "valueCodeableConcept": mssante},
            {"url": _METADATA, "extension": told},
        ],
        "system": "email",
        "value": entry.address,
        "rank": entry.rank,
    }


def _text(value: str) -> str:
    """A FHIRPath string (FHIRPath N1 §4.1.2)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
