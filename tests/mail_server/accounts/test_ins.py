"""The number of a patient: what is one, what is not, and what a person is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.accounts import ins
from mail_server.accounts.ins import InsRefused, parse


@st.composite
def bodies(draw: st.DrawFn) -> str:
    sex = draw(st.sampled_from("12345678"))
    year = draw(st.integers(0, 99))
    month = draw(st.one_of(st.integers(1, 12), st.integers(20, 99)))
    department = draw(st.one_of(st.integers(0, 99).map("{:02d}".format), st.sampled_from(["2A", "2B"])))
    return f"{sex}{year:02d}{month:02d}{department}{draw(st.integers(0, 999_999)):06d}"


@pytest.mark.parametrize("number", ["279035121518989", "207058575627097"])
def test_the_published_numbers_pass(number: str) -> None:
    assert parse(number).number == number
    assert parse(number).last_five == number[-5:]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("2850513055001", f"{97 - 2850513055001 % 97:02d}"),
        ("185052A004123", f"{97 - 1850519004123 % 97:02d}"),
        ("185052B004123", f"{97 - 1850518004123 % 97:02d}"),
    ],
)
def test_the_key_is_97_less_the_rest_with_corsica_read_as_19_and_18(body: str, key: str) -> None:
    assert parse(body).number == body + key
    assert parse(body + key).number == body + key


def test_what_the_reference_calls_an_example_with_a_wrong_key_is_refused() -> None:
    with pytest.raises(InsRefused, match="ins-key"):
        parse("253097812634581")


@pytest.mark.parametrize(
    "typed",
    [
        "2 85 05 13 055 001 " + ins.key_of("2850513055001"),
        " 2850513055001 ",
        "2\u00a085\u00a005\u00a013\u202f055\u202f001",
        "2\t85 05 13 055 001",
    ],
)
def test_spaces_do_not_matter(typed: str) -> None:
    assert parse(typed).number == "2850513055001" + ins.key_of("2850513055001")


def test_corsica_may_be_typed_small_and_stands_small_in_an_address() -> None:
    assert parse("185052a004123").number.startswith("185052A004123")
    assert parse("185052A004123").local_part.startswith("185052a004123")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "ins-length"),
        ("285051305500", "ins-length"),
        ("28505130550011", "ins-length"),
        ("2850513055001999", "ins-length"),
        ("2" * 100, "ins-length"),
        ("2-85-05-13-055-001", "ins-characters"),
        ("28505130550O1", "ins-characters"),
        ("٢٨٥٠٥١٣٠٥٥٠٠١", "ins-characters"),
        ("1850513A04123", "ins-characters"),
        ("18505A2004123", "ins-characters"),
        ("185052A0041232A", "ins-characters"),
        ("0850513055001", "ins-sex"),
        ("9850513055001", "ins-sex"),
        ("2850013055001", "ins-month"),
        ("2851313055001", "ins-month"),
        ("2851913055001", "ins-month"),
        ("285051305500100", "ins-key"),
    ],
)
def test_what_is_wrong_is_named(typed: str, reason: str) -> None:
    with pytest.raises(InsRefused) as refused:
        parse(typed)
    assert refused.value.reason == reason
    assert refused.value.fr
    assert refused.value.en


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("28505130550O1", 12),
        ("O850513055001", 1),
        ("1850513A04123", 8),
        ("18505A2004123", 6),
        ("185052A0041232A", 15),
    ],
)
def test_which_character_is_wrong_is_told_and_none_of_them(typed: str, at: int) -> None:
    with pytest.raises(InsRefused) as refused:
        parse(typed)
    assert f"Character {at} of" in refused.value.en
    assert f"Le {at}e caractère" in refused.value.fr
    assert typed not in refused.value.en + refused.value.fr


def test_how_many_characters_there_are_is_told() -> None:
    with pytest.raises(InsRefused) as refused:
        parse("2850513055001 9")
    assert refused.value.en.endswith("this one has 14.")
    assert refused.value.fr.endswith("celui-ci en a 14.")


@pytest.mark.parametrize("month", ["01", "12", "20", "30", "42", "50", "99"])
def test_a_month_that_is_not_known_is_20_to_99(month: str) -> None:
    assert parse(f"285{month}13055001").number[3:5] == month


@given(bodies())
def test_thirteen_characters_get_their_key_and_fifteen_keep_it(body: str) -> None:
    found = parse(body)
    assert found.number[:13] == body
    assert parse(found.number) == found


@given(bodies(), st.integers(0, 12), st.integers(1, 9))
def test_one_digit_mistyped_is_always_found(body: str, at: int, by: int) -> None:
    number = parse(body).number
    if not number[at].isdigit():
        return
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]
    with pytest.raises(InsRefused):
        parse(wrong)


@given(st.text(max_size=80))
def test_whatever_is_typed_ends_in_a_number_or_a_reason_that_does_not_repeat_it(typed: str) -> None:
    refusal: InsRefused | None = None
    try:
        found = parse(typed)
    except InsRefused as refused:
        refusal = refused
    else:
        assert len(found.number) == 15
        assert found.number not in repr(found)
    if refusal is not None:
        assert str(refusal) == refusal.reason
        assert len(typed.strip()) < 5 or typed not in repr(refusal) + refusal.fr + refusal.en
