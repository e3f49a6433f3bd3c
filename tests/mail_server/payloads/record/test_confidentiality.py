"""Whom a document may be carried to (row 55)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.payloads.record import confidentiality, value_sets
from mail_server.payloads.record.confidentiality import RecipientKind

KINDS: tuple[RecipientKind, ...] = ("patient", "professional", "organisation", "software")
CODES = st.sets(st.sampled_from(sorted(confidentiality.KNOWN)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", [{"N"}, {"R"}, {"V"}, {"N", "INVISIBLE_REPRESENTANTS_LEGAUX"}, set[str]()])
def test_a_document_that_is_hidden_from_nobody_here_goes_to_anybody(
    codes: set[str], kind: RecipientKind
) -> None:
    """Row 55: INVISIBLE_REPRESENTANTS_LEGAUX is carried, and shown."""
    assert confidentiality.refusal(codes, kind) == ""


def test_what_the_patient_must_not_see_yet_never_goes_to_the_patient() -> None:
    """Row 55."""
    assert confidentiality.refusal({"N", "INVISIBLE_PATIENT"}, "patient") == "carry-invisible-to-patient"
    assert confidentiality.refusal({"N", "INVISIBLE_PATIENT"}, "professional") == ""


@pytest.mark.parametrize("kind", ["professional", "organisation", "software"])
def test_what_is_masked_to_professionals_goes_to_the_patient_alone(kind: RecipientKind) -> None:
    """Row 55."""
    assert confidentiality.refusal({"N", "MASQUE_PS"}, kind) == "carry-masked-to-professional"
    assert confidentiality.refusal({"N", "MASQUE_PS"}, "patient") == ""


@pytest.mark.parametrize(
    "codes", [{"N", "MASQUE_PS", "INVISIBLE_PATIENT"}, {"N", "R"}, {"R", "V", "MASQUE_PS"}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_codes_that_contradict_each_other_go_to_nobody(codes: set[str], kind: RecipientKind) -> None:
    """Row 55: bad combinations are refused."""
    assert confidentiality.wrong(codes)
    assert confidentiality.refusal(codes, kind) == "carry-wrong-combination"


@given(codes=CODES, more=CODES, kind=st.sampled_from(KINDS))
def test_another_code_never_opens_what_was_shut(codes: set[str], more: set[str], kind: RecipientKind) -> None:
    """Row 55: no combination reaches whom one of its codes keeps out."""
    if confidentiality.refusal(codes, kind):
        assert confidentiality.refusal(codes | more, kind)


@given(letter=st.lists(CODES, max_size=5), kind=st.sampled_from(KINDS))
def test_one_document_that_may_not_go_keeps_the_whole_letter(
    letter: list[set[str]], kind: RecipientKind
) -> None:
    """Row 55."""
    each = [confidentiality.refusal(codes, kind) for codes in letter]
    assert bool(confidentiality.together(letter, kind)) == any(each)


def test_every_code_of_the_national_table_is_known_here() -> None:
    table = {one for one in confidentiality.KNOWN if value_sets.confidentiality(one)}
    assert table == confidentiality.KNOWN
