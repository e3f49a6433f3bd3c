"""Waits, and times after which something is told or given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mail_server.outbound.schedule import JITTER, Schedule
from mail_server.outbound.settings import OutboundSettings

USUAL = Schedule.of(OutboundSettings())
MINUTE, HOUR = 60_000, 3_600_000


def test_waits_double_from_the_first_to_the_longest() -> None:
    waits = [USUAL.wait(count, 0) // MINUTE for count in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240]


@given(st.integers(0, 10_000), st.floats(-1, 1))
def test_a_wait_stays_between_the_first_and_the_longest_but_for_its_jitter(count: int, spread: float) -> None:
    assert MINUTE * (1 - JITTER) <= USUAL.wait(count, spread) <= 4 * HOUR * (1 + JITTER)


def test_what_failed_together_does_not_come_back_together() -> None:
    assert (USUAL.wait(5, -1), USUAL.wait(5, 1)) == (round(16 * MINUTE * 0.8), round(16 * MINUTE * 1.2))


def test_a_letter_expires_after_five_days_and_is_told_late_after_four_hours() -> None:
    assert USUAL.expires(1000) == 1000 + 120 * HOUR
    assert USUAL.delay_at(1000) == 1000 + 4 * HOUR


def test_nobody_is_told_late_of_what_expires_before() -> None:
    soon = Schedule.of(OutboundSettings(expiry_hours=2))
    assert soon.delay_at(1000) is None


def test_a_longest_wait_under_the_first_is_the_first() -> None:
    odd = Schedule.of(OutboundSettings(first_retry_seconds=600, longest_retry_seconds=60))
    assert odd.wait(9, 0) == 600_000
