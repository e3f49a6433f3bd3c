"""Values into iCalendar (RFC 5545): what both sides write is the same, octet for octet.

Invariants: what is written reads back as the same values; lines are folded at 75 octets and end in CRLF; nothing of a
value can begin a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mail_server.payloads.agenda.model import Attendee, Component, Message, Organiser, Property, When
from mail_server.payloads.agenda.rules import rule_text
from mail_server.payloads.agenda.zones import timezone_lines

PRODID: Final = "-//Vaguemestre//Agenda 1//FR"
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FOLD: Final = 75


def write_message(message: Message) -> str:
    return write_calendar(message.method, message.components)


def write_calendar(method: str, components: Sequence[Component]) -> str:
    """A VCALENDAR with the time zones it needs."""
    lines = ["BEGIN:VCALENDAR", f"PRODID:{PRODID}", "VERSION:2.0", "CALSCALE:GREGORIAN"]
    if method:
        lines.append(f"METHOD:{method}")
    lines += _zones(components)
    for one in components:
        lines += _event(one)
    lines.append("END:VCALENDAR")
    return "".join(f"{piece}\r\n" for line in lines for piece in _folded(line))


def _times(components: Iterable[Component]) -> Iterator[When]:
    for one in components:
        until = one.rule.until if one.rule is not None else None
        for when in (one.start, one.end, one.recurrence, until, *one.rdates, *one.exdates):
            if when is not None:
                yield when


def _zones(components: Sequence[Component]) -> Iterator[str]:
    first: dict[str, int] = {}
    for when in _times(components):
        if when.zone not in ("", "UTC"):
            year = int(when.local[:4])
            first[when.zone] = min(first.get(when.zone, year), year)
    for name in sorted(first):
        yield from timezone_lines(name, first[name])


def _event(one: Component) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_plain(one.uid)}"
    if one.recurrence is not None:
        yield _at("RECURRENCE-ID", one.recurrence, ";RANGE=THISANDFUTURE" if one.future else "")
    yield f"SEQUENCE:{one.sequence}"
    if one.stamp:
        yield f"DTSTAMP:{_compact(one.stamp)}"
    if one.start is not None:
        yield _at("DTSTART", one.start)
    if one.end is not None:
        yield _at("DTEND", one.end)
    if one.rule is not None:
        until = one.rule.until
        yield f"RRULE:{rule_text(one.rule, '' if until is None else _written(until))}"
    for when in one.rdates:
        yield _at("RDATE", when)
    for when in one.exdates:
        yield _at("EXDATE", when)
    if one.status:
        yield f"STATUS:{one.status}"
    for name, text in (
        ("SUMMARY", one.title),
        ("LOCATION", one.place),
        ("DESCRIPTION", one.description),
        ("COMMENT", one.comment),
    ):
        if text:
            yield f"{name}:{_escaped(text)}"
    if one.organiser is not None:
        yield _organiser(one.organiser)
    for person in one.attendees:
        yield _attendee(person)
    for kept in one.extra:
        yield _kept(kept)
    yield "END:VEVENT"


def _at(name: str, when: When, params: str = "") -> str:
    if when.day:
        return f"{name}{params};VALUE=DATE:{_written(when)}"
    zone = f";TZID={when.zone}" if when.zone not in ("", "UTC") else ""
    return f"{name}{params}{zone}:{_written(when)}"


def _written(when: When) -> str:
    return _compact(when.local) + ("Z" if when.zone == "UTC" else "")


def _compact(text: str) -> str:
    return text.replace("-", "").replace(":", "")


def _organiser(one: Organiser) -> str:
    params = [("CN", one.name)] if one.name else []
    if one.sentby:
        params.append(("SENT-BY", f"mailto:{one.sentby}"))
    return f"ORGANIZER{_params(params)}:mailto:{_plain(one.address)}"


def _attendee(one: Attendee) -> str:
    params = [("CN", one.name)] if one.name else []
    if one.kind != "INDIVIDUAL":
        params.append(("CUTYPE", one.kind))
    if one.role != "REQ-PARTICIPANT":
        params.append(("ROLE", one.role))
    params.append(("PARTSTAT", one.status))
    if one.rsvp:
        params.append(("RSVP", "TRUE"))
    if one.sentby:
        params.append(("SENT-BY", f"mailto:{one.sentby}"))
    written = _params(params)
    for name, people in (("DELEGATED-TO", one.delegates), ("DELEGATED-FROM", one.delegators)):
        if people:
            written += f";{name}=" + ",".join(f'"mailto:{_plain(each)}"' for each in people)
    return f"ATTENDEE{written}:mailto:{_plain(one.address)}"


def _kept(one: Property) -> str:
    return f"{one.name}{_params(one.params)}:{_plain(one.value)}"


def _params(params: Iterable[tuple[str, str]]) -> str:
    """RFC 6868 for what a quoted value cannot hold."""
    written = ""
    for name, value in params:
        told = (
            _CONTROL.sub("", value)
            .replace("^", "^^")
            .replace("\r", "")
            .replace("\n", "^n")
            .replace('"', "^'")
        )
        quoted = f'"{told}"' if re.search(r"[^A-Za-z0-9_.+/@-]", told) else told
        written += f";{name}={quoted}"
    return written


def _plain(text: str) -> str:
    return re.sub("[\0-\x1f\x7f]", "", text)


def _escaped(text: str) -> str:
    """RFC 5545 §3.3.11."""
    told = _CONTROL.sub("", text).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return told.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def _folded(line: str) -> Iterator[str]:
    """RFC 5545 §3.1, never within a character."""
    if len(line) * 4 <= _FOLD or len(line.encode("utf-8", "replace")) <= _FOLD:
        yield line
        return
    piece, size = "", 0
    for character in line:
        octets = len(character.encode("utf-8", "replace"))
        if size + octets > _FOLD:
            yield piece
            piece, size = " ", 1
        piece += character
        size += octets
    yield piece
