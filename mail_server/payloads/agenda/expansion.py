"""Which occurrences an appointment has between two instants.

Repetitions are walked on the wall of the series' own time zone (`walking`); occurrences with components of their own,
dates left out and "this and future" are laid over here, as in the page. Invariants: pure; the work is bounded by the
window asked about; what would be more is refused with a slug.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.composing import length, occurrence_of
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Component,
    Held,
    Rule,
    When,
    zone_named,
)
from mail_server.payloads.agenda.walking import days

SPAN: Final = 6 * 366 * 86_400_000  # milliseconds that may be asked about at once
OCCURRENCES: Final = 2000
_EARLIEST: Final = -2_208_988_800_000  # year 1900
_LATEST: Final = 7_289_654_400_000  # year 2201
_MARGIN: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`key` "" when the appointment comes once; milliseconds; `day` is the date of one that lasts whole days."""

    key: str
    start: int
    end: int
    day: str
    cancelled: bool
    component: Component


def occurrences(appointment: Appointment, first: int, last: int, here: str) -> tuple[Occurrence, ...]:
    """Those that touch [first, last[, in order. `here`: the zone of who asks, for whole days and floating times."""
    if last - first > SPAN or not _EARLIEST <= first <= last <= _LATEST:
        raise AgendaRefused("span")
    found: list[Occurrence] = []
    for one in _all(appointment, first, last, here):
        if (one.start < last and one.end > first) or (one.start == one.end and first <= one.start < last):
            found.append(one)
        if len(found) > OCCURRENCES:
            raise AgendaRefused("too-many-instances")
    return tuple(sorted(found, key=lambda one: (one.start, one.key)))


def _all(appointment: Appointment, first: int, last: int, here: str) -> Iterator[Occurrence]:
    master = appointment.master
    gone = master is not None and master.component.status == "CANCELLED"
    own = {one.component.key for one in appointment.overrides}
    if master is not None and master.component.start is not None:
        left_out = {one.key for one in master.component.exdates}
        for start in _starts(master.component, _reach(appointment), first, last, here):
            key = start.key if standing.recurring(appointment) else ""
            if key and (key in own or key in left_out or start.local[:10] in left_out):
                continue
            one = occurrence_of(appointment, key) if key else master.component
            off = gone or standing.cancelled(appointment, key)
            yield _occurrence(replace(one, status="CANCELLED") if off else one, key, here, cancelled=off)
    for held in appointment.overrides:
        yield from _own(appointment, master, held, here, gone=gone)
    for held in appointment.added:
        for start in _starts(held.component, timedelta(), first, last, here):
            if start.key not in own and start.key not in {one.key for one in held.component.exdates}:
                moved = start.moved(length(held.component)) if held.component.end is not None else None
                one = replace(held.component, start=start, end=moved)
                yield _occurrence(one, start.key, here, cancelled=gone)


def _own(
    appointment: Appointment, master: Held | None, held: Held, here: str, *, gone: bool
) -> Iterator[Occurrence]:
    """An occurrence that has a component of its own; a series stated later, by DTSTAMP, may leave it out."""
    one, key = held.component, held.component.key
    left_out = set[str]() if master is None else {each.key for each in master.component.exdates}
    if master is not None and key in left_out and held.stamp <= master.stamp:
        return
    if one.status == "CANCELLED" and master is not None and master.component.start is not None:
        series = replace(appointment, overrides=())
        told = occurrence_of(series, key)
        yield _occurrence(replace(told, status="CANCELLED", comment=one.comment), key, here, cancelled=True)
    else:
        yield _occurrence(one, key, here, cancelled=gone or one.status == "CANCELLED")


def _occurrence(one: Component, key: str, here: str, *, cancelled: bool) -> Occurrence:
    start = one.start
    assert start is not None
    begins = start.instant(here)
    ends = (one.end or start.moved(length(one))).instant(here)
    return Occurrence(key, begins, max(begins, ends), start.local if start.day else "", cancelled, one)


def _reach(appointment: Appointment) -> timedelta:
    """How far "this and future" may move what the rule gives."""
    far = 0.0
    for held in appointment.overrides:
        one = held.component
        if one.future and one.start is not None and one.recurrence is not None:
            far = max(far, abs((one.start.naive - one.recurrence.naive).total_seconds()))
    return timedelta(seconds=min(far, 366 * 86400))


def _starts(one: Component, reach: timedelta, first: int, last: int, here: str) -> list[When]:
    """When the component's occurrences begin, at least those that touch the window."""
    start = one.start
    assert start is not None
    if one.rule is None and not one.rdates:
        return [start]
    margin = _MARGIN + reach
    low = _wall(first, start, here) - margin - timedelta(seconds=length(one))
    high = _wall(last, start, here) + margin
    dates = {start.local} if one.rule is None else _by_rule(one.rule, start, low, high)
    for extra in one.rdates:
        dates.add(_alike(extra, start).local)
    return [
        When(local, start.zone) for local in sorted(dates) if low <= datetime.fromisoformat(local) <= high
    ]


def _wall(instant: int, start: When, here: str) -> datetime:
    zone = start.zone or here
    return datetime.fromtimestamp(instant / 1000, UTC if zone == "UTC" else zone_named(zone)).replace(
        tzinfo=None
    )


def _alike(when: When, start: When) -> When:
    """A date of the series in the form of its start: day, floating, or time in the same zone."""
    if start.day:
        return When(when.local[:10])
    if when.day:
        return When(when.local + start.local[10:], start.zone)
    if not start.zone or not when.zone or start.zone == when.zone:
        return When(when.local, start.zone)
    there = _wall(when.instant("UTC"), start, "UTC")
    return When(f"{there:%Y-%m-%dT%H:%M:%S}", start.zone)


def _until(rule: Rule, start: When) -> When | None:
    """The last moment of a rule on the start's wall; a day said for a time means that whole day."""
    until = rule.until
    if until is None:
        return None
    if start.day or not until.day:
        return _alike(until, start)
    return When(f"{until.local}T23:59:59", start.zone)


def _by_rule(rule: Rule, start: When, low: datetime, high: datetime) -> set[str]:
    """Local starts that the rule gives between two moments of the wall, the very first always among its own."""
    until, clock = _until(rule, start), start.local[10:]
    if until is not None and until.local < start.local:
        return set()
    found = {f"{one.isoformat()}{clock}" for one in days(rule, start.naive.date(), low.date(), high.date())}
    return {one for one in {*found, start.local} if until is None or one <= until.local}
