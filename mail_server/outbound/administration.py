"""What an administrator sees of the queue, and does to it: list, try now, cancel, hold, release.

Invariants: what is listed names no person (addresses are opened by `rows.recipients`, for who may see them); every
walk goes by the letter's number in small steps, so that 100,000 letters neither fill memory nor hold up those that
leave; a letter that is being handed over is let finish: it is only not tried again.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.reports.interface import Fate
from mail_server.outbound.rows import COLUMNS, RecipientState, Wraps, letter_of, recipients
from mail_server.outbound.settling import Settlement, Settling
from mail_server.store.interface import Sql, Transaction

_PAGE = 200


class Shown(enum.StrEnum):
    """What `queue list --state` may ask for."""

    OPEN = "open"  # not done
    WAITING = "waiting"
    LEASED = "leased"
    HELD = "held"
    DONE = "done"


_CONDITIONS = {
    Shown.OPEN: "l.state < 2",
    Shown.WAITING: "l.state = 0 AND l.held = 0 AND h.domain IS NULL",
    Shown.LEASED: "l.state = 1",
    Shown.HELD: "l.state = 0 AND (l.held = 1 OR h.domain IS NOT NULL)",
    Shown.DONE: "l.state = 2",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters; what is not said matters not."""

    numbers: tuple[int, ...] = ()
    domain: str = ""
    account: str = ""
    state: Shown = Shown.OPEN

    @property
    def everything(self) -> bool:
        return not (self.numbers or self.domain or self.account)

    def condition(self) -> tuple[str, tuple[Any, ...]]:
        conditions, values = [_CONDITIONS[self.state]], list[Any]()
        if self.numbers:
            conditions.append(f"l.id IN ({', '.join('?' * len(self.numbers))})")
            values += self.numbers
        for column in ("domain", "account"):
            if named := getattr(self, column):
                conditions.append(f"l.{column} = ?")
                values.append(named)
        return " AND ".join(conditions), tuple(values)


@dataclass(frozen=True, slots=True)
class Line:
    """One letter, without a person."""

    id: int
    domain: str
    account: str
    reference: str
    readable: str
    size: int
    state: Shown
    accepted_at: int
    due: int
    expires: int
    attempts: int
    waiting: int  # recipients
    settled: int
    reason: str  # of the latest attempt, or of the domain
    code: int
    unsure: int


@dataclass(frozen=True, slots=True)
class DomainLine:
    """All that waits for one domain."""

    domain: str
    waiting: int
    oldest: int | None
    failures: int
    retry_at: int
    reason: str
    held: bool
    held_by: str
    held_reason: str


_FROM = " FROM outbound_letter l LEFT JOIN outbound_hold h ON h.domain = l.domain"
_LINE = (
    "SELECT l.id, l.domain, l.account, l.reference, l.readable, l.size, l.state, l.held, h.domain, l.accepted_at,"
    " l.due, l.expires, l.attempts, d.failures, d.reason, d.code, d.retry_at"
    + _FROM
    + " LEFT JOIN outbound_domain d ON d.domain = l.domain WHERE l.id > ? AND "
)


def lines(sql: Sql, chosen: Selection, after: int, limit: int) -> list[Line]:
    """Letters numbered above `after`, in order: a walk that goes on."""
    condition, values = chosen.condition()
    rows = sql.all(f"{_LINE}{condition} ORDER BY l.id LIMIT ?", (after, *values, limit))
    return [_line(sql, row) for row in rows]


def _line(sql: Sql, row: Sequence[Any]) -> Line:
    (
        number, domain, account, reference, readable, size, state, held, hold, accepted, due, expires, attempts,
        failures, domain_reason, domain_code, retry_at,
    ) = row  # fmt: skip
    waiting = settled = unsure = code = 0
    reason = ""
    for its_state, its_reason, its_code, its_unsure in sql.all(
        "SELECT state, reason, code, unsure FROM outbound_recipient WHERE letter = ? ORDER BY place",
        (number,),
    ):
        waiting += its_state == RecipientState.WAITING
        settled += its_state != RecipientState.WAITING
        unsure += its_unsure
        if its_reason and (not reason or its_state == RecipientState.WAITING):
            reason, code = its_reason, its_code
    if state == 0 and failures:
        reason, code, due = domain_reason, domain_code, max(due, retry_at)
    shown = Shown.DONE if state == 2 else Shown.LEASED if state == 1 else Shown.WAITING
    if shown is Shown.WAITING and (held or hold is not None):
        shown = Shown.HELD
    return Line(
        number, domain, account or "", reference, readable, size, shown, accepted, due, expires, attempts, waiting,
        settled, reason, code, unsure,
    )  # fmt: skip


def count(sql: Sql, chosen: Selection) -> int:
    condition, values = chosen.condition()
    row = sql.one(f"SELECT count(*){_FROM} WHERE {condition}", values)
    return 0 if row is None else row[0]


def domain_lines(sql: Sql) -> list[DomainLine]:
    """Domains for which something waits, or that are held or do not answer."""
    return [
        DomainLine(domain, waiting, oldest, failures, retry_at, reason, by is not None, by or "", why or "")
        for domain, waiting, oldest, failures, retry_at, reason, by, why in sql.all(
            "SELECT d.domain, coalesce(w.many, 0), w.oldest, d.failures, d.retry_at, d.reason, h.set_by, h.reason"
            " FROM outbound_domain d LEFT JOIN outbound_hold h ON h.domain = d.domain LEFT JOIN"
            " (SELECT domain, count(*) AS many, min(accepted_at) AS oldest FROM outbound_letter WHERE state < 2"
            " GROUP BY domain) w ON w.domain = d.domain"
            " WHERE w.many > 0 OR d.failures > 0 OR h.domain IS NOT NULL ORDER BY d.domain"
        )
    ]


