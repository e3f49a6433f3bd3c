"""One object for every rate: what is taken, refused, and told."""

from __future__ import annotations

import pytest

from policies.limits.limits import Limit, Limits, Watched, duration, unlimited
from policies.limits.settings import LimitsSettings
from policies.refusal import Refusal

NOON = 1_800_000_000 - 1_800_000_000 % 86_400 + 43_200.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOON + self.now - 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, **settings: int) -> Limits:
    return Limits(LimitsSettings(**settings), clock, clock.wall)


def standing(limits: Limits, name: str) -> tuple[int, int, int, int]:
    found = next(one for one in limits.standings() if one.name == name)
    return found.limit, found.fullest, found.taken, found.refused


def test_what_fits_is_taken_and_what_does_not_is_refused_with_the_time_to_come_back(clock: Clock) -> None:
    limits = made(clock, letters_per_hour=2)
    limits.take(Limit.LETTERS, "a")
    limits.take(Limit.LETTERS, "a")
    with pytest.raises(Refusal) as refused:
        limits.take(Limit.LETTERS, "a")
    refusal = refused.value
    assert (refusal.code, refusal.enhanced, refusal.reason) == (450, "4.7.1", "limit-letters-per-hour")
    assert refusal.temporary
    assert 3600 <= refusal.retry_after <= 3661
    assert refusal.sentence == "Too many letters in a short time: try again in 61 minutes, at 13:01 UTC"
    assert refusal.sentence.isascii()


def test_who_comes_back_when_told_is_let_in(clock: Clock) -> None:
    limits = made(clock, letters_per_hour=1)
    limits.take(Limit.LETTERS, "a")
    with pytest.raises(Refusal) as refused:
        limits.take(Limit.LETTERS, "a")
    clock.now += refused.value.retry_after
    limits.take(Limit.LETTERS, "a")
    assert standing(limits, "letters_per_hour") == (1, 1, 2, 1)


def test_nobody_uses_up_what_is_anothers(clock: Clock) -> None:
    limits = made(clock, letters_per_hour=1)
    limits.take(Limit.LETTERS, "a")
    limits.take(Limit.LETTERS, "b")
    assert standing(limits, "letters_per_hour") == (1, 1, 2, 0)


def test_what_is_refused_is_not_counted(clock: Clock) -> None:
    limits = made(clock, recipients_per_day=10)
    limits.take(Limit.RECIPIENTS, "a", 8)
    with pytest.raises(Refusal, match="limit-recipients-per-day"):
        limits.take(Limit.RECIPIENTS, "a", 3)
    limits.take(Limit.RECIPIENTS, "a", 2)
    assert standing(limits, "recipients_per_day") == (10, 10, 10, 1)


def test_looking_takes_nothing(clock: Clock) -> None:
    limits = made(clock, submissions_per_hour=1)
    limits.require(Limit.SUBMISSIONS, "a")
    limits.require(Limit.SUBMISSIONS, "a")
    assert standing(limits, "submissions_per_hour") == (1, 0, 0, 0)


def test_what_fits_at_no_time_is_told_to_come_back_after_the_whole_window(clock: Clock) -> None:
    limits = made(clock, operator_letters_per_minute=5)
    with pytest.raises(Refusal) as refused:
        limits.take(Limit.OPERATOR_LETTERS_MINUTE, "dn", 6)
    assert refused.value.retry_after == 60


def test_no_limit_refuses_nothing_and_still_counts() -> None:
    limits = unlimited()
    for _ in range(5_000):
        limits.take(Limit.LETTERS, "a")
    assert standing(limits, "letters_per_hour") == (0, 0, 5_000, 0)


def test_memory_is_bounded_whoever_comes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.limits.limits._TRACKED", 10)
    limits = made(clock, letters_per_hour=1)
    for number in range(50):
        limits.take(Limit.LETTERS, str(number))
    limits.take(Limit.LETTERS, "0")  # forgotten by then
    with pytest.raises(Refusal):
        limits.take(Limit.LETTERS, "49")


def test_what_a_door_counts_itself_is_shown_beside_the_rates(clock: Clock) -> None:
    limits = made(clock)
    limits.watch("imap_connections", 10, lambda: Watched(fullest=4, taken=9, refused=1))
    found = next(one for one in limits.standings() if one.name == "imap_connections")
    assert (found.limit, found.seconds, found.fullest, found.taken, found.refused) == (10, 0, 4, 9, 1)


def test_every_rate_has_a_setting_a_window_and_words(clock: Clock) -> None:
    limits = Limits(LimitsSettings(**dict.fromkeys((each.value for each in Limit), 1)), clock, clock.wall)
    for each in Limit:
        limits.take(each, "a")
        with pytest.raises(Refusal) as refused:
            limits.take(each, "a")
        assert "try again in" in refused.value.sentence
        assert refused.value.temporary
        assert refused.value.retry_after > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"), (60, "60 seconds"), (61, "2 minutes"), (3600, "60 minutes"), (3601, "61 minutes"),
        (7201, "3 hours"), (86_400, "24 hours"),
    ],
)  # fmt: skip
def test_a_wait_is_told_in_words_and_never_too_short(seconds: int, words: str) -> None:
    assert duration(seconds) == words
