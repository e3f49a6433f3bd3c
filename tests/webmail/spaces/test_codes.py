"""Enrolment codes: how they are made, and read as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.spaces import codes

LETTERS = st.text(st.sampled_from(codes.ALPHABET), min_size=11, max_size=11)


def test_a_code_has_twelve_characters_without_look_alikes() -> None:
    for _ in range(50):
        code = codes.generate()
        assert len(code) == 12
        assert not set(code) & set("ILOU")


def test_a_code_is_shown_in_three_groups_and_read_back() -> None:
    code = codes.generate()
    assert codes.shown(code).count("-") == 2
    assert codes.normal(codes.shown(code)) == code


def test_two_codes_differ() -> None:
    assert len({codes.generate() for _ in range(100)}) == 100


@given(LETTERS)
def test_case_dashes_spaces_and_look_alikes_do_not_matter(letters: str) -> None:
    code = letters + codes.check_character(letters)
    typed = codes.shown(code).lower().replace("0", "o").replace("1", "l").replace("-", " - ")
    assert codes.normal(typed) == code


@given(LETTERS, st.integers(0, 10), st.sampled_from(codes.ALPHABET))
def test_one_wrong_character_is_seen_unless_it_weighs_nothing(letters: str, place: int, other: str) -> None:
    code = letters + codes.check_character(letters)
    wrong = code[:place] + other + code[place + 1 :]
    difference = (codes.ALPHABET.index(other) - codes.ALPHABET.index(code[place])) * (place + 1)
    assert codes.normal(wrong) == (code if other == code[place] else wrong if difference % 32 == 0 else None)


def test_the_worked_example_of_the_sum() -> None:
    # 1·1 + 2·2 + ... : each character's value times its position, modulo 32.
    assert codes.check_character("00000000001") == codes.ALPHABET[11]
    assert codes.check_character("Z0000000000") == codes.ALPHABET[31]


@given(st.text(max_size=80))
def test_any_text_is_a_code_or_none(typed: str) -> None:
    found = codes.normal(typed)
    assert found is None or (len(found) == 12 and set(found) <= set(codes.ALPHABET))


@pytest.mark.parametrize("typed", ["", "ABCD", "ABCD-EFGH-JKMU", "0" * 65, "ABCDEFGHJKM" * 2])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert codes.normal(typed) is None
