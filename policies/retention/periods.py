"""How long each class of the trace is kept, and which day that leaves as the first one.

Invariants: periods are whole months of the calendar, counted back from today (UTC); a class is never emptied of the
day that its period reaches, only of those before.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from policies.audit.classes import Retention

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Periods:
    technical: int  # months
    functional: int  # months

    def kept_from(self, now: int) -> dict[int, int]:
        """The first day (days since 1970) that each class keeps, at this moment (ms UTC)."""
        today = dt.datetime.fromtimestamp(now / 1000, dt.UTC).date()
        return {
            int(Retention.TECHNICAL): number_of(months_before(today, self.technical)),
            int(Retention.FUNCTIONAL): number_of(months_before(today, self.functional)),
        }


def months_before(day: dt.date, months: int) -> dt.date:
    """The same day of the month so many months earlier, or that month's last one."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    year, month = max(year, 1), month + 1
    following = dt.date(year + month // 12, month % 12 + 1, 1)
    last = (following - dt.timedelta(days=1)).day
    return dt.date(year, month, min(day.day, last))


def number_of(day: dt.date) -> int:
    return (day - _EPOCH).days


def day_of(number: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=number)
