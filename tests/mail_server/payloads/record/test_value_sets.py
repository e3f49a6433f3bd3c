"""The national tables as data (row 54)."""

from __future__ import annotations

import json
import re

import pytest

from mail_server.payloads.record import value_sets
from mail_server.payloads.record.value_sets import TABLES, Table


@pytest.mark.parametrize("table", TABLES)
def test_every_table_tells_where_it_comes_from_and_of_what_day(table: Table) -> None:
    """Row 54: data with source and date."""
    found = value_sets.source(table)
    assert re.fullmatch(r"JDV_J\d\d-[A-Za-z-]+", found.name)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found.date)
    assert "Agence du Numérique en Santé" in found.source


def test_the_types_of_the_edition_in_force_are_there_with_their_french_words_and_a_class() -> None:
    """Row 54: 120 types and more, each with system, label and class."""
    types = value_sets.document_types()
    assert len(types) >= 115
    assert all(one.display and re.fullmatch(r"[0-9.]+", one.system) for one in types)
    assert all(value_sets.class_of(one.code).display for one in types)
    assert all(value_sets.label("document_types", one.code, "en") for one in types)


@pytest.mark.parametrize(
    ("code", "klass"),
    [
        ("11488-4", "10"),
        ("11502-2", "10"),
        ("34112-3", "10"),
        ("60591-5", "11"),
        ("SYNTH", "11"),
        ("18748-4", "31"),
        ("IMG-KOS", "31"),
        ("57833-6", "42"),
        *((f"PRESC-{one}", "42") for one in ("AAT", "BIO", "INF", "KINE", "ORTHOPHO", "ORTHOPTIE", "PEDI")),
        ("60593-1", "43"),
        ("PROT_ALD", "44"),
        ("80565-5", "45"),
        ("89601-9", "52"),
        ("REMB", "60"),
        *((f"DOCPAT0{number}", "90") for number in range(1, 10)),
        *((f"EXPPAT_{number}", "90") for number in (1, 2, 3)),
        ("56446-8", "95"),
    ],
)
def test_a_type_has_its_class(code: str, klass: str) -> None:
    """Row 54."""
    assert value_sets.document_type(code) is not None
    assert value_sets.class_of(code).code == klass


def test_34105_7_is_no_type_to_write_and_is_read_as_what_took_its_place() -> None:
    """Row 54: 34105-7 is refused, or mapped to 34112-3."""
    assert value_sets.document_type("34105-7") is None
    current = value_sets.current_type("34105-7")
    assert current is not None
    assert current.code == "34112-3"
    assert value_sets.label("document_types", "34105-7") == "CR hospitalier (séjour)"
    assert value_sets.class_of("34105-7").code == "10"


def test_a_code_that_no_table_has_is_none_and_its_class_that_of_other_documents() -> None:
    """Row 54: nothing is guessed."""
    look_ups = (
        value_sets.document_type,
        value_sets.current_type,
        value_sets.document_class,
        value_sets.format_code,
        value_sets.confidentiality,
        value_sets.setting,
        value_sets.facility,
        value_sets.content_type,
        value_sets.content_of_stay,
    )
    for look_up in look_ups:
        assert look_up("") is None
        assert look_up("nothing") is None
    assert value_sets.label("formats", "nothing") == ""
    assert value_sets.class_of("nothing").code == "90"


@pytest.mark.parametrize(
    ("table", "code", "label"),
    [
        ("formats", "urn:ihe:iti:xds-sd:pdf:2008", "Document à corps non structuré en Pdf/A-1"),
        (
            "formats",
            "urn:asip:ci-sis:ldl-ses:2017",
            "Lettre de Liaison à la sortie de l'établissement de santé",
        ),
        ("settings", "SAMU_SMUR", "SAMU/SMUR"),
        ("facilities", "SA01", "Etablissement public de santé"),
        ("facilities", "SA25", "Laboratoire de biologie médicale"),
        ("confidentiality", "MASQUE_PS", "Masqué aux professionnels de santé"),
        ("classes", "42", "Prescription"),
        ("contents", "03", "Hospitalisation complète"),
    ],
)
def test_known_codes_have_their_words(table: Table, code: str, label: str) -> None:
    """Row 54."""
    assert value_sets.label(table, code) == label


@pytest.mark.parametrize(("stay", "code"), [("I", "03"), ("O", "07"), ("R", "19"), ("N", "97"), ("E", "07")])
def test_a_stay_gives_the_content_of_its_submission(stay: str, code: str) -> None:
    found = value_sets.content_of_stay(stay)
    assert found is not None
    assert found.code == code


def test_no_code_stands_twice_in_a_table() -> None:
    for table in TABLES:
        told = json.loads(
            (value_sets.files("mail_server.payloads.record") / "value_sets" / f"{table}.json").read_text(
                "utf-8"
            )
        )
        codes = [one["code"] for one in told["concepts"]]
        assert len(codes) == len(set(codes))
