"""Subjects, X-MSS-* fields and names of PDFs (rows 45, 46, 48, 50)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.payloads.record import mss_fields
from mail_server.payloads.record.model import Code, PatientId, Traits
from mail_server.payloads.record.mss_fields import Subject
from mail_server.payloads.record.refusal import AnsCode
from tests.mail_server.payloads.record.archives import JEANNE, TRAITS, archive, entry

# -- X-MSS-*


def test_a_letter_with_cda_names_the_product_the_codes_and_the_ins() -> None:
    """Rows 45, 46: X-MSS-NIL on every letter, X-MSS-CODECDA and X-MSS-INS with CDA."""
    codes = [Code("34112-3"), Code("PRESC-BIO"), Code("34112-3")]
    several = archive(*[entry(number, type=code) for number, code in enumerate(codes, 1)])
    assert mss_fields.header_values(several, "DEV935997") == [
        ("X-MSS-NIL", "DEV935997"),
        ("X-MSS-CODECDA", "34112-3,PRESC-BIO"),
        ("X-MSS-INS", "O"),
    ]


def test_a_letter_without_cda_names_the_product_alone() -> None:
    """Row 46: X-MSS-INS is absent without CDA."""
    assert mss_fields.header_values(None, "DEV935997") == [("X-MSS-NIL", "DEV935997")]
    images = archive(entry(mime_type="application/pdf"))
    assert mss_fields.header_values(images, "DEV935997") == [("X-MSS-NIL", "DEV935997")]


@pytest.mark.parametrize(
    ("patient", "traits"),
    [
        (PatientId("1.2.250.1.213.1.4.9", JEANNE.extension), TRAITS),
        (PatientId("1.2.250.1.213.1.4.10", JEANNE.extension), TRAITS),
        (PatientId("1.2.250.1.213.1.4.11", JEANNE.extension), TRAITS),
        (PatientId("1.2.250.1.999.2", "IPP-0042"), TRAITS),
        (None, TRAITS),
        (JEANNE, replace(TRAITS, family_name="")),
        (JEANNE, replace(TRAITS, given_name="")),
        (JEANNE, replace(TRAITS, birth_date="")),
        (JEANNE, replace(TRAITS, sex="")),
    ],
    ids=[
        "NIA",
        "test",
        "demonstration",
        "own number",
        "none",
        "no name",
        "no given name",
        "no birth date",
        "no sex",
    ],
)
def test_an_identity_that_is_no_qualified_ins_is_never_said_to_be_one(
    patient: PatientId | None, traits: Traits
) -> None:
    """Row 46: O only with the OID of the NIR and the four traits."""
    assert not mss_fields.qualified(patient, traits)
    told = mss_fields.header_values(archive(entry(patient_id=patient, traits=traits)), "X")
    assert ("X-MSS-INS", "N") in told


def test_a_matricule_as_nir_with_four_traits_is_qualified_wherever_the_person_was_born() -> None:
    """Row 46: the place of birth is not among the four."""
    assert mss_fields.qualified(JEANNE, replace(TRAITS, birth_place=""))


@pytest.mark.parametrize(
    ("told", "types", "identified", "flags"),
    [
        ({}, {"11502-2"}, True, set[str]()),
        ({"x-mss-codecda": b"11502-2", "x-mss-ins": b"O"}, {"11502-2"}, True, set[str]()),
        ({"x-mss-codecda": b" 11502-2 , PRESC-BIO,"}, {"11502-2", "PRESC-BIO"}, True, set[str]()),
        ({"x-mss-ins": b"n"}, {"11502-2"}, False, set[str]()),
        ({"x-mss-codecda": b"34112-3"}, {"11502-2"}, True, {"mss-codecda-mismatch"}),
        ({"x-mss-codecda": b""}, {"11502-2"}, True, {"mss-codecda-mismatch"}),
        ({"x-mss-codecda": b"11502-2"}, set[str](), False, {"mss-codecda-mismatch"}),
        ({"x-mss-ins": b"O"}, {"11502-2"}, False, {"mss-ins-mismatch"}),
        ({"x-mss-ins": b"N"}, {"11502-2"}, True, set[str]()),
        ({"x-mss-ins": b"O"}, set[str](), True, {"mss-ins-mismatch"}),
        ({"x-mss-ins": b"\xff"}, {"11502-2"}, False, set[str]()),
    ],
)
def test_fields_that_say_otherwise_than_the_archive_are_flagged(
    told: dict[str, bytes], types: set[str], identified: bool, flags: set[str]
) -> None:
    """Row 45: checked on ingest against the real archive."""
    assert mss_fields.disagreements(told, types, identified) == flags


# -- subjects


@pytest.mark.parametrize(
    ("given_values", "written"),
    [
        (
            ("CR de biologie", 1, "Durand", "Jeanne", "1948-05-03"),
            "XDM/1.0/DDM+CR de biologie DURAND Jeanne 03/05/1948",
        ),
        (("CR de biologie", 3, "Durand", "Jeanne", ""), "XDM/1.0/DDM+3 documents DURAND Jeanne"),
        (("CR", 1, "Lefèvre-Œuvrard d’Àé", "Zoé", ""), "XDM/1.0/DDM+CR LEFEVRE-OEUVRARD D'AE Zoé"),
        (("a\r\nBcc: x@y", 1, "N\n", "P", ""), "XDM/1.0/DDM+a Bcc: x@y N P"),
        (
            ("Lettre de liaison à la sortie d'un établissement de soins", 1, "N", "P", ""),
            "XDM/1.0/DDM+Lettre de liaison à la sortie d'un N P",
        ),
        (("x" * 60, 1, "N", "P", ""), f"XDM/1.0/DDM+{'x' * 40} N P"),
    ],
    ids=["usual", "several", "accents", "line ends", "long label", "long word"],
)
def test_a_subject_has_its_label_the_name_in_capitals_and_the_date(
    given_values: tuple[str, int, str, str, str], written: str
) -> None:
    """Row 48: label of at most 40 characters, NOM in capitals without accents."""
    assert mss_fields.subject(*given_values) == written


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (
            "XDM/1.0/DDM+CR de biologie DURAND Jeanne 03/05/1948",
            Subject("CR de biologie DURAND Jeanne 03/05/1948", structured=True, birth_date="1948-05-03"),
        ),
        ("xdm/1.0/ddm + CR DURAND", Subject("CR DURAND", structured=True)),
        ("Re: Tr : XDM/1.0/DDM+CR DURAND", Subject("CR DURAND", structured=True)),
        (
            "[Annule et remplace] XDM/1.0/DDM+CR DURAND",
            Subject("CR DURAND", structured=True, replaces=True),
        ),
        (
            "XDM/1.0/DDM+[ANNULE  ET REMPLACE]CR DURAND",
            Subject("CR DURAND", structured=True, replaces=True),
        ),
        (
            "[KO Intégration système !][902] XDM/1.0/DDM+CR DURAND",
            Subject("CR DURAND", structured=True, failed=True, code=AnsCode.UNKNOWN_PATIENT),
        ),
        (
            "[KO Integration systeme ! ] XDM/1.0/DDM+CR DURAND",
            Subject("CR DURAND", structured=True, failed=True),
        ),
        (
            "[Erreur d’intégration !][904] XDM/1.0/DDM+CR DURAND",
            Subject("CR DURAND", structured=True, failed=True, code=AnsCode.INS_MISMATCH),
        ),
        ("Re: Votre rendez-vous du 03/05/2027", Subject("Re: Votre rendez-vous du 03/05/2027")),
        ("[902] bonjour", Subject("[902] bonjour")),
        ("Au sujet de XDM/1.0/DDM+CR", Subject("Au sujet de XDM/1.0/DDM+CR")),
        ("", Subject("")),
    ],
)
def test_a_subject_is_taken_apart_whoever_wrote_it(told: str, read: Subject) -> None:
    """Row 48: parsed, and shown without its prefix."""
    assert mss_fields.parsed(told) == read


def test_a_subject_is_shown_without_its_prefix_and_with_what_it_warns_of() -> None:
    """Row 48."""
    assert mss_fields.shown("XDM/1.0/DDM+CR DURAND Jeanne") == "CR DURAND Jeanne"
    assert mss_fields.shown("[Annule et remplace]XDM/1.0/DDM+CR") == "[Annule et remplace] CR"
    told = "[KO Intégration système !][902] XDM/1.0/DDM+CR"
    assert mss_fields.shown(told) == "[KO Intégration système !][902] CR"
    assert mss_fields.shown("Bonjour") == "Bonjour"


WORDS = st.text(st.characters(whitelist_categories=("Lu", "Ll", "Nd")), min_size=1, max_size=30)


@given(label=WORDS, family=WORDS, given_name=WORDS)
def test_what_is_written_is_read_again(label: str, family: str, given_name: str) -> None:
    written = mss_fields.subject(label, 1, family, given_name, "1948-05-03")
    read = mss_fields.parsed(written)
    assert (read.structured, read.birth_date, read.failed) == (True, "1948-05-03", False)
    assert written == f"{mss_fields.PREFIX}+{read.text}"


@given(st.text(max_size=300))
def test_any_subject_is_read_and_a_label_never_passes_forty_characters(told: str) -> None:
    assert mss_fields.parsed(told).code is None or mss_fields.parsed(told).failed or "90" in told
    assert len(mss_fields.shortened(told)) <= 40
    assert len(mss_fields.shown(told)) <= len(told) + 60


def test_nothing_of_a_subject_is_in_its_repr() -> None:
    shown = repr(mss_fields.parsed("XDM/1.0/DDM+CR DURAND Jeanne 03/05/1948"))
    assert "DURAND" not in shown
    assert "1948" not in shown


# -- PDF copies


@pytest.mark.parametrize(
    ("given_values", "name"),
    [
        (
            ("2022-05-31", "CR d'imagerie médicale", "Corse", "Figatellix"),
            "20220531_CR d'imagerie médicale_CORSE_Figatellix.pdf",
        ),
        (("2026-11-20", "CR", "Durand", "Jeanne", 2), "20261120_CR_DURAND_Jeanne_2.pdf"),
        (("2026-11-20", "a/b\\c:d*e_f", "D/U", "../J"), "20261120_a b c d e f_D U_J.pdf"),
        (("2026-11-20T08:30:00", "CR\r\nX", "É", ""), "20261120_CR X_E.pdf"),
    ],
    ids=["as the volet shows it", "several", "signs of paths", "line ends"],
)
def test_a_pdf_copy_is_named_by_date_type_and_name(
    given_values: tuple[str, str, str, str], name: str
) -> None:
    """Row 50: `<act date>_<type>_<NOM>_<prénom>_<number>.pdf` (ECO.2.1.6)."""
    assert mss_fields.pdf_name(*given_values) == name


def test_two_copies_never_bear_one_name() -> None:
    """Row 50."""
    assert mss_fields.numbered(["a.pdf", "b.pdf", "a.pdf", "a.pdf"]) == [
        "a.pdf",
        "b.pdf",
        "a_2.pdf",
        "a_3.pdf",
    ]
