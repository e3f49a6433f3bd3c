"""FHIR documents: what is said of their resources, one kind after the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mail_server.payloads.record import fhir
from mail_server.payloads.record.cda.model import ClinicalEntry, Result


def document(*resources: dict[str, Any], **composition: Any) -> fhir.Document:
    held = [{"resourceType": "Composition", **composition}, *resources]
    entries = [{"resource": one} for one in held]
    return fhir.read(json.dumps({"resourceType": "Bundle", "type": "document", "entry": entries}).encode())


def entry(**resource: Any) -> ClinicalEntry:
    [found] = document(resource).entries
    return found


def result(**observation: Any) -> Result:
    [found] = document({"resourceType": "Observation", "code": {"text": "Analyse"}, **observation}).results
    return found


def test_a_dosage_is_told_in_words() -> None:
    repeat = {"frequency": 2, "period": 1, "periodUnit": "d", "when": ["MORN", "HS"]}
    dosage = {"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": {"value": 500, "unit": "mg"}}]}
    found = entry(
        resourceType="MedicationStatement", medicationCodeableConcept={"text": "METFORMINE"}, dosage=[dosage]
    )
    assert found.detail == "500 mg, 2 fois par jour, le matin, au coucher"


def test_a_prescription_s_number_is_told_by_its_system() -> None:
    group = {"system": "urn:oid:1.2.250.1.215.500.1.1", "value": "26278"}
    request = {"resourceType": "MedicationRequest", "groupIdentifier": group}
    assert document(request).header.prescription == "26278"


def test_nothing_known_is_said_as_such() -> None:
    coding = [{"system": "http://snomed.info/sct", "code": "716186003", "display": "Aucune allergie connue"}]
    assert entry(resourceType="AllergyIntolerance", code={"coding": coding}).negated


def test_a_vaccine_that_was_not_given_is_said_as_such() -> None:
    found = entry(resourceType="Immunization", status="not-done", vaccineCode={"text": "VHB"})
    assert (found.kind, found.negated) == ("vaccination", True)


def test_what_was_entered_in_error_is_left_out() -> None:
    made = document(
        {"resourceType": "Procedure", "status": "entered-in-error", "code": {"text": "Acte"}},
        {
            "resourceType": "Observation",
            "status": "entered-in-error",
            "code": {"text": "A"},
            "valueInteger": 1,
        },
    )
    assert (made.entries, made.results) == ((), ())


def test_a_value_beyond_its_bounds_is_flagged_when_the_unit_is_theirs() -> None:
    bounds = [{"high": {"value": 5, "unit": "mmol/L"}}]
    assert result(valueQuantity={"value": 6, "unit": "mmol/L"}, referenceRange=bounds).flag == "H"
    assert result(valueQuantity={"value": 6, "unit": "g/L"}, referenceRange=bounds).flag == ""


def test_a_value_below_what_can_be_measured_is_no_number() -> None:
    found = result(valueQuantity={"value": 0.5, "comparator": "<", "unit": "ug/L"})
    assert (found.value, found.number, found.unit) == ("< 0.5", None, "ug/L")


def test_marks_in_a_section_become_blocks_and_scripts_nothing() -> None:
    div = "<div xmlns='http://www.w3.org/1999/xhtml'><p>Un <b>mot</b></p><script>x</script></div>"
    [section] = document(section=[{"title": "Titre", "text": {"div": div}}]).sections
    assert [(run.text, run.style) for block in section.blocks for run in block.runs] == [
        ("Un ", ""),
        ("mot", "bold"),
    ]


@pytest.mark.parametrize(
    "wrong", [b"", b"[]", b"{", b'{"resourceType":"Bundle","type":"searchset"}', b"NaN", b"[" * 9000]
)
def test_what_is_no_document_is_refused(wrong: bytes) -> None:
    with pytest.raises(fhir.RecordRefused):
        fhir.read(wrong)
