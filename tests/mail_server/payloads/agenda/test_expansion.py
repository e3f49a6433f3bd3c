"""Occurrences: held against recurring-ical-events, over the changes of the clocks, and with bounded work."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import icalendar
import pytest
import recurring_ical_events

from mail_server.payloads.agenda.expansion import occurrences
from mail_server.payloads.agenda.model import AgendaRefused, Appointment, Held, When, stamp_text
from mail_server.payloads.agenda.reading import read_calendar
from mail_server.payloads.agenda.writing import write_calendar

DAY = 86_400_000
FIRST = 1_772_323_200_000  # 2026-03-01


def series(rule: str, start: str = "DTSTART;TZID=Europe/Paris:20260102T100000", *more: str) -> Appointment:
    lines = [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        "UID:1",
        start,
        "DURATION:PT1H",
        *([f"RRULE:{rule}"] if rule else []),
        *more,
    ]
    (component,) = read_calendar("\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""])).components
    return Appointment("1", "published", "", master=Held(component, 0, ""))


def starts(held: Appointment, first: int = FIRST, days: int = 40) -> list[str]:
    return [stamp_text(one.start) for one in occurrences(held, first, first + days * DAY, "Europe/Paris")]


def test_a_series_keeps_its_hour_over_the_change_of_the_clocks() -> None:
    found = starts(series("FREQ=WEEKLY;BYDAY=SU"), days=42)
    assert found == [
        "2026-03-01T09:00:00Z",
        "2026-03-08T09:00:00Z",
        "2026-03-15T09:00:00Z",
        "2026-03-22T09:00:00Z",
        "2026-03-29T08:00:00Z",
        "2026-04-05T08:00:00Z",
    ]


def test_an_hour_that_is_skipped_and_one_that_comes_twice() -> None:
    assert starts(series("FREQ=DAILY;COUNT=2", "DTSTART;TZID=Europe/Paris:20260328T023000")) == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:30:00Z",
    ]
    autumn = 1_792_800_000_000
    assert (
        starts(series("FREQ=DAILY;COUNT=2", "DTSTART;TZID=Europe/Paris:20261024T023000"), autumn, 9)[1]
        == "2026-10-25T00:30:00Z"
    )


def test_whole_days_are_days_where_the_reader_is() -> None:
    held = series("FREQ=DAILY;COUNT=3", "DTSTART;VALUE=DATE:20260328")
    (one, two, three) = occurrences(held, FIRST, FIRST + 60 * DAY, "Europe/Paris")
    assert [each.day for each in (one, two, three)] == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert (two.end - two.start) == 23 * 3_600_000, "the day the clocks go forward"


def test_dates_added_and_left_out() -> None:
    held = series(
        "FREQ=DAILY;COUNT=4",
        "DTSTART:20260301T100000Z",
        "EXDATE:20260302T100000Z",
        "RDATE:20260310T080000Z",
        "EXDATE;VALUE=DATE:20260304",
    )
    assert starts(held) == ["2026-03-01T10:00:00Z", "2026-03-03T10:00:00Z", "2026-03-10T08:00:00Z"]


def test_what_began_before_the_window_and_still_lasts_is_shown() -> None:
    held = series("", "DTSTART:20260227T100000Z")
    assert held.master is not None
    assert occurrences(held, FIRST, FIRST + DAY, "UTC") == ()
    stays = replace(held.master.component, end=When("2026-03-05T10:00:00", "UTC"))
    held = replace(held, master=replace(held.master, component=stays))
    assert len(occurrences(held, FIRST, FIRST + DAY, "UTC")) == 1


RULES = [
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYMONTH=3;BYDAY=MO,WE",
    "FREQ=WEEKLY;BYDAY=TU,TH;INTERVAL=2",
    "FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=SU,MO",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1,15",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY",
    "FREQ=YEARLY;BYMONTH=3,4;BYDAY=2SU",
    "FREQ=YEARLY;BYYEARDAY=60,-280",
    "FREQ=YEARLY;BYWEEKNO=11,12;BYDAY=MO",
    "FREQ=YEARLY;BYDAY=11MO",
    "FREQ=DAILY;COUNT=80",
    "FREQ=WEEKLY;COUNT=9;BYDAY=MO,FR",
    "FREQ=DAILY;UNTIL=20260320T090000Z",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
]


@pytest.mark.parametrize("rule", RULES)
def test_the_days_are_those_of_recurring_ical_events(rule: str) -> None:
    held = series(rule)
    assert held.master is not None
    whole = icalendar.Calendar.from_ical(write_calendar("", [held.master.component]))
    for _ in range(3):
        first = FIRST + random.Random(rule).randint(0, 300) * DAY
        last = first + 90 * DAY
        span = [datetime.fromtimestamp(at / 1000, UTC) for at in (first, last)]
        theirs = recurring_ical_events.of(whole).between(*span)
        wanted = sorted(stamp_text(round(one.start.timestamp() * 1000)) for one in theirs)
        assert starts(held, first, 90) == wanted


NEVER = [
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31;COUNT=10",
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
    "FREQ=YEARLY;BYDAY=53MO;BYMONTH=1",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6;COUNT=9",
    "FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=300;COUNT=9000",
    "FREQ=YEARLY;BYYEARDAY=" + ",".join(str(one) for one in range(1, 367)) + ";BYSETPOS=366;INTERVAL=999",
    "FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;BYMONTHDAY="
    + ",".join(str(one) for one in range(1, 32))
    + ";COUNT=10000",
]


@pytest.mark.parametrize("rule", NEVER)
def test_a_rule_that_never_comes_or_comes_too_often_costs_little(rule: str) -> None:
    """Work is counted in calls, not in time: walking to the year 9999 would be millions of them."""
    held, calls = series(rule, "DTSTART:19000102T100000Z"), 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        found: object = len(occurrences(held, FIRST, FIRST + 40 * DAY, "Europe/Paris")) <= 41
    except AgendaRefused as refused:
        found = refused.slug
    finally:
        sys.setprofile(None)
    assert found in (True, "too-far")
    assert calls < 500_000


def test_too_much_at_once_is_refused() -> None:
    for slug, first, days in (
        ("span", FIRST, 2300),
        ("span", -(10**18), 1),
        ("too-many-instances", FIRST, 2190),
    ):
        with pytest.raises(AgendaRefused) as refused:
            starts(series("FREQ=DAILY"), first, days)
        assert refused.value.slug == slug
