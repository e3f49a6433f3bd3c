"""Calendars read and written: real programs' habits, hostile files, and what was written reads back the same."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Attendee,
    Component,
    Organiser,
    Property,
    Rule,
    When,
)
from mail_server.payloads.agenda.reading import Calendar, read_calendar
from mail_server.payloads.agenda.writing import write_calendar

UI = Path(__file__).parents[4] / "webmail" / "ui" / "src" / "worker" / "agenda"


def calendar(*lines: str, before: str = "") -> str:
    return "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            *([before] if before else []),
            "BEGIN:VEVENT",
            "UID:1",
            *lines,
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    )


def read(*lines: str) -> Component:
    return read_calendar(calendar(*lines)).components[0]


def refusal(data: bytes | str) -> str:
    with pytest.raises(AgendaRefused) as refused:
        read_calendar(data)
    return refused.value.slug


START = "DTSTART:20261120T100000Z"

HOSTILE: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "not-a-calendar"),
    "zeroes": (b"\0" * 10_000, "not-a-calendar"),
    "a megabyte and more": (b"A" * 1_000_001, "too-large"),
    "one endless line": (calendar("SUMMARY:" + "x" * 900_000), "too-large"),
    "folded without end": ("BEGIN:VCALENDAR" + "\r\n " * 81_000, "too-many"),
    "a line too many": ("X:\r\n" * 20_001, "too-many"),
    "events without end": (calendar(START, *["END:VEVENT", "BEGIN:VEVENT", "UID:1"] * 501), "too-many"),
    "nested without end": ("BEGIN:VCALENDAR\r\n" * 1000, "nested"),
    "never closed": ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n", "not-a-calendar"),
    "closed crosswise": ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\nEND:VEVENT\r\n", "not-a-calendar"),
    "two calendars": (calendar(START) * 2, "not-a-calendar"),
    "no event": ("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "not-an-event"),
    "tasks": ("BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:1\r\nEND:VTODO\r\nEND:VCALENDAR\r\n", "not-an-event"),
    "a method of its own": (calendar(START, before="METHOD:DESTROY"), "method"),
    "no uid": ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "uid"),
    "an endless uid": (calendar(START).replace("UID:1", "UID:" + "1" * 1001), "uid"),
    "attendees without end": (calendar(START, *["ATTENDEE:mailto:a@b"] * 501), "too-many"),
    "dates without end": (calendar(START, "RDATE:" + ",".join(["20261120T100000Z"] * 1001)), "too-many-instances"),
    "exceptions without end": (calendar(START, *["EXDATE:20261120T100000Z"] * 1001), "too-many-instances"),
    "each second": (calendar(START, "RRULE:FREQ=SECONDLY"), "sub-daily"),
    "each minute": (calendar(START, "RRULE:FREQ=MINUTELY;COUNT=2"), "sub-daily"),
    "each hour": (calendar(START, "RRULE:freq=hourly"), "sub-daily"),
    "many times a day": (calendar(START, "RRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=1,2,3;BYSECOND=1,2"), "sub-daily"),
    "a million": (calendar(START, "RRULE:FREQ=DAILY;COUNT=1000000"), "too-many-instances"),
    "a number without end": (calendar(START, "RRULE:FREQ=DAILY;COUNT=" + "9" * 5000), "rule"),
    "an interval without end": (calendar(START, "RRULE:FREQ=DAILY;INTERVAL=100000"), "rule"),
    "digits of other scripts": (calendar(START, "RRULE:FREQ=DAILY;COUNT=٣"), "rule"),
    "a rule twice": (calendar(START, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "rule"),
    "rules that exclude": (calendar(START, "RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"), "rule"),
    "another calendar's months": (calendar(START, "RRULE:FREQ=YEARLY;RSCALE=HEBREW"), "rule"),
    "a list without end": (calendar(START, "RRULE:FREQ=DAILY;BYMONTHDAY=" + ",".join(["1"] * 3000)), "rule"),
    "a part twice": (calendar(START, "RRULE:FREQ=DAILY;COUNT=1;COUNT=2"), "rule"),
    "weeks of months": (calendar(START, "RRULE:FREQ=MONTHLY;BYWEEKNO=20"), "rule"),
    "the thirtieth of February": (calendar("DTSTART:20260230T100000Z"), "time"),
    "before there were calendars": (calendar("DTSTART:00010101T000000Z"), "time"),
    "the end of time": (calendar("DTSTART:99991231T235959Z"), "time"),
    "a time of letters": (calendar("DTSTART:demain"), "time"),
    "an end of days of a start of hours": (calendar(START, "DTEND;VALUE=DATE:20261121"), "time"),
    "a length without end": (calendar(START, "DURATION:P99999D"), "time"),
    "backwards": (calendar(START, "DURATION:-PT1H"), "time"),
    "no zone anybody knows": (calendar("DTSTART;TZID=../../etc/passwd:20261120T100000"), "zone"),
    "a zone that is a folder": (calendar("DTSTART;TZID=Europe:20261120T100000"), "zone"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_calendar_is_refused_with_its_slug(name: str) -> None:
    data, slug = HOSTILE[name]
    assert refusal(data) == slug
    assert refusal(data.encode() if isinstance(data, str) else data) == slug


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_nothing_but_a_slug_comes_of_rubbish(rubbish: bytes, inside: bool) -> None:
    data = calendar("X").encode().replace(b"X", rubbish) if inside else rubbish
    try:
        made: object = read_calendar(data)
    except AgendaRefused as refused:
        made = refused.slug
    assert made


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ("Romance Standard Time", "Europe/Paris"),
        ('"W. Europe Standard Time"', "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/Tzfile/Europe/Paris", "Europe/Paris"),
        ("/mozilla.org/20071231_1/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
        ("Etc/UTC", "UTC"),
        ("GMT", "UTC"),
    ],
)
def test_a_zone_is_known_by_the_names_that_programs_give_it(written: str, zone: str) -> None:
    assert read(f"DTSTART;TZID={written}:20261120T100000").start == When("2026-11-20T10:00:00", zone)


def test_every_windows_name_is_the_same_zone_in_the_page() -> None:
    assert json.loads((UI / "windows_zones.json").read_text()) == WINDOWS_TO_OLSON


def test_what_thunderbird_google_and_outlook_add_is_kept() -> None:
    one = read(START, "X-MOZ-GENERATION:1", "X-MICROSOFT-CDO-INTENDEDSTATUS;X-A=b:BUSY", "TRANSP:OPAQUE")
    assert [(kept.name, kept.value) for kept in one.extra] == [
        ("X-MOZ-GENERATION", "1"), ("X-MICROSOFT-CDO-INTENDEDSTATUS", "BUSY"), ("TRANSP", "OPAQUE"),
    ]  # fmt: skip
    assert one.extra[1].params == (("X-A", "b"),)


def test_icalendar_reads_what_is_read_here() -> None:
    lines = [
        START,
        "SUMMARY;LANGUAGE=fr:a\\, b\\nc",
        'ATTENDEE;CN="D; E";ROLE=CHAIR:mailto:x@y',
        "LOCATION:Été\\;2",
    ]
    ours = read(*lines)
    (theirs,) = icalendar.Calendar.from_ical(calendar(*lines)).walk("VEVENT")
    assert (ours.title, ours.place) == (str(theirs["SUMMARY"]), str(theirs["LOCATION"]))
    assert ours.attendees[0].name == theirs["ATTENDEE"].params["CN"]
    assert ours.start is not None
    assert ours.start.value() == theirs["DTSTART"].dt


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=80).map(
    lambda text: "".join(one for one in text if one == "\n" or one == "\t" or (one >= " " and one != "\x7f"))
)
NAME = TEXT.map(lambda text: text.replace("\n", " ").replace("\t", " "))
ADDRESS = st.sampled_from(["anne@example.com", "b+c@patient.example", "élise@example.com"])
LOCAL = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}")
WHEN = st.builds(
    When, LOCAL, st.sampled_from(["Europe/Paris", "UTC", "", "America/New_York", "Africa/Casablanca"])
)
ATTENDEE = st.builds(
    Attendee, ADDRESS, NAME, st.sampled_from(["NEEDS-ACTION", "ACCEPTED"]),
    st.sampled_from(["CHAIR", "REQ-PARTICIPANT"]),
    st.sampled_from(["INDIVIDUAL", "ROOM"]), st.booleans(), st.lists(ADDRESS, max_size=2, unique=True).map(tuple),
    st.lists(ADDRESS, max_size=2, unique=True).map(tuple), st.one_of(st.just(""), ADDRESS),
)  # fmt: skip
EXTRA = st.builds(Property, st.sampled_from(["X-A", "CLASS"]), st.just((("X-P", "a;b"),)), NAME)
COMPONENT = st.builds(
    Component,
    st.just("uid-1"),
    st.one_of(st.none(), WHEN),
    st.just(False),
    st.integers(0, 10**9 - 1),
    LOCAL.map(lambda local: f"{local}Z"),
    WHEN,
    st.none(),
    st.one_of(
        st.none(),
        st.builds(Rule, st.sampled_from(["DAILY", "YEARLY"]), st.integers(1, 9), st.integers(0, 99)),
    ),
    st.lists(WHEN, max_size=2).map(tuple),
    st.lists(WHEN, max_size=2).map(tuple),
    st.sampled_from(["", "CONFIRMED"]),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    st.one_of(st.none(), st.builds(Organiser, ADDRESS, NAME, st.just(""))),
    st.lists(ATTENDEE, max_size=3, unique_by=lambda one: one.address).map(tuple),
    st.lists(
        st.builds(Property, st.sampled_from(["X-A", "CLASS"]), st.just((("X-P", "a;b"),)), NAME), max_size=2
    ).map(tuple),
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["", "REQUEST"]), st.lists(COMPONENT, min_size=1, max_size=2))
def test_what_is_written_reads_back_the_same(method: str, components: list[Component]) -> None:
    written = write_calendar(method, components)
    assert all(len(line.encode()) <= 75 for line in written.split("\r\n"))
    assert read_calendar(written) == Calendar(method, tuple(components))
    assert icalendar.Calendar.from_ical(written).walk("VEVENT")
