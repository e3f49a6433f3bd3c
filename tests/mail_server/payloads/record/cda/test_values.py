"""Times, units, rhythms: how single values are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.payloads.record.cda.doses import every
from mail_server.payloads.record.cda.times import day_of, hl7_of, iso_of, tidy
from mail_server.payloads.record.cda.values import number_of, unit


@pytest.mark.parametrize(
    ("hl7", "iso"),
    [
        ("2026", "2026"),
        ("202611", "2026-11"),
        ("20261120", "2026-11-20"),
        ("2026112008", "2026-11-20"),
        ("202611200830", "2026-11-20T08:30:00"),
        ("20261120083000.123+0100", "2026-11-20T08:30:00+01:00"),
        ("20261120083000Z", "2026-11-20T08:30:00Z"),
        ("20261345", ""),
        ("20260231", ""),
        ("hier", ""),
        ("20261120990000", "2026-11-20"),
    ],
)
def test_a_time_is_told_with_the_precision_it_came_with(hl7: str, iso: str) -> None:
    assert iso_of(hl7) == iso


@given(st.datetimes(), st.sampled_from(["", "Z", "+01:00", "-10:30"]))
def test_a_time_written_is_read_back(when: object, zone: str) -> None:
    iso = str(when)[:19].replace(" ", "T") + zone
    assert iso_of(hl7_of(iso)) == iso
    assert tidy(iso) == iso


@given(st.text(max_size=30))
def test_a_text_that_is_no_time_raises_nothing(text: str) -> None:
    for reader in (iso_of, tidy, hl7_of):
        assert isinstance(reader(text), str)


def test_a_day_is_told_as_people_in_france_write_it() -> None:
    assert (day_of("2026-11-20T08:30:00Z"), day_of("2026-11"), day_of("")) == ("20/11/2026", "11/2026", "")


@pytest.mark.parametrize(
    ("number", "unit_", "words"),
    [
        (8, "h", "3 fois par jour"),
        (24, "h", "1 fois par jour"),
        (36, "h", "toutes les 36 heures"),
        (1, "d", "1 fois par jour"),
        (2, "d", "tous les 2 jours"),
        (1.5, "wk", "toutes les 1,5 semaines"),
        (1, "mo", "1 fois par mois"),
        (0, "h", ""),
        (3, "lune", ""),
    ],
)
def test_a_rhythm_is_told_in_words(number: float, unit_: str, words: str) -> None:
    assert every(number, unit_) == words


def test_a_unit_is_told_as_people_write_it() -> None:
    assert [unit(one) for one in ("1", "{comprimé}", "mg", " 10*9/L ", "{a}/{b}", "")] == [
        *("", "comprimé", "mg", "10*9/L", "{a}/{b}", "")
    ]


def test_a_number_is_one_with_a_point_or_a_comma_and_within_a_float() -> None:
    assert [number_of(one) for one in ("5,32", "-1.5e3", "1e999", "1 000", "> 5", "0x1F", "٣")] == [
        *(5.32, -1500.0, None, None, None, None, None)
    ]
