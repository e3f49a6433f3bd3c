"""What is told of a mailbox: which kind has which field, what never changes, and the name its letters carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Kind
from mail_server.accounts.profiles import FIELDS_OF, NAMES, Profile, changed, display_name

TYPED = {
    "title": "Dr",
    "given_name": "Camille",
    "family_name": "Aubry",
    "entity": "Cabinet de la Gare",
    "description": "Secrétariat de cardiologie",
    "service": "Cardiologie",
    "responsible": "Dr Paul Lenoir",
    "id_pp": "899700000012",
    "id_nat_struct": "1750000019",
    "rank": "2",
    "red_list": "yes",
}
KINDS = (Kind.PER, Kind.ORG, Kind.APP, Kind.CAB)


def with_right_digits(number: str) -> str:
    for last in "0123456789":
        total = sum(
            (int(d) * 2 - 9 if int(d) > 4 else int(d) * 2) if i % 2 else int(d)
            for i, d in enumerate(reversed(number + last))
        )
        if total % 10 == 0:
            return number + last
    raise AssertionError(number)


RIGHT = TYPED | {
    "id_pp": "8" + with_right_digits("9970000001"),
    "id_nat_struct": "1" + with_right_digits("75000001"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_kind_takes_its_own_fields_and_no_others(kind: Kind, name: str):
    if name in FIELDS_OF[kind]:
        assert getattr(changed(Profile(), kind, {name: RIGHT[name]}), name)
    else:
        with pytest.raises(AccountError) as refused:
            changed(Profile(), kind, {name: RIGHT[name]})
        assert refused.value.reason == "field-of-another-kind"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["address", "kind"])
def test_address_and_kind_never_change(kind: Kind, name: str):
    with pytest.raises(AccountError) as refused:
        changed(Profile(), kind, {name: "other"})
    assert refused.value.reason == "field-immutable"


@pytest.mark.parametrize("kind", KINDS)
def test_rank_and_red_list_may_be_edited_for_every_kind(kind: Kind):
    edited = changed(changed(Profile(), kind, {"rank": "3", "red_list": "oui"}), kind, {"red_list": "non"})
    assert (edited.rank, edited.red_list) == (3, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_patient_is_listed_nowhere(name: str):
    with pytest.raises(AccountError):
        changed(Profile(), Kind.PATIENT, {name: RIGHT[name]})


def test_a_person_is_title_given_name_capitals_and_entity_joined_by_underscores():
    profile = changed(Profile(), Kind.PER, {name: RIGHT[name] for name in FIELDS_OF[Kind.PER]})
    assert display_name(profile, Kind.PER) == "Dr_Camille_AUBRY_Cabinet de la Gare"


def test_title_and_entity_are_left_out_where_they_are_not_known():
    profile = changed(Profile(), Kind.PER, {"given_name": "Inès", "family_name": "de l'Étang"})
    assert display_name(profile, Kind.PER) == "Inès_DE L'ÉTANG"


def test_half_a_name_is_none():
    assert display_name(changed(Profile(), Kind.PER, {"family_name": "Aubry"}), Kind.PER) == ""


@pytest.mark.parametrize("kind", [Kind.ORG, Kind.APP])
def test_a_service_or_software_is_its_functional_entity(kind: Kind):
    assert display_name(changed(Profile(), kind, {"service": "Cardiologie"}), kind) == "Cardiologie"
    assert (
        display_name(changed(Profile(), kind, {"description": "Laboratoire du port"}), kind)
        == "Laboratoire du port"
    )


@pytest.mark.parametrize(
    ("name", "kind", "typed"),
    [
        ("id_nat_struct", Kind.ORG, "1" + with_right_digits("75000001")[:-1] + "x"),
        ("id_nat_struct", Kind.ORG, "2123456789"),
        ("id_nat_struct", Kind.APP, "3" + "1" * 14),
        ("id_pp", Kind.CAB, "899700000013, 899700000099"),
        ("rank", Kind.PER, "0"),
        ("rank", Kind.PER, "²"),
        ("red_list", Kind.PER, "peut-être"),
        ("family_name", Kind.PER, "Aubry\x1b[2J"),
        ("family_name", Kind.PER, "A" * 121),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_and_says_why(name: str, kind: Kind, typed: str):
    with pytest.raises(AccountError) as refused:
        changed(Profile(), kind, {name: typed})
    assert refused.value.reason in ("field-refused", "identifier-refused")
    assert refused.value.sentence


def test_a_corsican_structure_has_its_letter():
    assert changed(Profile(), Kind.ORG, {"id_nat_struct": "1 2A 0000014"}).id_nat_struct == "12A0000014"


@given(st.sampled_from(KINDS), st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4))
def test_whatever_is_typed_is_taken_or_refused_with_a_reason(kind: Kind, typed: dict[str, str]):
    reason, name = "", ""
    try:
        name = display_name(changed(Profile(), kind, typed), kind)
    except AccountError as refused:
        reason = refused.reason
    assert name.isprintable()
    assert not reason or reason.startswith(("field-", "identifier-"))
