"""Times of HL7 version 3 (TS: YYYYMMDDHHMMSS.UUUU±ZZZZ) and of ISO 8601, each way, with the precision they came with.

Invariants: never raises; what is no time is "".
"""

from __future__ import annotations

import re
from typing import Final

_HL7: Final = re.compile(
    r"([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?(?:\.[0-9]+)?([+-][0-9]{4}|Z)?"
)
_ISO: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SPACES: Final = " \t\r\n"


def iso_of(told: str) -> str:
    """ "20261120083000+0100" is "2026-11-20T08:30:00+01:00"; "2026" stays. An hour without minutes is its day."""
    found = _HL7.fullmatch(told.strip(_SPACES))
    return _iso(*found.groups(default="")) if found else ""


def tidy(told: str) -> str:
    """A time of ISO 8601 (FHIR's dateTime) as `iso_of` writes it; "" when it is none."""
    found = _ISO.fullmatch(told.strip(_SPACES))
    return _iso(*found.groups(default="")) if found else ""


def hl7_of(iso: str) -> str:
    """The way back, for what we write."""
    found = _ISO.fullmatch(iso)
    if found is None:
        return ""
    year, month, day, hour, minute, second, zone = found.groups(default="")
    if not hour:
        return year + month + day
    return (
        f"{year}{month}{day}{hour}{minute}{second or '00'}{zone.replace(':', '') if zone != 'Z' else '+0000'}"
    )


def day_of(iso: str) -> str:
    """The day of a time, as a person in France reads it: "20/11/2026", "11/2026", "2026"."""
    return "/".join(reversed(iso[:10].split("-"))) if iso else ""


def _iso(year: str, month: str, day: str, hour: str, minute: str, second: str, zone: str) -> str:
    if not month:
        return year
    if not 1 <= int(month) <= 12:
        return ""
    if not day:
        return f"{year}-{month}"
    if not 1 <= int(day) <= _DAYS[int(month) - 1]:
        return ""
    date = f"{year}-{month}-{day}"
    if not hour or not minute:
        return date
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        return date
    clock = f"{hour}:{minute}:{second or '00'}"
    return f"{date}T{clock}{_zone(zone)}"


def _zone(zone: str) -> str:
    if zone in ("", "Z", "+0000", "+00:00"):
        return "Z" if zone else ""
    digits = zone.replace(":", "")
    return f"{digits[:3]}:{digits[3:]}"
