"""A sliding window: what was taken lately, and when there is room again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.limits.window import Window

_STEPS = st.lists(st.tuples(st.floats(0, 500, allow_nan=False), st.integers(1, 50)), min_size=1, max_size=60)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = Window(60)
    window.add(0, 5)
    window.add(30, 7)
    assert window.used(59) == 12
    assert window.used(62) == 7
    assert window.used(120) == 0


def test_it_tells_when_enough_has_gone() -> None:
    window = Window(3600)
    window.add(10, 3)
    window.add(1000, 4)
    wait = window.seconds_until(1200, room=5)
    assert window.used(1200 + wait) <= 5
    assert 3600 - 1200 <= wait <= 3600 - 1200 + 61 + 10


def test_time_that_goes_back_stands_still() -> None:
    window = Window(60)
    window.add(100, 1)
    window.add(10, 1)
    assert window.used(20) == 2
    assert window.used(101) == 2


@given(_STEPS)
def test_the_count_is_never_less_than_what_was_taken_within_the_window(
    steps: list[tuple[float, int]],
) -> None:
    window, now = Window(300), 0.0
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        now += pause
        window.add(now, amount)
        taken.append((now, amount))
        exact = sum(count for at, count in taken if at > now - 300)
        generous = sum(count for at, count in taken if at > now - 300 - 2 * 300 / 60)
        assert exact <= window.used(now) <= generous


@given(_STEPS, st.integers(0, 40))
def test_who_waits_as_long_as_told_finds_room(steps: list[tuple[float, int]], room: int) -> None:
    window, now = Window(300), 0.0
    for pause, amount in steps:
        now += pause
        window.add(now, amount)
    assert window.used(now + window.seconds_until(now, room)) <= room
