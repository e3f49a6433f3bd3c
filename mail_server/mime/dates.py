"""Dates as mail really writes them (RFC 5322 §3.3 and §4.3, asctime, ISO 8601).

Invariants: never raises; None when there is no date to be found. Both the instant and the day as written are
kept, since IMAP compares sent dates "disregarding time and timezone" (RFC 9051 §6.4.4).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from mail_server.mime.headers import strip_comments

_LONGEST = 256

_DATE = re.compile(
    rb"\b(\d{1,2})[\s-]{1,9}([A-Za-z]{3})[A-Za-z]{0,6}\.?,?[\s-]{1,9}(\d{2,4})\b"
    rb"(?:,?\s{1,9}(\d{1,2})\s{0,9}[:.]\s{0,9}(\d{2})(?:\s{0,9}[:.]\s{0,9}(\d{2})(?:\.\d{1,9})?)?)?"
    rb"(?:\s{0,9}([+-]\d{4}|[A-Za-z]{1,5})\b)?"
)
_ASCTIME = re.compile(
    rb"\b([A-Za-z]{3})\s{1,9}(\d{1,2})\s{1,9}(\d{1,2}):(\d{2})(?::(\d{2}))?\s{1,9}(?:([A-Za-z]{1,5}|[+-]\d{4})\s{1,9})?(\d{4})\b"
)
_ISO = re.compile(
    rb"\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:[.,]\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?"
)
_MONTHS = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
# RFC 5322 §4.3: North American names are known; military letters mean nothing sure and count as +0000.
_ZONES = {b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300, b"MST": -420, b"MDT": -360} | {
    zone: hours * 60
    for hours, zones in (
        (-8, b"PST"),
        (-7, b"PDT"),
        (1, b"CET MET BST WEST"),
        (2, b"CEST MEST EET"),
        (3, b"EEST"),
    )
    for zone in zones.split()
}
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Dated:
    ms: int  # since the epoch, UTC
    day: datetime.date  # as written, whatever the zone


def sent_date(value: bytes) -> Dated | None:
    """What a Date field says."""
    value = value[:_LONGEST]
    if b"(" in value:
        value = strip_comments(value)
    match = _DATE.search(value)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
        return _dated(year, _MONTHS.get(month.lower(), 0), day, (hour, minute, second), zone)
    match = _ASCTIME.search(value)
    if match is not None:
        month, day, hour, minute, second, zone, year = match.groups()
        return _dated(year, _MONTHS.get(month.lower(), 0), day, (hour, minute, second), zone)
    match = _ISO.search(value)
    if match is not None:
        year, month, day, hour, minute, second, zone = match.groups()
        return _dated(year, int(month), day, (hour, minute, second), zone)
    return None


def received_date(value: bytes) -> Dated | None:
    """What a Received field says: its date follows the last semicolon (RFC 5321 §4.4)."""
    _, semicolon, date = value.rpartition(b";")
    return sent_date(date.lstrip()) if semicolon else None


def _dated(
    year: bytes, month: int, day: bytes, clock: tuple[bytes | None, ...], zone: bytes | None
) -> Dated | None:
    whole_year = int(year)
    if len(year) == 2:  # RFC 5322 §4.3
        whole_year += 2000 if whole_year < 50 else 1900
    elif len(year) == 3:
        whole_year += 1900
    hour, minute, second = (int(part or 0) for part in clock)
    if hour > 24 or minute > 59 or second > 60:
        hour = minute = second = 0  # the day may still be right
    try:
        date = datetime.date(whole_year, month, int(day))
    except ValueError:
        return None
    minutes = (date.toordinal() - _EPOCH) * 1440 + hour * 60 + minute - _offset(zone)
    return Dated((minutes * 60 + second) * 1000, date)


def _offset(zone: bytes | None) -> int:
    """Minutes east of UTC."""
    if not zone:
        return 0
    if zone[:1] in b"+-":
        digits = zone[1:].replace(b":", b"")
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        return -minutes if zone[:1] == b"-" else minutes
    return _ZONES.get(zone.upper(), 0)
