"""The rows of `tables`, in one spelling for both databases.

Invariants: one notice of a kind for an account; a notice goes in the transaction that says it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mail_server.store.interface import Sql
from mail_server.store.model import AccountId
from webmail.notices.words import Kind

_ADDRESS = "account, address, language, confirmed, code, code_until, code_tries, told, refused"


@dataclass(frozen=True, slots=True)
class Address:
    account: AccountId
    wrapped: bytes = field(repr=False)
    language: str
    confirmed: int | None
    code: bytes | None = field(repr=False)  # wrapped
    code_until: int
    code_tries: int
    told: int | None
    refused: int | None


@dataclass(frozen=True, slots=True)
class Due:
    account: AccountId
    kind: Kind
    until: int | None
    created: int
    attempts: int


def address_of(sql: Sql, account: AccountId) -> Address | None:
    row = sql.one(f"SELECT {_ADDRESS} FROM notice_address WHERE account = ?", (account,))  # noqa: S608 - constant
    if row is None:
        return None
    code = None if row[4] is None else bytes(row[4])
    return Address(
        AccountId(row[0]), bytes(row[1]), row[2], row[3], code, row[5] or 0, row[6], row[7], row[8]
    )


def put_address(
    sql: Sql, account: AccountId, wrapped: bytes, language: str, now: int, code: tuple[bytes, int] | None
) -> None:
    """Another address takes the place of the one before. Without a code it counts as proven."""
    forget(sql, account)
    sql.run(
        "INSERT INTO notice_address (account, address, language, since, confirmed, code, code_until, code_tries)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (account, wrapped, language, now, None if code else now, *(code or (None, None))),
    )


def forget(sql: Sql, account: AccountId) -> bool:
    sql.run("DELETE FROM notice WHERE account = ?", (account,))
    return bool(sql.run("DELETE FROM notice_address WHERE account = ?", (account,)))


def confirmed(sql: Sql, account: AccountId, now: int) -> None:
    sql.run(
        "UPDATE notice_address SET confirmed = ?, code = NULL, code_until = NULL WHERE account = ?",
        (now, account),
    )


def wrong_code(sql: Sql, account: AccountId, spent: bool) -> None:
    sql.run("UPDATE notice_address SET code_tries = code_tries + 1 WHERE account = ?", (account,))
    if spent:
        sql.run("UPDATE notice_address SET code = NULL WHERE account = ?", (account,))


def lay(sql: Sql, account: AccountId, kind: Kind, until: int | None, now: int, due: int) -> None:
    sql.run(
        "INSERT INTO notice (account, kind, until, created, due, attempts) VALUES (?, ?, ?, ?, ?, 0)"
        " ON CONFLICT (account, kind) DO UPDATE SET until = excluded.until, created = excluded.created,"
        " due = excluded.due, attempts = 0",
        (account, kind.value, until, now, due),
    )


def lay_new_letter(sql: Sql, account: AccountId, now: int, due: int, not_since: int) -> None:
    """For who asked for it, proved the address, and was told nothing since `not_since`; once until it is sent."""
    sql.run(
        "INSERT INTO notice (account, kind, until, created, due, attempts)"
        " SELECT account, ?, NULL, ?, ?, 0 FROM notice_address"
        " WHERE account = ? AND confirmed IS NOT NULL AND refused IS NULL AND (told IS NULL OR told <= ?)"
        " ON CONFLICT (account, kind) DO NOTHING",
        (Kind.NEW_LETTER.value, now, due, account, not_since),
    )


def due(sql: Sql, now: int, most: int) -> Sequence[Due]:
    rows = sql.all(
        "SELECT account, kind, until, created, attempts FROM notice WHERE due <= ? ORDER BY due, account LIMIT ?",
        (now, most),
    )
    return [Due(AccountId(row[0]), Kind(row[1]), row[2], row[3], row[4]) for row in rows]


def next_due(sql: Sql) -> int | None:
    row = sql.one("SELECT min(due) FROM notice")
    return row[0] if row else None


def claim(sql: Sql, one: Due, due_then: int) -> bool:
    """Put off, so that another node leaves it alone while it is sent; False when one was quicker."""
    return bool(
        sql.run(
            "UPDATE notice SET attempts = attempts + 1, due = ? WHERE account = ? AND kind = ? AND attempts = ?"
            " AND created = ?",
            (due_then, one.account, one.kind.value, one.attempts, one.created),
        )
    )


def gone(sql: Sql, one: Due) -> None:
    """Sent, or never to be sent: what was laid down anew meanwhile stays."""
    sql.run(
        "DELETE FROM notice WHERE account = ? AND kind = ? AND created = ?",
        (one.account, one.kind.value, one.created),
    )


def told(sql: Sql, account: AccountId, now: int) -> None:
    sql.run("UPDATE notice_address SET told = ? WHERE account = ?", (now, account))


def refused(sql: Sql, account: AccountId, now: int) -> None:
    sql.run("UPDATE notice_address SET refused = ? WHERE account = ?", (now, account))


def waiting(sql: Sql) -> int:
    row = sql.one("SELECT count(*) FROM notice")
    return int(row[0]) if row else 0
