"""The days of a repetition (RFC 5545 §3.3.10), walked with a bound.

Our own, though `recurring-ical-events` is at hand: below it dateutil walks to the year 9999 when a rule never matches
(FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30 took 2.3 s), and no limit stops it. The tests hold the two to the same days.
Invariants: a rule without COUNT is walked from the window on, whatever its start; every day looked at counts against
`STEPS`.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from mail_server.payloads.agenda.model import AgendaRefused, Rule

STEPS: Final = 60_000  # days looked at
_NAMES: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def days(rule: Rule, start: date, low: date, high: date) -> Iterator[date]:
    """Days of the rule from `start` on that lie in [low, high], in order; those before count for COUNT alone."""
    fits = _Filter(rule, start)
    left, steps = rule.count, 0
    for period in _periods(rule, start, start if rule.count else max(start, low), high):
        steps += len(period)
        if steps > STEPS:
            raise AgendaRefused("too-far")
        for one in _chosen(rule, [each for each in period if fits(each)]):
            if one < start:
                continue
            if one > high:
                return
            if one >= low:
                yield one
            left -= 1
            if left == 0:
                return


def _chosen(rule: Rule, found: list[date]) -> list[date]:
    if not rule.bysetpos:
        return found
    size = len(found)
    places = {one - 1 if one > 0 else size + one for one in rule.bysetpos}
    return [found[place] for place in sorted(places) if 0 <= place < size]


def _periods(rule: Rule, start: date, low: date, high: date) -> Iterator[list[date]]:
    """The days of each period, from the one `low` lies in to the one `high` lies in."""
    step = rule.interval
    if rule.freq == "DAILY":
        at = start + timedelta(days=-(-(low - start).days // step) * step)
        while at <= high:
            yield [at]
            at += timedelta(days=step)
    elif rule.freq == "WEEKLY":
        first = start - timedelta(days=(start.weekday() - _wkst(rule)) % 7)
        at = first + timedelta(weeks=(low - first).days // 7 // step * step)
        while at <= high:
            yield [at + timedelta(days=more) for more in range(7)]
            at += timedelta(weeks=step)
    elif rule.freq == "MONTHLY":
        first = start.year * 12 + start.month - 1
        month = first + (low.year * 12 + low.month - 1 - first) // step * step
        while month <= high.year * 12 + high.month - 1:
            yield _month(month // 12, month % 12 + 1)
            month += step
    else:
        year = start.year + (low.year - start.year) // step * step
        whole = rule.byweekno or rule.byyearday or not rule.bymonth
        while year <= high.year:
            months = range(1, 13) if whole else sorted(set(rule.bymonth))
            yield [one for month in months for one in _month(year, month)]
            year += step


def _month(year: int, month: int) -> list[date]:
    return [date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1)]


def _wkst(rule: Rule) -> int:
    return _NAMES.index(rule.wkst or "MO")


class _Filter:
    """Whether a day is one of the rule's; what the rule leaves out comes from its start."""

    def __init__(self, rule: Rule, start: date) -> None:
        self._rule = rule
        self._months, self._monthdays = set(rule.bymonth), set(rule.bymonthday)
        self._weekdays = {_NAMES.index(one) for one in rule.byday if len(one) == 2}
        self._nth = {(int(one[:-2]), _NAMES.index(one[-2:])) for one in rule.byday if len(one) > 2}
        self._yeardays, self._weeks = set(rule.byyearday), set(rule.byweekno)
        if not (rule.byday or rule.bymonthday or rule.byyearday):
            if rule.freq == "WEEKLY" or rule.byweekno:
                self._weekdays = {start.weekday()}
            elif rule.freq in ("MONTHLY", "YEARLY"):
                self._monthdays = {start.day}
                if rule.freq == "YEARLY":
                    self._months = self._months or {start.month}

    def __call__(self, one: date) -> bool:
        if self._months and one.month not in self._months:
            return False
        if self._monthdays:
            size = monthrange(one.year, one.month)[1]
            if one.day not in self._monthdays and one.day - size - 1 not in self._monthdays:
                return False
        if self._yeardays:
            size, number = 366 if isleap(one.year) else 365, one.timetuple().tm_yday
            if number not in self._yeardays and number - size - 1 not in self._yeardays:
                return False
        if self._weeks and not self._week(one):
            return False
        if not self._weekdays and not self._nth:
            return True
        return one.weekday() in self._weekdays or (bool(self._nth) and self._numbered(one))

    def _numbered(self, one: date) -> bool:
        """Second Monday, last Friday: of the month, or of the year where the rule names no months."""
        if self._rule.freq == "YEARLY" and not self._rule.bymonth:
            size, number = 366 if isleap(one.year) else 365, one.timetuple().tm_yday
        else:
            size, number = monthrange(one.year, one.month)[1], one.day
        weekday = one.weekday()
        return ((number - 1) // 7 + 1, weekday) in self._nth or (
            -((size - number) // 7 + 1),
            weekday,
        ) in self._nth

    def _week(self, one: date) -> bool:
        """Weeks as RFC 5545 numbers them: the first has four days of its year at least."""
        first, following = self._first_week(one.year), self._first_week(one.year + 1)
        if one >= following:
            return 1 in self._weeks
        if one < first:
            before = self._first_week(one.year - 1)
            return (first - before).days // 7 in self._weeks or -1 in self._weeks
        number, size = (one - first).days // 7 + 1, (following - first).days // 7
        return number in self._weeks or number - size - 1 in self._weeks

    def _first_week(self, year: int) -> date:
        fourth = date(year, 1, 4)
        return fourth - timedelta(days=(fourth.weekday() - _wkst(self._rule)) % 7)
