"""An account of what each asker was shown: who looks people up is not slowed, who takes the directory away is."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory import harvest
from directory.harvest import Allowance, Sweep, TooMuch

HOUR = 3_600_000
ASKER = "net:192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.at = 1_700_000_000_000

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def noted() -> list[Sweep]:
    return []


@pytest.fixture
def allowance(clock: Clock, noted: list[Sweep]) -> Allowance:
    return Allowance(100, 1000, clock=clock, noted=noted.append)


def listings(first: int, count: int) -> list[str]:
    return [f"person{number}@example.test" for number in range(first, first + count)]


def test_who_looks_somebody_up_waits_for_nothing(allowance: Allowance) -> None:
    for number in range(10):
        allowance.require(ASKER)
        assert allowance.shown(ASKER, listings(number * 5, 5)) == 0


def test_a_mail_program_that_completes_the_same_names_all_day_is_not_slowed(
    allowance: Allowance, clock: Clock, noted: list[Sweep]
) -> None:
    for _ in range(1000):
        allowance.require(ASKER)
        assert allowance.shown(ASKER, listings(0, 20)) == 0
        clock.at += 30_000
    assert noted == []


def test_beyond_the_allowance_each_answer_waits_longer_and_at_twice_it_none_comes(
    allowance: Allowance,
) -> None:
    delays = [allowance.shown(ASKER, listings(number * 10, 10)) for number in range(20)]
    assert delays[:10] == [0] * 10
    assert delays[10:] == sorted(delays[10:])
    assert 0 < delays[10] < 0.1
    assert delays[19] == 5.0
    with pytest.raises(TooMuch) as refused:
        allowance.require(ASKER)
    assert 0 < refused.value.retry_after <= 3600


def test_the_time_that_is_told_is_enough(allowance: Allowance, clock: Clock) -> None:
    allowance.shown(ASKER, listings(0, 250))
    with pytest.raises(TooMuch) as refused:
        allowance.require(ASKER)
    clock.at += (refused.value.retry_after - 400) * 1000
    with pytest.raises(TooMuch):
        allowance.require(ASKER)
    clock.at += 400 * 1000
    allowance.require(ASKER)


def test_the_allowance_fills_up_again_within_two_hours(allowance: Allowance, clock: Clock) -> None:
    allowance.shown(ASKER, listings(0, 200))
    clock.at += 2 * HOUR
    allowance.require(ASKER)
    assert allowance.shown(ASKER, listings(1000, 90)) == 0


def test_over_a_day_nobody_is_shown_more_than_the_hours_allow(allowance: Allowance, clock: Clock) -> None:
    """Whatever the pace: what was shown is one allowance an hour, and the two that there are at the beginning."""
    taken = 0
    for _ in range(24 * 60):
        clock.at += 60_000
        try:
            allowance.require(ASKER)
        except TooMuch:
            continue
        allowance.shown(ASKER, listings(taken, 20))
        taken += 20
    assert taken <= 24 * 100 + 200 + 20


def prefixes() -> Iterator[str]:
    for letters in itertools.product(string.ascii_lowercase, repeat=2):
        yield "".join(letters)


def asked_until_refused(allowance: Allowance, answers: Iterable[tuple[str, list[str]]]) -> int:
    """How many answers were given before the first refusal."""
    for given_so_far, (asker, shown) in enumerate(answers):
        try:
            allowance.require(asker, door="ldap")
        except TooMuch:
            return given_so_far
        allowance.shown(asker, shown, door="ldap")
    raise AssertionError("nothing was refused")


def test_a_sweep_of_prefixes_is_refused_early_and_told_twice(
    allowance: Allowance, noted: list[Sweep]
) -> None:
    answers = ((ASKER, [f"{prefix}{number}@example.test" for number in range(10)]) for prefix in prefixes())
    assert asked_until_refused(allowance, answers) == 20
    assert [(one.outcome, one.door, one.asker) for one in noted] == [
        ("slowed", "ldap", ASKER),
        ("refused", "ldap", ASKER),
    ]
    assert noted[0].count == 110
    assert noted[1].count == 200
    assert (allowance.counters.sweeps_slowed, allowance.counters.sweeps_refused) == (1, 1)
    assert (allowance.counters.slowed, allowance.counters.refused) == (10, 1)


def test_a_second_sweep_is_told_of_once_the_first_is_paid_off(
    allowance: Allowance, clock: Clock, noted: list[Sweep]
) -> None:
    allowance.shown(ASKER, listings(0, 150))
    allowance.shown(ASKER, listings(150, 10))
    clock.at += 3 * HOUR
    allowance.shown(ASKER, listings(1000, 150))
    assert [one.outcome for one in noted] == ["slowed", "slowed"]


def test_every_door_draws_on_the_same_allowance(allowance: Allowance) -> None:
    allowance.shown(ASKER, listings(0, 60), door="ldap")
    assert allowance.shown(ASKER, listings(60, 60), door="fhir") > 0


def test_who_is_logged_in_is_shown_more(allowance: Allowance) -> None:
    assert allowance.shown("account:a", listings(0, 900), trusted=True) == 0
    assert allowance.shown("account:a", listings(900, 200), trusted=True) > 0


def test_one_asker_costs_another_nothing(allowance: Allowance) -> None:
    allowance.shown(ASKER, listings(0, 200))
    allowance.require("net:198.51.100.1")
    assert allowance.shown("net:198.51.100.1", listings(0, 50)) == 0


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("net:192.0.2.{}", "near:192.0.2.0/24"),
        ("net:2001:db8:1:{}::/64", "near:2001:db8:1::/48"),
    ],
)
def test_many_addresses_of_one_neighbourhood_have_not_as_many_allowances(
    form: str, place: str, allowance: Allowance, noted: list[Sweep]
) -> None:
    answers = ((form.format(number), listings(number * 90, 90)) for number in range(200))
    assert asked_until_refused(allowance, answers) < 20
    assert noted[-1].asker == place
    assert noted[-1].count < 200 * 90 / 10


def test_neighbours_of_a_sweep_are_shown_somebody_all_the_same(allowance: Allowance) -> None:
    allowance.shown(ASKER, listings(0, 200))
    allowance.require("net:192.0.2.8")
    assert allowance.shown("net:192.0.2.8", listings(500, 20)) == 0


def test_what_names_no_address_is_an_asker_all_the_same(allowance: Allowance) -> None:
    allowance.shown("net:", listings(0, 200))
    with pytest.raises(TooMuch):
        allowance.require("net:")


def test_memory_is_bounded_and_the_greediest_is_not_forgotten(
    allowance: Allowance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvest, "_MOST_ASKERS", 100)
    monkeypatch.setattr(harvest, "_MOST_MARKS", 1000)
    allowance.shown(ASKER, listings(0, 200))
    for number in range(500):
        allowance.shown(f"account:{number}", listings(number * 7, 7), trusted=True)
    assert allowance.askers <= 100
    assert allowance.counters.forgotten >= 400
    with pytest.raises(TooMuch):
        allowance.require(ASKER)


def test_a_clock_that_goes_back_gives_nothing(allowance: Allowance, clock: Clock) -> None:
    allowance.shown(ASKER, listings(0, 200))
    clock.at -= HOUR
    with pytest.raises(TooMuch):
        allowance.require(ASKER)


def test_what_was_shown_is_not_kept(allowance: Allowance) -> None:
    allowance.shown(ASKER, ["zoe.martin@example.test"])
    assert "zoe.martin" not in repr(vars(allowance))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 60), st.integers(0, HOUR)),
        max_size=40,
    )
)
def test_no_more_is_kept_than_was_shown_and_no_answer_waits_longer_than_five_seconds(
    steps: list[tuple[int, int, int, int]],
) -> None:
    clock = Clock()
    allowance = Allowance(100, 1000, clock=clock, noted=lambda _: None)
    most = 0
    for who, first, count, later in steps:
        clock.at += later
        asker = f"net:192.0.2.{who}"
        try:
            allowance.require(asker)
        except TooMuch:
            continue
        assert 0 <= allowance.shown(asker, listings(first, count)) <= 5
        most += 4 * count  # of the asker and of its neighbourhood, this hour and the one before
        assert 0 <= allowance.marks <= most


def test_searches_asked_all_at_once_show_no_more_than_one_after_the_other(allowance: Allowance) -> None:
    shown, waits = 0, list[float]()
    for _ in range(500):  # each is let in before any is counted, as over hundreds of connections
        allowance.require(ASKER)
    for number in range(500):
        try:
            allowance.shown(ASKER, listings(number * 20, 20))
        except TooMuch as refused:
            waits.append(refused.retry_after)
        else:
            shown += 20
    assert shown == 200
    assert min(waits) > 0
    assert allowance.counters.shown == 200


def test_an_account_that_stays_below_the_hours_all_day_is_slowed_and_told_of(
    allowance: Allowance, clock: Clock, noted: list[Sweep]
) -> None:
    asker, taken = "account:zoe", 0
    for hour in range(48):
        for part in range(9):
            try:
                allowance.require(asker, trusted=True)
                allowance.shown(asker, listings(hour * 900 + part * 100, 100), trusted=True)
            except TooMuch:
                break
            taken += 100
        clock.at += HOUR
    assert [(one.asker, one.outcome) for one in noted] == [(asker, "slowed"), (asker, "refused")]
    assert taken <= (2 + 2) * 6 * 1000  # two days' allowance at once, and what came back in two days


def test_a_program_with_a_key_may_read_it_all_hour_by_hour(
    allowance: Allowance, clock: Clock, noted: list[Sweep]
) -> None:
    for hour in range(48):
        allowance.require("key:abc", trusted=True)
        allowance.shown("key:abc", listings(hour * 900, 900), trusted=True)
        clock.at += HOUR
    assert noted == []
