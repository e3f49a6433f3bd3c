"""iCalendar (RFC 5545) into values: tolerant of Outlook, Google and Thunderbird, of hostile files not at all.

Lines are taken apart here and not by `icalendar` (nor in the page by ical.js), for the two differ where a line is odd:
ical.js loses the second value of a parameter and every VALUE, and one letter must be one appointment on both sides. The
tests hold what is read against `icalendar`. Invariants: the only thing raised is `AgendaRefused`, with a slug and
nothing of the file; size, lines, depth, events and lists are capped before they cost anything; a line that cannot be
read is left out, a time or a rule that cannot be read refuses the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import unquote

from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Attendee,
    Component,
    Message,
    Method,
    Organiser,
    Property,
    Rule,
    When,
)
from mail_server.payloads.agenda.rules import rule_of
from mail_server.payloads.agenda.zones import Observance, Zone, zone_of

SIZE: Final = 1_000_000  # octets of a file
LINES: Final = 20_000
LINE: Final = 65_536  # characters of one, unfolded
EVENTS: Final = 500
DATES: Final = 1000  # RDATE and EXDATE of one event
ATTENDEES: Final = 500
EXTRA: Final = 100  # properties kept that nothing is known of
_EXTRA_VALUE: Final = 4000
_TEXT: Final = {"SUMMARY": 1000, "LOCATION": 1000, "DESCRIPTION": 20_000, "COMMENT": 2000}
_DEPTH: Final = 4
METHODS: Final = ("PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER")
_CONTROL: Final = re.compile("[\0-\x08\x0b-\x1f\x7f]")
_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?")
_DURATION: Final = re.compile(
    r"([+-]?)P(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,7})M)?(?:([0-9]{1,9})S)?)?"
)
_MONTH: Final = re.compile(r"BYMONTH=([0-9]{1,2})(?:;|$)")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_PARAM: Final = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_PARAM_VALUE: Final = re.compile(r'"[^"]*"|[^",]+')
_CARET: Final = re.compile(r"\^[n'^]")
_CARETS: Final = {"^n": "\n", "^'": '"', "^^": "^"}
_OFFSET: Final = re.compile(r"([+-])([0-9]{2})([0-9]{2})(?:[0-9]{2})?")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    params: tuple[tuple[str, str], ...]
    value: str

    def param(self, name: str) -> str:
        return next((value for one, value in self.params if one == name), "")


@dataclass(frozen=True, slots=True)
class _Block:
    """BEGIN to END of one component."""

    kind: str
    lines: list[Line] = field(default_factory=lambda: list[Line]())
    blocks: list[_Block] = field(default_factory=lambda: list["_Block"]())

    def first(self, name: str) -> Line | None:
        return next((one for one in self.lines if one.name == name), None)

    def value(self, name: str) -> str:
        found = self.first(name)
        return "" if found is None else found.value


@dataclass(frozen=True, slots=True)
class Calendar:
    """A VCALENDAR: its METHOD ("" when it has none) and its events."""

    method: str
    components: tuple[Component, ...]


def read_calendar(data: bytes | str) -> Calendar:
    """The one VCALENDAR of a file."""
    if len(data) > SIZE:
        raise AgendaRefused("too-large")
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    blocks = [one for one in _blocks(_lines(text)) if one.kind == "VCALENDAR"]
    if len(blocks) != 1:
        raise AgendaRefused("not-a-calendar")
    whole = blocks[0]
    method = whole.value("METHOD").strip().upper()
    if method and method not in METHODS:
        raise AgendaRefused("method")
    zones = {zone.name: zone for zone in map(_zone, whole.blocks) if zone is not None}
    events = [one for one in whole.blocks if one.kind == "VEVENT"]
    if not events:
        raise AgendaRefused("not-an-event")
    if len(events) > EVENTS:
        raise AgendaRefused("too-many")
    return Calendar(method, tuple(_component(one, zones) for one in events))


def read_messages(data: bytes | str, sender: str, received: int) -> tuple[Message, ...]:
    """The iTIP messages of a file, one for each UID (RFC 5546 §3: one per message; Outlook and Google send more)."""
    calendar = read_calendar(data)
    if not calendar.method:
        raise AgendaRefused("method")
    found: dict[str, list[Component]] = {}
    for one in calendar.components:
        found.setdefault(one.uid, []).append(one)
    method = cast("Method", calendar.method)
    return tuple(Message(method, tuple(each), sender, received) for each in found.values())


def _lines(text: str) -> Iterable[Line]:
    """Content lines, unfolded (RFC 5545 §3.1); those that cannot be taken apart are left out."""
    raw = re.split("\r\n|\n|\r", text.removeprefix("\ufeff"), maxsplit=LINES * 4)
    if len(raw) > LINES * 4:
        raise AgendaRefused("too-many")
    lines: list[list[str]] = []
    for one in raw:
        if one[:1] in (" ", "\t") and lines:
            lines[-1].append(one[1:])
        elif one:
            lines.append([one])
    if len(lines) > LINES:
        raise AgendaRefused("too-many")
    for pieces in lines:
        whole = _CONTROL.sub("", "".join(pieces))
        if len(whole) > LINE:
            raise AgendaRefused("too-large")
        line = _line(whole)
        if line is not None:
            yield line


def _line(written: str) -> Line | None:
    """Name, parameters, value (RFC 5545 §3.1, RFC 6868)."""
    name = _NAME.match(written)
    if name is None:
        return None
    at, told = name.end(), list[tuple[str, str]]()
    while found := _PARAM.match(written, at):
        at = found.end()
        for one in _PARAM_VALUE.findall(found[2]):
            value = one[1:-1] if one.startswith('"') else one
            told.append((found[1].upper(), _CARET.sub(lambda match: _CARETS[match[0]], value)))
    return Line(name[0].upper(), tuple(told), written[at + 1 :]) if written[at : at + 1] == ":" else None


def _blocks(lines: Iterable[Line]) -> list[_Block]:
    top = _Block("")
    stack = [top]
    for line in lines:
        if line.name == "BEGIN":
            if len(stack) > _DEPTH:
                raise AgendaRefused("nested")
            block = _Block(line.value.strip().upper())
            stack[-1].blocks.append(block)
            stack.append(block)
        elif line.name == "END":
            if len(stack) == 1 or stack[-1].kind != line.value.strip().upper():
                raise AgendaRefused("not-a-calendar")
            stack.pop()
        else:
            stack[-1].lines.append(line)
    if len(stack) != 1:
        raise AgendaRefused("not-a-calendar")
    return top.blocks


def _zone(block: _Block) -> Zone | None:
    if block.kind != "VTIMEZONE":
        return None
    observances = [
        Observance(one.kind == "DAYLIGHT", _minutes(one.value("TZOFFSETTO")), _month(one))
        for one in block.blocks
        if one.kind in ("STANDARD", "DAYLIGHT")
    ]
    return Zone(block.value("TZID"), block.value("X-LIC-LOCATION").strip(), tuple(observances))


def _minutes(written: str) -> int:
    found = _OFFSET.fullmatch(written.strip())
    if found is None:
        raise AgendaRefused("zone")
    return (1 if found[1] == "+" else -1) * (int(found[2]) * 60 + int(found[3]))


def _month(block: _Block) -> int:
    rule = _MONTH.search(block.value("RRULE").upper())
    if rule is not None:
        return int(rule[1])
    start = block.value("DTSTART")
    return int(start[4:6]) if start[4:6].isascii() and start[4:6].isdigit() else 0


# ------------------------------------------------------------------------------------------------- one event

_READ: Final = {
    "UID", "RECURRENCE-ID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE",
    "STATUS", "ORGANIZER", "ATTENDEE", *_TEXT,
}  # fmt: skip


def _component(block: _Block, zones: Mapping[str, Zone]) -> Component:
    uid = block.value("UID").strip()
    if not 0 < len(uid) <= 1000:
        raise AgendaRefused("uid")
    start = _when(block.first("DTSTART"), zones)
    recurrence = block.first("RECURRENCE-ID")
    attendees = [one for one in block.lines if one.name == "ATTENDEE"]
    if len(attendees) > ATTENDEES:
        raise AgendaRefused("too-many")
    people = {one.address: one for one in reversed([_attendee(one) for one in attendees]) if one.address}
    return Component(
        uid,
        _when(recurrence, zones),
        recurrence is not None and recurrence.param("RANGE").upper() == "THISANDFUTURE",
        _sequence(block.value("SEQUENCE")),
        _stamp(block.value("DTSTAMP")),
        start,
        _end(block, start, zones),
        _rule(block, start),
        _dates(block, "RDATE", zones),
        _dates(block, "EXDATE", zones),
        _status(block.value("STATUS")),
        _text(block, "SUMMARY"),
        _text(block, "LOCATION"),
        _text(block, "DESCRIPTION"),
        _text(block, "COMMENT"),
        _organiser(block.first("ORGANIZER")),
        tuple(reversed(people.values())),
        _extra(block),
    )


def _when(line: Line | None, zones: Mapping[str, Zone]) -> When | None:
    return None if line is None else _time(line.value, line.param("TZID"), zones)


def _time(written: str, tzid: str, zones: Mapping[str, Zone]) -> When:
    found = _TIME.fullmatch(written.strip())
    if found is None:
        raise AgendaRefused("time")
    year, month, day, hour, minute, second, utc = found.groups()
    local = f"{year}-{month}-{day}" if hour is None else f"{year}-{month}-{day}T{hour}:{minute}:{second}"
    if second == "60":  # a leap second
        local = f"{local[:-2]}59"
    made = When(local, "UTC" if utc else zone_of(tzid, zones) if tzid and hour is not None else "")
    try:
        made.naive  # noqa: B018
    except ValueError:
        raise AgendaRefused("time") from None
    if not 1900 <= int(year) <= 2200:
        raise AgendaRefused("time")
    return made


def _stamp(written: str) -> str:
    if not written.strip():
        return ""
    made = _time(written, "", {})
    return f"{made.local}T00:00:00Z" if made.day else f"{made.local}Z"


def _sequence(written: str) -> int:
    value = written.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _status(written: str) -> str:
    value = written.strip().upper()
    return value if value in ("TENTATIVE", "CONFIRMED", "CANCELLED") else ""


def _end(block: _Block, start: When | None, zones: Mapping[str, Zone]) -> When | None:
    end = _when(block.first("DTEND"), zones)
    length = block.first("DURATION")
    if end is None and start is not None and length is not None:
        end = start.moved(_seconds(length.value))
    if end is None or start is None:
        return None
    if end.day != start.day:
        raise AgendaRefused("time")
    if start.day and end.local <= start.local:
        return None  # a day that ends where it begins is that day
    return end if end.instant("UTC") >= start.instant("UTC") else None


def _seconds(written: str) -> int:
    found = _DURATION.fullmatch(written.strip())
    if found is None:
        raise AgendaRefused("time")
    weeks, days, hours, minutes, seconds = (int(one or 0) for one in found.groups()[1:])
    total = ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds
    if found[1] == "-" or total > 3660 * 86400:
        raise AgendaRefused("time")
    return total


def _rule(block: _Block, start: When | None) -> Rule | None:
    rules = [one for one in block.lines if one.name in ("RRULE", "EXRULE")]
    if not rules:
        return None
    if len(rules) > 1 or rules[0].name == "EXRULE" or start is None:
        raise AgendaRefused("rule")
    return rule_of(rules[0].value, start, lambda written: _time(written, "", {}))


def _dates(block: _Block, name: str, zones: Mapping[str, Zone]) -> tuple[When, ...]:
    found: list[When] = []
    for line in block.lines:
        if line.name == name:
            pieces = line.value.split(",")
            if len(pieces) + len(found) > DATES:
                raise AgendaRefused("too-many-instances")
            # of a PERIOD its start counts
            found += [
                _time(one.partition("/")[0], line.param("TZID"), zones) for one in pieces if one.strip()
            ]
    return tuple(found)


def _text(block: _Block, name: str) -> str:
    return unescaped(block.value(name))[: _TEXT[name]]


def unescaped(written: str) -> str:
    """RFC 5545 §3.3.11."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], written, flags=re.DOTALL)


