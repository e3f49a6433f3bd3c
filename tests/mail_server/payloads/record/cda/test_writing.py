"""What we write is read back as it was given, under the templates that others look for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail_server.payloads.record import xml
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import (
    Block,
    ClinicalEntry,
    EntryKind,
    Header,
    Result,
    Run,
    Section,
)
from mail_server.payloads.record.cda.reading import read
from mail_server.payloads.record.cda.writing import level1, level3
from mail_server.payloads.record.model import Author, Code, PatientId, Traits

DOCTOR = Author(
    "MARTIN", "Claire", "899700300018", "", Code("SM26", "1.2.3", "Généraliste"), "CHU", "1350000018"
)
HEADER = Header(
    id="1.2.250.1.999^7",
    set_id="1.2.250.1.999.1^7",
    version=3,
    type=Code("11490-0", names.LOINC, "Lettre de liaison"),
    title="Lettre",
    at="2026-11-20T08:30:00+01:00",
    confidentiality=Code("N", names.CONFIDENTIALITY, "Normal"),
    language="fr-FR",
    patient_ids=(PatientId("1.2.250.1.213.1.4.10", "250033523804225"),),
    traits=Traits("MORVAN", "JEANNE", "1950-03-12", "F", "35238"),
    authors=(DOCTOR, Author("DIALLO", "Aminata", "899700300059", "Interne")),
    custodian="CHU",
    custodian_id="1350000018",
    legal_authenticator=DOCTOR,
    service_start="2026-11-16",
    service_stop="2026-11-20T10:00:00Z",
    setting=Code("ETABLISSEMENT", names.SETTING, "Établissement"),
    facility=Code("SA01", names.FACILITY, "Hôpital public"),
    replaces=("1.2.250.1.999^6", "1.2.250.1.999.9"),
    templates=(names.FRANCE, names.CI_SIS, "1.2.3^2024.01"),
    prescription="26324ABCDE01",
)


def test_a_header_is_read_back_whole() -> None:
    assert read(level1(HEADER, b"%PDF-1.4", "application/pdf")).header == HEADER


def test_a_header_of_which_nothing_is_known_is_read_back_with_what_the_writer_must_say() -> None:
    bare = Header("1.2.3", "", 0, Code(""), "", "", Code(""), "", (), Traits(), ())
    made = read(level1(bare, b"x", "text/plain")).header
    normal = Code("N", names.CONFIDENTIALITY, "Normal")
    level_1 = (names.FRANCE, names.CI_SIS, names.XDS_SD)
    assert made == dataclasses.replace(bare, confidentiality=normal, language="fr-FR", templates=level_1)


@pytest.mark.parametrize(
    "kind", ["application/pdf", "image/jpeg", "image/tiff", "image/png", "text/plain", "text/rtf"]
)
def test_a_wrapped_file_comes_out_octet_for_octet(kind: str) -> None:
    body = bytes(range(256)) * 5
    document = read(level1(HEADER, body, kind))
    assert (document.level, document.body, document.body_type) == (1, body, kind)


def test_words_never_become_marks() -> None:
    hostile = '</paragraph><script>alert("1")</script> & ]]> \x00\x1f\ud800'
    blocks = (Block("paragraph", (Run(hostile),)),)
    document = read(level3(dataclasses.replace(HEADER, title=hostile), (Section("1", hostile, blocks),)))
    [run] = document.sections[0].blocks[0].runs
    assert run.text == document.header.title == '</paragraph><script>alert("1")</script> & ]]>'


@pytest.mark.parametrize(
    ("kind", "template"),
    [
        ("medication", names.MEDICATION),
        ("vaccination", names.IMMUNIZATION),
        ("allergy", names.ALLERGY),
        ("problem", names.PROBLEM),
        ("history", names.PROBLEM),
        ("procedure", names.PROCEDURE),
        ("family", names.FAMILY_OBSERVATION),
        ("risk", names.SOCIAL),
    ],
)
def test_an_entry_stands_under_the_template_of_its_kind(kind: EntryKind, template: str) -> None:
    root = xml.parse(level3(HEADER, (), (), (ClinicalEntry(kind, "Nom"),)))
    assert template in {one.get("root") for one in root.descendants("templateId")}


def test_laboratory_results_stand_in_their_chapter_and_earlier_ones_under_theirs() -> None:
    now = Result(
        "2345-7",
        "Glucose",
        "5.2",
        5.2,
        "mmol/L",
        3.9,
        5.8,
        "3.9 – 5.8",
        "N",
        "2026-11-19",
        "Sang",
        "Biochimie",
    )
    before = dataclasses.replace(
        now,
        value="6.4",
        number=6.4,
        low=None,
        high=None,
        reference="",
        flag="",
        at="2026-05-04",
        previous=True,
    )
    blood = Result(
        "718-7", "Hémoglobine", "12", 12.0, "g/dL", at="2026-11-19", specimen="Sang", group="Hématologie"
    )
    sections = (Section("18719-5", "Biochimie"), Section("18723-7", "Hématologie"))
    assert read(level3(HEADER, sections, (now, before, blood))).results == (now, before, blood)


words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), max_codepoint=0xFFFD),
    min_size=1,
    max_size=12,
)
days = st.sampled_from(["", "2026", "2026-02", "2026-11-20", "2026-11-20T08:30:00+01:00"])
kinds: st.SearchStrategy[EntryKind] = st.sampled_from(
    [
        "medication",
        "allergy",
        "problem",
        "history",
        "vaccination",
        "procedure",
        "device",
        "family",
        "risk",
        "wish",
    ]
)
codes = st.none() | st.builds(lambda code: Code(code, "1.2.3", ""), st.sampled_from(["A1", "Z-9"]))
entries = st.builds(
    lambda kind, name, code, start, detail, negated: ClinicalEntry(
        kind,
        name,
        code and Code(code.code, code.system, name),
        start=start,
        detail="" if detail == name else detail,
        negated=negated,
    ),
    kinds,
    words,
    codes,
    days,
    words | st.just(""),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(entries, max_size=4))
def test_entries_of_every_kind_are_read_back(given: list[ClinicalEntry]) -> None:
    found = read(level3(HEADER, (), (), given)).entries
    told = {(one.kind, one.name, one.start, one.detail, one.code) for one in found}
    for one in given:
        assert (one.kind, one.name, one.start, one.detail, one.code) in told
    assert len(found) == len(given)


def test_the_reader_of_a_letter_written_here_finds_its_two_versions() -> None:
    folder = Path(__file__).parents[4] / "webmail" / "vectors" / "cda"
    first, second = (
        read((folder / name).read_bytes()).header for name in ("sortie.xml", "sortie-corrigee.xml")
    )
    assert second.replaces == (first.id,)
    assert second.set_id == first.set_id
    assert (first.version, second.version) == (1, 2)
