"""The month's figures (reference/mssante.md, row 30): mailboxes by kind, logins, letters in and out, refusals.

Read from the accounts' rows and the trace, so that the same month gives the same figures whenever it is asked, as
long as the trace holds it.

Invariants: counts alone, nobody is named; rows are in one order; a month that is not over, or whose trace was purged
in part, says so in a row of its own.
"""

from __future__ import annotations

import calendar
import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mail_server.store.interface import Sql

_HEADER = ("month", "figure", "of", "count")
_COUNTED = {
    "login": "connections",
    "login-failed": "connections refused",
    "deliver": "messages filed",
    "refuse": "refusals",
    "keep": "messages kept by programs",
    "sent": "letters to other operators",
    "send-failed": "letters refused by other operators",
    "send-expired": "letters expired",
    "send-cancelled": "letters cancelled",
    "account-suspend": "suspensions",
    "account-reinstate": "reinstatements",
    "practice-lost": "practice lost",
    "practice-regained": "practice regained",
    "inactivity-notice": "inactivity notices",
    "inactivity-objection": "inactivity objections",
    "account-close": "closures",
    "space-activated": "spaces activated",
}
_LEAVING = frozenset({"sent", "send-failed", "send-expired", "send-cancelled"})


@dataclass(frozen=True, slots=True)
class Month:
    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Raises ValueError."""
        found = datetime.strptime(text.strip(), "%Y-%m").replace(tzinfo=UTC)
        return cls(found.year, found.month)

    @property
    def start(self) -> int:
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp() * 1000)

    @property
    def end(self) -> int:
        days = calendar.monthrange(self.year, self.month)[1]
        return self.start + days * 86_400_000

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    month: str
    figure: str
    of: str  # a kind of mailbox, a door, a reason; "" for all
    count: int


def figures(sql: Sql, month: Month, now: int | None = None) -> list[Row]:
    """Every figure of the month. Reads the whole trace of it: not on the event loop."""
    now = time.time_ns() // 1_000_000 if now is None else now
    counts: Counter[tuple[str, str]] = Counter()
    kinds = _kinds(sql)
    counts.update(_mailboxes(sql, month))
    for action, outcome, actor, subject, many in _acts(sql, month):
        figure = _COUNTED[action]
        counts[figure, ""] += many
        if action == "refuse":
            counts[figure, outcome] += many
        elif action in _LEAVING:
            if action != "send-cancelled":
                counts[figure, outcome] += many  # who can read what left; why it did not
            counts[figure, kinds.get(subject, "node")] += many
        elif action in ("login", "login-failed"):
            counts[figure, kinds.get(subject, "unknown")] += many
        elif action == "deliver":
            counts["messages in", kinds.get(subject, "unknown")] += many
            if actor in kinds:
                counts["messages out", kinds[actor]] += many
            else:
                counts["messages from other operators", ""] += many
                counts["messages from other operators", kinds.get(subject, "unknown")] += many
    if now < month.end:
        counts["month not over", ""] += 1
    if purged := _purged(sql, month):
        counts["entries of the trace purged", ""] += purged
    return sorted(Row(str(month), figure, of, count) for (figure, of), count in counts.items())


def as_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """The figures as a file: one header, LF ends, the same bytes for the same month."""
    out = io.StringIO()
    written = csv.writer(out, lineterminator="\n")
    written.writerow(_HEADER)
    written.writerows([str(row[name]) for name in _HEADER] for row in rows)
    return out.getvalue()


def _kinds(sql: Sql) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in sql.all("SELECT id, kind FROM account")}


def _mailboxes(sql: Sql, month: Month) -> Iterator[tuple[str, str]]:
    """One for each mailbox that stood at the end of the month, by kind."""
    for kind, many in sql.all(
        "SELECT kind, COUNT(*) FROM account WHERE created < ? AND (closed IS NULL OR closed >= ?) GROUP BY kind",
        (month.end, month.end),
    ):
        for _ in range(int(many)):
            yield "mailboxes", str(kind)


def _acts(sql: Sql, month: Month) -> Iterator[tuple[str, str, str, str, int]]:
    for row in sql.all(
        "SELECT action, outcome, actor, subject, COUNT(*) FROM audit_entry"
        " WHERE leaf IS NULL AND at >= ? AND at < ? GROUP BY action, outcome, actor, subject",
        (month.start, month.end),
    ):
        if row[0] in _COUNTED:
            yield str(row[0]), str(row[1]), str(row[2]), str(row[3]), int(row[4])


def _purged(sql: Sql, month: Month) -> int:
    first, last = month.start // 86_400_000, (month.end - 1) // 86_400_000
    row = sql.one(
        "SELECT COUNT(*) FROM audit_entry WHERE leaf IS NOT NULL AND day >= ? AND day <= ?", (first, last)
    )
    return int(row[0]) if row else 0