@dataclass(frozen=True, slots=True)
class Depth:
    waiting: int = 0
    leased: int = 0
    held: int = 0
    oldest: int | None = None  # when the oldest open letter was accepted, ms


def depth(sql: Sql) -> Depth:
    """How much lies there."""
    waiting = leased = held = 0
    oldest: int | None = None
    for state, kept, many, first in sql.all(
        "SELECT state, CASE WHEN l.held = 1 OR h.domain IS NOT NULL THEN 1 ELSE 0 END, count(*), min(accepted_at)"
        + _FROM
        + " WHERE l.state < 2 GROUP BY 1, 2"
    ):
        oldest = first if oldest is None else min(oldest, first)
        if state == 1:
            leased += many
        elif kept:
            held += many
        else:
            waiting += many
    return Depth(waiting, leased, held, oldest)


# -- acts. Each does one step of a walk: at most `limit` letters numbered above `after`.


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    last: int | None  # the number to go on from; None: the walk is over
    touched: int = 0
    finishing: int = 0  # let finish, for they are being handed over


def _chosen(sql: Sql, chosen: Selection, after: int, limit: int) -> list[tuple[int, int]]:
    condition, values = chosen.condition()
    return [
        (row[0], row[1])
        for row in sql.all(
            f"SELECT l.id, l.state{_FROM} WHERE l.id > ? AND {condition} ORDER BY l.id LIMIT ?",
            (after, *values, limit),
        )
    ]


def retry(transaction: Transaction, chosen: Selection, after: int, limit: int, now: int) -> Step:
    """They are due now, and their domains are tried now."""
    found = _chosen(transaction.sql, chosen, after, limit)
    waiting = [number for number, state in found if state == 0]
    transaction.sql.many(
        "UPDATE outbound_letter SET due = ? WHERE id = ? AND state = 0", [(now, number) for number in waiting]
    )
    transaction.sql.many(
        "UPDATE outbound_domain SET retry_at = 0"
        " WHERE domain = (SELECT domain FROM outbound_letter WHERE id = ?) AND retry_at > 0",
        [(number,) for number in waiting],
    )
    return Step(found[-1][0] if found else None, len(waiting))


def cancel(
    transaction: Transaction, settling: Settling, chosen: Selection, after: int, limit: int, now: int, by: str
) -> Step:
    """End them, and tell their senders; those being handed over now are not tried again."""
    found = _chosen(transaction.sql, chosen, after, limit)
    touched = finishing = 0
    for number, _ in found:
        if settling.give_up(transaction, number, Fate.CANCELLED, now, Settlement(), by):
            touched += 1
        else:
            finishing += transaction.sql.run(
                "UPDATE outbound_letter SET cancelled = 1 WHERE id = ? AND state = 1", (number,)
            )
    return Step(found[-1][0] if found else None, touched, finishing)


def hold(transaction: Transaction, chosen: Selection, after: int, limit: int, *, held: bool) -> Step:
    """Hold letters back, or let them go."""
    found = _chosen(transaction.sql, chosen, after, limit)
    transaction.sql.many(
        "UPDATE outbound_letter SET held = ? WHERE id = ? AND state < 2",
        [(int(held), number) for number, _ in found],
    )
    return Step(found[-1][0] if found else None, len(found))


def hold_domain(sql: Sql, domain: str, now: int, by: str, reason: str) -> bool:
    """Whether it was not held before."""
    return bool(
        sql.run(
            "INSERT INTO outbound_hold (domain, since, set_by, reason) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (domain) DO NOTHING",
            (domain, now, by, reason),
        )
    )


def release_domain(sql: Sql, domain: str) -> bool:
    return bool(sql.run("DELETE FROM outbound_hold WHERE domain = ?", (domain,)))


def hold_all(sql: Sql) -> int:
    """After a restore: what waits in a backup may have left since it was made. How many letters are held."""
    return sql.run(
        "UPDATE outbound_letter SET held = 1, state = 0, lease_owner = NULL, lease_until = NULL, handed_at = NULL"
        " WHERE state < 2"
    )


def check(sql: Sql, wraps: Wraps) -> Iterator[tuple[int, str]]:
    """What is not as it must be: a letter's number, and a sentence."""
    after = 0
    while rows := sql.all(
        f"SELECT {COLUMNS} FROM outbound_letter WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)
    ):
        for row in rows:
            try:
                recipients(sql, wraps, letter_of(wraps, row))
            except KeyUnavailable:
                yield row[0], "does not open under this node's key"
        after = rows[-1][0]
    for condition, words in (
        ("l.state < 2 AND (l.content IS NULL OR q.id IS NULL)", "waits to leave without its bytes"),
        (
            "l.state < 2 AND NOT EXISTS (SELECT 1 FROM outbound_recipient r WHERE r.letter = l.id AND r.state = 0)",
            "waits for nobody",
        ),
        (
            "l.state = 2 AND EXISTS (SELECT 1 FROM outbound_recipient r WHERE r.letter = l.id AND r.state = 0)",
            "is done while somebody waits",
        ),
    ):
        for (number,) in sql.all(
            f"SELECT l.id FROM outbound_letter l LEFT JOIN queued q ON q.id = l.content WHERE {condition} ORDER BY l.id"
        ):
            yield number, words


def nobody_s(sql: Sql) -> list[str]:
    """Names of bytes that wait for no letter."""
    return [
        row[0]
        for row in sql.all(
            "SELECT q.id FROM queued q LEFT JOIN outbound_letter l ON l.content = q.id WHERE l.id IS NULL ORDER BY q.id"
        )
    ]
