"""Dates of searches: a prefix and a moment of any precision (FHIR R4 search §3.1.1.4.7).

Invariants: pure; a date that does not exist is None; what has no time zone is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal, cast

Comparison = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]

_FORM = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb)?"
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(T(?P<hour>\d{2}):(?P<minute>\d{2})(:(?P<second>\d{2})(\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+ -]\d{2}:\d{2})?)?)?)?",
    re.ASCII,
)
_LAST_HOUR_OF_ZONES = 14


@dataclass(frozen=True, slots=True)
class Moment:
    """From `low` until before `high` (ms UTC): as long as what was written is precise."""

    comparison: Comparison
    low: int
    high: int

    def holds(self, at: int) -> bool:
        match self.comparison:
            case "eq":
                return self.low <= at < self.high
            case "ne":
                return not self.low <= at < self.high
            case "gt" | "sa":
                return at >= self.high
            case "lt" | "eb":
                return at < self.low
            case "ge":
                return at >= self.low
            case "le":
                return at < self.high

    @property
    def not_before(self) -> int:
        """Nothing that is older can hold."""
        match self.comparison:
            case "eq" | "ge":
                return self.low
            case "gt" | "sa":
                return self.high
            case _:
                return 0


def moment(text: str) -> Moment | None:
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    try:
        low, high = _interval(found)
        bounds = round(low.timestamp() * 1000), round(high.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return Moment(cast("Comparison", found["prefix"] or "eq"), *bounds)


def _interval(found: re.Match[str]) -> tuple[datetime, datetime]:
    year, month = int(found["year"]), int(found["month"] or 1)
    zone = _zone(found["zone"])
    if found["month"] is None:
        return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    if found["day"] is None:
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return datetime(year, month, 1, tzinfo=UTC), after
    day = datetime(year, month, int(found["day"]), tzinfo=zone)
    if found["hour"] is None:
        return day, day + timedelta(days=1)
    hour, minute = int(found["hour"]), int(found["minute"])
    if found["second"] is None:
        low = day.replace(hour=hour, minute=minute)
        return low, low + timedelta(minutes=1)
    low = day.replace(hour=hour, minute=minute, second=int(found["second"]))
    if found["fraction"] is None:
        return low, low + timedelta(seconds=1)
    low += timedelta(milliseconds=int(found["fraction"][:3].ljust(3, "0")))
    return low, low + timedelta(milliseconds=1)


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > _LAST_HOUR_OF_ZONES or minutes > 59:
        raise ValueError("no such time zone")
    # "+" that was not encoded in a query is a space by now.
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def instant(at: int) -> str:
    """As `meta.lastUpdated` is written: 2026-11-22T08:00:00.000Z."""
    moment_ = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment_:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