def address_of(written: str) -> str:
    """The address of a "mailto:" however it is written; "" for any other URI."""
    scheme, found, rest = written.strip().partition(":")
    if not found:
        rest = scheme
    elif scheme.lower() != "mailto":
        return ""
    address = unquote(rest.partition("?")[0]).strip().lower()
    return address if "@" in address and len(address) <= 320 and not re.search(r"[\s<>,;]", address) else ""


def _organiser(line: Line | None) -> Organiser | None:
    if line is None:
        return None
    address = address_of(line.value)
    if not address:
        return None
    return Organiser(address, line.param("CN")[:200], address_of(line.param("SENT-BY")))


def _attendee(line: Line) -> Attendee:
    return Attendee(
        address_of(line.value),
        line.param("CN")[:200],
        line.param("PARTSTAT").upper()[:40] or "NEEDS-ACTION",
        line.param("ROLE").upper()[:40] or "REQ-PARTICIPANT",
        line.param("CUTYPE").upper()[:40] or "INDIVIDUAL",
        line.param("RSVP").upper() == "TRUE",
        _addresses(line, "DELEGATED-TO"),
        _addresses(line, "DELEGATED-FROM"),
        address_of(line.param("SENT-BY")),
    )


def _addresses(line: Line, name: str) -> tuple[str, ...]:
    values = [value for one, value in line.params if one == name]
    found = [address_of(each) for value in values for each in value.split(",")]
    return tuple(dict.fromkeys(one for one in found if one))[:20]


def _extra(block: _Block) -> tuple[Property, ...]:
    kept = [one for one in block.lines if one.name not in _READ and len(one.value) <= _EXTRA_VALUE]
    return tuple(Property(one.name, one.params, one.value) for one in kept[:EXTRA])
