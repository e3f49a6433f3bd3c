# ruff: noqa: E501  (marks and sentences of documents, as they are)
"""FHIR R4 documents of people who do not exist; some as foreign producers write them, some that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_XHTML: Final = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
_PATIENT: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "id": "jeanne",
    "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "250033523804241"}],
    "name": [
        {"use": "usual", "family": "LE BIHAN", "given": ["Jeanne"]},
        {"use": "official", "family": "MORVAN", "given": ["JEANNE", "MARIE"]},
    ],
    "gender": "female",
    "birthDate": "1950-03-12",
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
            "valueAddress": {
                "city": "RENNES",
                "extension": [
                    {
                        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code",
                        "valueCoding": {"code": "35238"},
                    }
                ],
            },
        }
    ],
}
_DOCTOR: Final = {
    "resourceType": "Practitioner",
    "id": "claire",
    "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899700300018"}],
    "name": [{"family": "MARTIN", "given": ["Claire"]}],
}
_ROLE: Final = {
    "resourceType": "PractitionerRole",
    "id": "role",
    "practitioner": {"reference": "Practitioner/claire"},
    "organization": {"reference": "Organization/cabinet"},
    "code": [{"text": "Médecin"}],
    "specialty": [
        {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.5", "code": "SM26", "display": "Généraliste"}]}
    ],
}
_OFFICE: Final = {
    "resourceType": "Organization",
    "id": "cabinet",
    "identifier": [{"value": "499700300018001"}],
    "name": "Cabinet des Tilleuls",
}


def _coded(system: str, code: str, words: str, text: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"coding": [{"system": system, "code": code, "display": words}]}
    return {**made, "text": text} if text else made


def _composition(
    n: str, kind: str, title: str, sections: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": "composition",
        "meta": {
            "versionId": "2",
            "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"],
        },
        "language": "fr-FR",
        "identifier": {"system": "urn:oid:1.2.250.1.999.4", "value": n},
        "status": "final",
        "type": _coded("http://loinc.org", kind, title),
        "subject": {"reference": "Patient/jeanne"},
        "date": "2026-10-05T09:30:00+02:00",
        "author": [{"reference": "PractitionerRole/role"}],
        "title": title,
        "confidentiality": "N",
        "attester": [{"mode": "legal", "party": {"reference": "Practitioner/claire"}}],
        "custodian": {"reference": "Organization/cabinet"},
        "event": [{"period": {"start": "2026-10-05"}}],
        "section": sections,
        **more,
    }


def _bundle(n: str, *resources: dict[str, Any], **more: Any) -> bytes:
    told = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.250.1.999.4.{n}"},
        "timestamp": "2026-10-05T09:30:00+02:00",
        "entry": [
            {"fullUrl": f"http://exemple.invalid/{one['resourceType']}/{one.get('id', '')}", "resource": one}
            for one in resources
        ],
        **more,
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode()


def _section(title: str, code: str, words: str, *entries: str) -> dict[str, Any]:
    return {
        "title": title,
        "code": _coded("http://loinc.org", code, title),
        "text": {"status": "generated", "div": _XHTML.format(words)},
        "entry": [{"reference": one} for one in entries],
    }


_WHO: Final = {"subject": {"reference": "Patient/jeanne"}}
_SOMEBODY: Final = (_PATIENT, _DOCTOR, _ROLE, _OFFICE)


def _summary() -> bytes:
    sections = [
        _section("Traitements", "10160-0", "<ul><li>Ramipril</li></ul>", "MedicationStatement/m1"),
        _section("Allergies", "48765-2", "<p>Latex <b>sévère</b></p>", "AllergyIntolerance/a1"),
        _section(
            "Problèmes",
            "11450-4",
            "<table><tr><th>Nom</th></tr><tr><td>HTA</td></tr></table>",
            "Condition/c1",
        ),
    ]
    return _bundle(
        "1",
        _composition("1", "60591-5", "Résumé patient international", sections),
        *_SOMEBODY,
        {
            "resourceType": "MedicationStatement",
            "id": "m1",
            "status": "active",
            "medicationReference": {"reference": "Medication/ramipril"},
            **_WHO,
            "effectivePeriod": {"start": "2009"},
            "dosage": [
                {
                    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN"]}},
                    "route": {"text": "Voie orale"},
                    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "{comprimé}"}}],
                }
            ],
        },
        {
            "resourceType": "Medication",
            "id": "ramipril",
            "code": _coded("http://www.whocc.no/atc", "C09AA05", "Ramipril"),
        },
        {
            "resourceType": "AllergyIntolerance",
            "id": "a1",
            "clinicalStatus": _coded(
                "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", ""
            ),
            "code": _coded("http://snomed.info/sct", "111088007", "Latex"),
            "patient": {"reference": "Patient/jeanne"},
            "onsetDateTime": "1974",
            "reaction": [{"manifestation": [{"text": "Choc"}, {"text": "Œdème"}], "severity": "severe"}],
        },
        {
            "resourceType": "Condition",
            "id": "c1",
            "clinicalStatus": _coded("x", "active", ""),
            "code": _coded("http://hl7.org/fhir/sid/icd-10", "I10", "Hypertension"),
            **_WHO,
            "onsetDateTime": "2009-05",
        },
        {
            "resourceType": "Condition",
            "id": "c2",
            "clinicalStatus": _coded("x", "resolved", ""),
            "code": {"text": "Cholécystite"},
            **_WHO,
            "onsetDateTime": "1999-06-01",
            "abatementDateTime": "1999-07-01",
        },
        {
            "resourceType": "Immunization",
            "id": "i1",
            "status": "completed",
            "vaccineCode": {"text": "REVAXIS"},
            "patient": {"reference": "Patient/jeanne"},
            "occurrenceDateTime": "2020-03-12",
            "lotNumber": "AB1234",
            "protocolApplied": [{"doseNumberPositiveInt": 3}],
        },
        {
            "resourceType": "Procedure",
            "id": "p1",
            "status": "completed",
            "code": _coded("urn:oid:1.2.250.1.213.2.5", "HHFA001", "Appendicectomie"),
            **_WHO,
            "performedDateTime": "1962",
            "note": [{"text": "par voie ouverte"}],
        },
        {"resourceType": "Device", "id": "d1", "type": {"text": "Stimulateur"}, "serialNumber": "000123"},
        {
            "resourceType": "DeviceUseStatement",
            "id": "u1",
            "status": "active",
            **_WHO,
            "device": {"reference": "Device/d1"},
            "timingDateTime": "2026-11-18",
        },
    )


def _laboratory() -> bytes:
    glucose = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "category": [_coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "")],
        "code": _coded("http://loinc.org", "2345-7", "Glucose"),
        **_WHO,
        "effectiveDateTime": "2026-10-05T07:40:00+02:00",
        "valueQuantity": {"value": 6.30, "unit": "mmol/L"},
        "referenceRange": [
            {"low": {"value": 3.9, "unit": "mmol/L"}, "high": {"value": 5.8, "unit": "mmol/L"}}
        ],
        "specimen": {"reference": "Specimen/s1"},
        "note": [{"text": "à jeun"}],
    }
    pressure = {
        "resourceType": "Observation",
        "id": "o2",
        "status": "final",
        "code": _coded("http://loinc.org", "85354-9", "Pression artérielle"),
        "effectiveDateTime": "2026-10-05",
        "component": [
            {
                "code": _coded("http://loinc.org", "8480-6", "Systolique"),
                "valueQuantity": {"value": 151, "unit": "mm[Hg]"},
            },
            {
                "code": _coded("http://loinc.org", "8462-4", "Diastolique"),
                "valueQuantity": {"value": 82, "unit": "mm[Hg]"},
            },
        ],
    }
    trace = {
        "resourceType": "Observation",
        "id": "o3",
        "status": "final",
        "code": _coded("http://loinc.org", "13969-1", "CK-MB"),
        "valueQuantity": {"value": 0.0000001, "comparator": "<", "unit": "ug/L"},
        "interpretation": [_coded("x", "L", "Bas")],
    }
    others = (
        {"resourceType": "Observation", "id": "o4", "code": {"text": "Aspect"}, "valueString": "limpide"},
        {"resourceType": "Observation", "id": "o5", "code": {"text": "Grossesse"}, "valueBoolean": False},
        {
            "resourceType": "Observation",
            "id": "o6",
            "code": {"text": "Titre"},
            "valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 80}},
        },
        {
            "resourceType": "Observation",
            "id": "o7",
            "status": "entered-in-error",
            "code": {"text": "Erreur"},
            "valueInteger": 4,
        },
        {
            "resourceType": "Observation",
            "id": "o8",
            "code": {"text": "Immense"},
            "valueQuantity": {"value": 1e300},
        },
    )
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "code": {"text": "Biochimie"},
        "result": [{"reference": "Observation/o1"}, {"reference": "Observation/o3"}],
    }
    specimen = {"resourceType": "Specimen", "id": "s1", "type": {"text": "Sérum"}}
    sections = [_section("Mesures", "8716-3", "<p>Mesures &amp; résultats&nbsp;:</p>", "Observation/o2")]
    composition = _composition("2", "11502-2", "Examens biologiques", sections)
    return _bundle("2", composition, *_SOMEBODY, glucose, pressure, trace, *others, report, specimen)


def _prescription() -> bytes:
    request = {
        "resourceType": "MedicationRequest",
        "id": "q1",
        "status": "active",
        "intent": "order",
        "groupIdentifier": {"system": "urn:oid:1.2.250.1.215.500.1.1", "value": "26278FHIR001"},
        "medicationCodeableConcept": {"text": "AMOXICILLINE 1 g"},
        **_WHO,
        "authoredOn": "2026-10-05",
        "dosageInstruction": [
            {
                "timing": {
                    "repeat": {
                        "boundsPeriod": {"start": "2026-10-05", "end": "2026-10-12"},
                        "frequency": 3,
                        "period": 1,
                        "periodUnit": "d",
                    }
                },
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "g"}}],
            },
            {"text": "à prendre pendant les repas"},
        ],
    }
    plan = {
        "resourceType": "ServiceRequest",
        "id": "k1",
        "status": "active",
        "intent": "order",
        **_WHO,
        "code": {"text": "Kinésithérapie"},
        "occurrenceDateTime": "2026-11-02",
    }
    visit = {
        "resourceType": "Appointment",
        "id": "v1",
        "status": "booked",
        "serviceType": [{"text": "Cardiologie"}],
        "start": "2026-12-18T08:30:00Z",
        "end": "2026-12-18T09:00:00Z",
        "participant": [{"actor": {"reference": "Patient/jeanne"}, "status": "accepted"}],
    }
    relates = {
        "relatesTo": [{"code": "replaces", "targetIdentifier": {"value": "urn:oid:1.2.250.1.999.4.2"}}]
    }
    composition = _composition(
        "3", "57833-6", "Ordonnance", [_section("Prescription", "57828-6", "<p>Amoxicilline</p>")], **relates
    )
    return _bundle("3", composition, *_SOMEBODY, request, plan, visit)


def _foreign() -> bytes:
    """Wrong shapes everywhere, marks in the words, a patient contained in the composition, half a character."""
    div = (
        "<h2>Titre</h2><p onclick='alert(1)'>Un <a href='javascript:alert(1)'>lien</a><script>alert(1)</script>"
        "<img src='data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==' alt='point'/></p>"
    )
    composition = _composition("4", "11488-4", "Document étranger", [_section("Texte", "x", div)])
    composition |= {
        "contained": [{**_PATIENT, "id": "p"}],
        "subject": {"reference": "#p"},
        "author": [{"display": "Dr Inconnu"}],
    }
    composition["section"] += [
        {"title": "Mal formé", "text": {"div": "<div><p>jamais fermé</div>"}},
        {"title": None, "code": "pas un objet", "text": "ni ceci", "section": [{"title": "Dedans DEMI"}]},
        "une section qui est un texte",
    ]
    odd = {
        "resourceType": "Condition",
        "id": 7,
        "code": [{"text": "Dans une liste"}],
        "onsetDateTime": "hier",
    }
    social = {
        "resourceType": "Observation",
        "category": [{"coding": [{"code": "social-history"}]}],
        "code": {"text": "Tabac"},
        "valueString": "sevré",
    }
    family = {
        "resourceType": "FamilyMemberHistory",
        "relationship": {"text": "Père"},
        "condition": [{"code": {"text": "Infarctus"}}],
    }
    wish = {
        "resourceType": "Consent",
        "status": "active",
        "category": [{"text": "Directives anticipées"}],
        "dateTime": "2026-05-05",
    }
    told = json.loads(_bundle("4", composition, odd, social, family, wish))
    told["entry"].append(None)
    told["entry"].append({"resource": "rien"})
    return json.dumps(told).replace("DEMI", "\\ud83d").encode()


def documents() -> Iterator[tuple[str, bytes]]:
    """Names and octets."""
    yield "fhir-resume", _summary()
    yield "fhir-biologie", _laboratory()
    yield "fhir-ordonnance", _prescription()
    yield "fhir-etranger", _foreign()
    other = {**_PATIENT, "id": "autre"}
    yield (
        "fhir-refuse-deux-patients",
        _bundle("5", _composition("5", "11488-4", "Deux", []), *_SOMEBODY, other),
    )
    yield "fhir-refuse-sans-composition", _bundle("6", _PATIENT, _DOCTOR)
    yield "fhir-refuse-collection", _bundle("7", _composition("7", "11488-4", "Liste", []), type="collection")
    yield "fhir-refuse-coupe", _bundle("8", _composition("8", "11488-4", "Coupé", []))[:-30]
    nobody = _composition(
        "9", "11488-4", "Sans patient", [_section("Texte", "x", "<p>Un résumé sans personne.</p>")]
    )
    yield "fhir-sans-patient", _bundle("9", nobody, _DOCTOR)
    yield "fhir-vide", _bundle("10", _composition("10", "60591-5", "Rien", []), *_SOMEBODY)
