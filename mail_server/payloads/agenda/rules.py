"""Repetitions (RFC 5545 §3.3.10): read, written, and refused before anything is worked out from them.

Invariants: a rule that is read comes daily or slower and is one the RFC allows; reading one takes time that depends on
its length alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mail_server.payloads.agenda.model import AgendaRefused, Rule, When

COUNT: Final = 10_000  # instances that a rule may claim
INTERVAL: Final = 1000
_LENGTH: Final = 2000
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY: Final = re.compile(r"([+-]?)0?([1-9]|[1-4][0-9]|5[0-3])?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,6}")
# highest value, and whether counting from the end is allowed
_LISTS: Final = {
    "BYMONTHDAY": (31, True),
    "BYYEARDAY": (366, True),
    "BYWEEKNO": (53, True),
    "BYMONTH": (12, False),
    "BYSETPOS": (366, True),
}
_FASTER: Final = ("SECONDLY", "MINUTELY", "HOURLY")
_CLOCK: Final = {"BYHOUR": (11, 13), "BYMINUTE": (14, 16), "BYSECOND": (17, 19)}


def rule_of(written: str, start: When | None, when: Callable[[str], When]) -> Rule:
    """A rule as written. `when` reads the time of UNTIL."""
    if len(written) > _LENGTH:
        raise AgendaRefused("rule")
    parts: dict[str, str] = {}
    for piece in written.strip().rstrip(";").split(";"):
        name, found, value = piece.partition("=")
        name = name.strip().upper()
        if not found or name in parts:
            raise AgendaRefused("rule")
        parts[name] = value.strip().upper()
    freq = parts.pop("FREQ", "")
    if freq in _FASTER:
        raise AgendaRefused("sub-daily")
    if freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise AgendaRefused("rule")
    for name in _CLOCK:
        if name in parts:
            _of_the_clock(name, parts.pop(name), start)
    interval = _one(parts.pop("INTERVAL", "1"), INTERVAL)
    count = _one(parts.pop("COUNT"), 10**6) if "COUNT" in parts else 0
    if count > COUNT:
        raise AgendaRefused("too-many-instances")
    until = when(parts.pop("UNTIL")) if "UNTIL" in parts else None
    byday = tuple(_day(one) for one in parts.pop("BYDAY").split(",")) if "BYDAY" in parts else ()
    wkst = parts.pop("WKST", "")
    lists = {name: _many(name, parts.pop(name)) if name in parts else () for name in _LISTS}
    if parts or len(byday) > 366 or (wkst and wkst not in _DAYS):
        raise AgendaRefused("rule")  # RSCALE (RFC 7529), EASTER and what else there may be
    rule = Rule(
        freq,
        interval,
        count,
        until,
        byday,
        lists["BYMONTHDAY"],
        lists["BYYEARDAY"],
        lists["BYWEEKNO"],
        lists["BYMONTH"],
        lists["BYSETPOS"],
        wkst,
    )
    _allowed(rule)
    return rule


def _allowed(rule: Rule) -> None:
    """What RFC 5545 §3.3.10 forbids to stand together."""
    numbered = any(len(one) > 2 for one in rule.byday)
    filters = rule.byday or rule.bymonthday or rule.byyearday or rule.byweekno or rule.bymonth
    wrong = (
        (rule.byweekno and rule.freq != "YEARLY")
        or (rule.byyearday and rule.freq != "YEARLY")
        or (rule.bymonthday and rule.freq == "WEEKLY")
        or (numbered and (rule.freq not in ("MONTHLY", "YEARLY") or rule.byweekno))
        or (rule.bysetpos and not filters)
        or (rule.count and rule.until)
    )
    if wrong:
        raise AgendaRefused("rule")


def _of_the_clock(name: str, value: str, start: When | None) -> None:
    """BYHOUR and its like may say again what the start says; more of them would come oftener than daily."""
    if "," in value:
        raise AgendaRefused("sub-daily")
    low, high = _CLOCK[name]
    said = start.local[low:high] if start is not None and not start.day else "0"
    if not _NUMBER.fullmatch(value) or int(value) != int(said):
        raise AgendaRefused("rule")


def _one(value: str, highest: int) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9 or int(value) < 1:
        raise AgendaRefused("rule")
    if int(value) > highest:
        raise AgendaRefused("too-many-instances" if highest == 10**6 else "rule")
    return int(value)


def _many(name: str, value: str) -> tuple[int, ...]:
    highest, signed = _LISTS[name]
    pieces = [one.strip() for one in value.split(",")]
    if not all(_NUMBER.fullmatch(one) for one in pieces):
        raise AgendaRefused("rule")
    numbers = tuple(int(one) for one in pieces)
    if not all(0 < abs(one) <= highest and (signed or one > 0) for one in numbers):
        raise AgendaRefused("rule")
    return numbers


def _day(written: str) -> str:
    found = _BYDAY.fullmatch(written.strip())
    if found is None or (found[1] and not found[2]):
        raise AgendaRefused("rule")
    return f"{'-' if found[1] == '-' else ''}{found[2] or ''}{found[3]}"


def rule_text(rule: Rule, until: str) -> str:
    """As RFC 5545 writes it; `until` is UNTIL, written."""
    parts = [f"FREQ={rule.freq}"]
    if rule.until is not None:
        parts.append(f"UNTIL={until}")
    if rule.count:
        parts.append(f"COUNT={rule.count}")
    if rule.interval != 1:
        parts.append(f"INTERVAL={rule.interval}")
    for name, values in (
        ("BYMONTH", rule.bymonth),
        ("BYWEEKNO", rule.byweekno),
        ("BYYEARDAY", rule.byyearday),
        ("BYMONTHDAY", rule.bymonthday),
        ("BYDAY", rule.byday),
        ("BYSETPOS", rule.bysetpos),
    ):
        if values:
            parts.append(f"{name}={','.join(str(one) for one in values)}")
    if rule.wkst:
        parts.append(f"WKST={rule.wkst}")
    return ";".join(parts)
