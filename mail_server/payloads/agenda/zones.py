"""Names of time zones as calendars write them, and VTIMEZONE as we write it.

Times are held with names of the IANA database. Invariants: a name that cannot be told is refused, for an appointment an
hour off is worse than one that must be read in the letter; what is written for a zone is the same in Python and in the
page, octet for octet.
"""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from mail_server.payloads.agenda.model import AgendaRefused, zone_named

_UTC: Final = {
    "utc",
    "gmt",
    "z",
    "etc/utc",
    "etc/gmt",
    "zulu",
    "coordinated universal time",
    "greenwich mean time",
}
_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+/-]*")
# Zones told by what their VTIMEZONE does, where its name says nothing: offsets in minutes, month summer time begins in.
_RULES: Final[Mapping[tuple[int, int, int], str]] = {
    (60, 120, 3): "Europe/Paris",
    (0, 60, 3): "Europe/London",
    (120, 180, 3): "Europe/Helsinki",
    (-240, -180, 3): "America/Halifax",
    (-300, -240, 3): "America/New_York",
    (-360, -300, 3): "America/Chicago",
    (-420, -360, 3): "America/Denver",
    (-480, -420, 3): "America/Los_Angeles",
}


@dataclass(frozen=True, slots=True)
class Observance:
    """STANDARD or DAYLIGHT of a VTIMEZONE: minutes from UTC, month it begins in (0: not said)."""

    daylight: bool
    offset: int
    month: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A VTIMEZONE as it came."""

    name: str
    location: str  # X-LIC-LOCATION
    observances: tuple[Observance, ...]


@functools.lru_cache(maxsize=1024)
def known(name: str) -> bool:
    if not _NAME.fullmatch(name):
        return False
    try:
        zone_named(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones an OSError
        return False
    except KeyError:
        return False
    return True


def zone_of(written: str, zones: Mapping[str, Zone]) -> str:
    """The IANA name of a TZID; "UTC" for all names of that."""
    name = written.strip().strip('"')
    if name.lower() in _UTC:
        return "UTC"
    segments = name.strip("/").split("/")
    # "/mozilla.org/20050126_1/Europe/Paris" and the like end in the name
    for candidate in (name, *("/".join(segments[-count:]) for count in (3, 2) if len(segments) > count)):
        if known(candidate):
            return candidate
    if found := WINDOWS_TO_OLSON.get(name):
        return found
    zone = zones.get(written)
    if zone is None:
        raise AgendaRefused("zone")
    if known(zone.location):
        return zone.location
    return _by_rules(zone.observances)


def _by_rules(observances: Sequence[Observance]) -> str:
    standard = next((one for one in reversed(observances) if not one.daylight), None)
    summer = next((one for one in reversed(observances) if one.daylight), None)
    if standard is not None and summer is not None:
        found = _RULES.get((standard.offset, summer.offset, summer.month))
        if found is not None:
            return found
    elif standard is not None and standard.offset % 60 == 0 and abs(standard.offset) <= 720:
        hours = standard.offset // 60
        return "UTC" if hours == 0 else f"Etc/GMT{-hours:+d}"
    raise AgendaRefused("zone")


@dataclass(frozen=True, slots=True)
class _Change:
    """Clocks change: at this instant (seconds), from and to these offsets (seconds)."""

    at: int
    before: int
    after: int

    @property
    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.at + self.before, UTC)


def _offset(name: str, at: int) -> int:
    found = datetime.fromtimestamp(at, zone_named(name)).utcoffset()
    return round(found.total_seconds()) if found else 0


def _changes(name: str, first: int, last: int) -> list[_Change]:
    """Changes between the beginnings of two years: a look each week, then halving."""
    at, end = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first, last))
    found: list[_Change] = []
    while at < end:
        following = min(at + 7 * 86400, end)
        before, after = _offset(name, at), _offset(name, following)
        if before != after:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(name, middle) == before else (low, middle)
            found.append(_Change(high, before, after))
        at = following
    return found


def _pattern(change: _Change) -> tuple[int, int, bool, int, str]:
    wall = change.wall
    last = wall.day + 7 > calendar.monthrange(wall.year, wall.month)[1]
    return wall.month, wall.weekday(), last, (wall.day - 1) // 7 + 1, f"{wall:%H%M%S}"


def _weekday_rule(changes: Sequence[_Change]) -> str:
    """RRULE of changes that come each year on the same weekday of a month; "" when they do not."""
    told = [_pattern(one) for one in changes]
    month, weekday, _, nth, _ = told[0]
    if len({(one[0], one[1], one[4]) for one in told}) != 1:
        return ""
    name = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[weekday]
    if all(one[2] for one in told):
        return f"FREQ=YEARLY;BYMONTH={month};BYDAY=-1{name}"
    return f"FREQ=YEARLY;BYMONTH={month};BYDAY={nth}{name}" if len({one[3] for one in told}) == 1 else ""


def _written(seconds: int) -> str:
    rest = abs(seconds)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}{minutes:02d}" + (f"{rest:02d}" if rest else "")


def _observance(change: _Change, rule: str) -> list[str]:
    kind = "DAYLIGHT" if change.after > change.before else "STANDARD"
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{change.wall:%Y%m%dT%H%M%S}",
        *([f"RRULE:{rule}"] if rule else []),
        f"TZOFFSETFROM:{_written(change.before)}",
        f"TZOFFSETTO:{_written(change.after)}",
        f"END:{kind}",
    ]


@functools.lru_cache(maxsize=256)
def timezone_lines(name: str, year: int) -> tuple[str, ...]:
    """VTIMEZONE (RFC 5545 §3.6.5) that holds from the year before `year` on."""
    changes = _changes(name, year - 1, year + 2)
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    rules = {rises: [one for one in changes if (one.after > one.before) == rises] for rises in (True, False)}
    if not changes:
        offset = _offset(name, round(datetime(year, 1, 1, tzinfo=UTC).timestamp()))
        still = _Change(-offset, offset, offset)
        lines += _observance(still, "")
    elif (
        len(changes) == 6 and len(rules[True]) == 3 and all(_weekday_rule(every) for every in rules.values())
    ):
        for every in (rules[True], rules[False]):
            lines += _observance(every[0], _weekday_rule(every))
    else:  # no pattern: each change of the years around
        for one in _changes(name, year - 1, year + 6):
            lines += _observance(one, "")
    return (*lines, "END:VTIMEZONE")
