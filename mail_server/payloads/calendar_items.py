"""What a calendar part holds, as items of a manifest: a look at its content lines (RFC 5545 §3.1), no more.

Who shows or answers an appointment reads the calendar whole (`payloads.agenda`); here it is only told that it is there,
which one, and when. The page looks the same way (`webmail/ui/src/worker/record/calendar_items.ts`).

Invariants: never raises; one pass; nothing is expanded, so a rule of a million instances costs its own length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mail_server.payloads.manifest import APPOINTMENT, ICS, ITEMS, Item, hash_of

_MOST: Final = 1 << 20  # octets looked at
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"\r?\n")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_WHEN = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?", re.ASCII)
_SEQUENCE = re.compile(r"\d{1,9}", re.ASCII)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_WANTED: Final = frozenset({"UID", "SEQUENCE", "DTSTAMP", "RECURRENCE-ID", "SUMMARY", "DTSTART", "ORGANIZER"})


@dataclass(slots=True)
class _Look:
    method: str = ""
    events: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


def appointments(content: bytes, part: str, method: str) -> list[Item]:
    """One item for each VEVENT. `method`: what the part's type says, for a calendar that says nothing itself.

    None where the two say otherwise (RFC 6047 §2.4): what cannot be told is a file, and nothing comes of it by itself.
    """
    text = _text(content[:_MOST])
    look = _look(text)
    outer, inner = method.strip().upper(), look.method.upper()
    if outer and inner and outer != inner:
        return []
    told = inner or outer
    digest = hash_of(content)
    items: list[Item] = []
    for event in look.events[: ITEMS + 1]:
        items.append(
            Item(
                APPOINTMENT,
                event.get("UID", ""),
                title=_unescaped(event.get("SUMMARY", "")),
                at=_iso(event.get("DTSTART", "")),
                author=_address(event.get("ORGANIZER", "")),
                hash=digest,
                size=len(content),
                part=part,
                method=told,
                sequence=_sequence(event.get("SEQUENCE", "")),
                stamp=_iso(event.get("DTSTAMP", "")),
                recurrence=event.get("RECURRENCE-ID", ""),
                ics=text if not items and len(text) <= ICS else "",  # once: the others lie in the same part
            )
        )
    return items


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _look(text: str) -> _Look:
    found = _Look()
    open_: list[str] = []
    event: dict[str, str] = {}
    for line in _LINE.split(_FOLD.sub("", text)):
        name, value = _split(line)
        if name == "BEGIN":
            open_.append(value.strip().upper())
            if open_ == ["VCALENDAR", "VEVENT"]:
                event = {}
                found.events.append(event)
        elif name == "END":
            if open_:
                open_.pop()
        elif name == "METHOD" and open_ == ["VCALENDAR"]:
            found.method = found.method or value.strip()
        elif name in _WANTED and open_ == ["VCALENDAR", "VEVENT"]:
            event.setdefault(name, value.strip())
    return found


def _split(line: str) -> tuple[str, str]:
    """Name and value of a content line; parameters, whose quotes may hold a colon, are passed over."""
    name = _NAME.match(line)
    if name is None:
        return "", ""
    colon = line.find(":", name.end())
    if colon < 0 or '"' not in line[:colon]:
        return (name[0].upper(), line[colon + 1 :]) if colon >= 0 else ("", "")
    quoted = False
    for at in range(name.end(), len(line)):
        if line[at] == '"':
            quoted = not quoted
        elif line[at] == ":" and not quoted:
            return name[0].upper(), line[at + 1 :]
    return "", ""


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def _iso(value: str) -> str:
    match = _WHEN.fullmatch(value)
    if match is None:
        return ""
    year, month, day, hour, minute, second, zone = match.groups()
    return f"{year}-{month}-{day}" + (f"T{hour}:{minute}:{second}{zone}" if hour else "")


def _address(value: str) -> str:
    return (value[7:] if value[:7].lower() == "mailto:" else value).lower()


def _sequence(value: str) -> int:
    return int(value) if _SEQUENCE.fullmatch(value) else 0
