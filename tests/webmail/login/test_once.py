"""Things that may be answered once, and what happens when somebody asks for them without end."""

from __future__ import annotations

from webmail.login.once import Once


def test_a_thing_is_given_back_once_and_in_time() -> None:
    now = [0]
    kept: Once[str] = Once(lambda: now[0], 100)
    first, second = kept.put("a", "x"), kept.put("b", "x")
    assert kept.take(first) == "a"
    assert kept.take(first) is None
    now[0] = 100
    assert kept.take(second) is None
    assert kept.take("never") is None


def test_who_asks_without_end_loses_their_own_and_nobody_elses() -> None:
    kept: Once[int] = Once(lambda: 0, 100, most_of_one=10)
    mine = kept.put(0, "me")
    flood = [kept.put(number, "flood") for number in range(1000)]
    assert kept.take(mine) == 0
    assert [kept.take(key) for key in flood[:990]] == [None] * 990
    assert [kept.take(key) for key in flood[990:]] == list(range(990, 1000))


def test_memory_is_bounded_whoever_asks() -> None:
    kept: Once[int] = Once(lambda: 0, 100, most=10, most_of_one=10)
    keys = [kept.put(number, f"from {number}") for number in range(100)]
    assert [kept.take(key) for key in keys[:90]] == [None] * 90
    assert len(kept._of) == len(kept._waiting) == 10
