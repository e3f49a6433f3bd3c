"""What messages of an organiser and of an attendee have in common: stamps, times of an occurrence, an envelope.

Invariant: pure; DTSTAMPs of one party only grow, also within a second.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Component,
    Me,
    Message,
    Method,
    Outgoing,
    When,
    stamp_text,
    zone_named,
)


def next_stamp(last: str, now: int) -> str:
    """Now, or a second after the last: two messages of one second would be told apart by nothing else."""
    stamp = stamp_text(now)
    if stamp > last:
        return stamp
    return stamp_text(round(datetime.fromisoformat(last).timestamp() * 1000) + 1000)


def when_of(appointment: Appointment, key: str) -> When:
    """RECURRENCE-ID of an occurrence, as its organiser writes times."""
    held = standing.override(appointment, key)
    if held is not None and held.component.recurrence is not None:
        return held.component.recurrence
    start = None if appointment.master is None else appointment.master.component.start
    if start is None:
        raise AgendaRefused("no-occurrence")
    if start.day or not start.zone:
        return When(key)
    try:
        there = datetime.fromisoformat(key)
    except ValueError:
        raise AgendaRefused("no-occurrence") from None
    if start.zone == "UTC" or there.tzinfo is None:
        return When(key.removesuffix("Z"), "UTC")
    return When(f"{there.astimezone(zone_named(start.zone)):%Y-%m-%dT%H:%M:%S}", start.zone)


def length(component: Component) -> int:
    """Seconds from start to end on the wall (RFC 5545 §3.6.1: a day without an end lasts one, a time none)."""
    start, end = component.start, component.end
    if start is None or end is None:
        return 86400 if start is not None and start.day else 0
    if start.day or start.zone == end.zone:
        return round((end.naive - start.naive).total_seconds())
    return (end.instant("UTC") - start.instant("UTC")) // 1000


def occurrence_of(appointment: Appointment, key: str) -> Component:
    """The component of one occurrence: its own, or the series' at that time."""
    held = standing.governing(appointment, key)
    if held is None:
        raise AgendaRefused("no-occurrence")
    one = held.component
    if one.key == key:
        return one
    at = when_of(appointment, key)
    # of a "this and future" the distance from its RECURRENCE-ID counts (RFC 5545 §3.8.4.4)
    shift = 0
    if one.recurrence is not None and one.start is not None:
        shift = round((one.start.naive - one.recurrence.naive).total_seconds())
    start = at.moved(shift)
    return replace(
        one,
        recurrence=at,
        future=False,
        start=start,
        end=start.moved(length(one)) if one.end is not None else None,
        rule=None,
        rdates=(),
        exdates=(),
    )


def whole_of(appointment: Appointment) -> Component:
    if appointment.master is not None:
        return appointment.master.component
    if len(appointment.overrides) == 1:
        return appointment.overrides[0].component
    raise AgendaRefused("no-occurrence")


def component_of(appointment: Appointment, key: str) -> Component:
    """The whole where no key is given, else one occurrence."""
    return occurrence_of(appointment, key) if key else whole_of(appointment)


def out(to: tuple[str, ...], method: Method, components: list[Component], me: Me, now: int) -> Outgoing:
    return Outgoing(to, Message(method, tuple(components), me.address, now))
