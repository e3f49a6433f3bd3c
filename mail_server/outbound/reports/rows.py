"""What is owed, as rows: a letter and the fates of some of its recipients, wrapped.

Invariants: what is read is what was written, or it is damaged (`Unreadable`); no text of it is in an exception.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.interface import Notify, Outcome, OutgoingRecipient, Phase, Readable, Verdict
from mail_server.outbound.reports.interface import Fate, Kept, Settled, Told
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId

_PURPOSE = b"report owed "
_COLUMNS = "id, letter, account, sealed, owed_at, due, attempts"


class Unreadable(Exception):
    """A row that does not open, or holds something else."""


@dataclass(frozen=True, slots=True)
class Owed:
    id: str
    letter: bytes = field(repr=False)
    account: str  # "": somebody of another operator
    sealed: bytes = field(repr=False)
    owed_at: int
    due: int
    attempts: int


class OwedRows:
    def __init__(self, keys: KeyWrapper) -> None:
        self._keys = keys

    def add(self, sql: Sql, row: Owed) -> None:
        sql.run(
            f"INSERT INTO report_owed ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (row.id, row.letter, row.account, row.sealed, row.owed_at, row.due, row.attempts),
        )

    def next(self, sql: Sql, now: int, most: int) -> list[Owed]:
        """Everything owed about the letter that is due first; [] when nothing is due."""
        first = sql.one("SELECT letter FROM report_owed WHERE due <= ? ORDER BY due, id LIMIT 1", (now,))
        if first is None:
            return []
        rows = sql.all(
            f"SELECT {_COLUMNS} FROM report_owed WHERE letter = ? ORDER BY owed_at, id LIMIT ?",  # noqa: S608
            (bytes(first[0]), most),
        )
        return [
            Owed(id_, bytes(letter), account, bytes(sealed), owed_at, due, attempts)
            for id_, letter, account, sealed, owed_at, due, attempts in rows
        ]

    def next_due(self, sql: Sql) -> int | None:
        row = sql.one("SELECT min(due) FROM report_owed")
        return None if row is None else row[0]

    def remove(self, sql: Sql, rows: Sequence[Owed]) -> bool:
        """False when somebody else has taken one of them: then nothing of this is to be done."""
        return all(sql.run("DELETE FROM report_owed WHERE id = ?", (row.id,)) for row in rows)

    def drop(self, sql: Sql, rows: Sequence[Owed]) -> None:
        for row in rows:
            sql.run("DELETE FROM report_owed WHERE id = ?", (row.id,))

    def postpone(self, sql: Sql, rows: Sequence[Owed], due: int) -> None:
        for row in rows:
            sql.run("UPDATE report_owed SET due = ?, attempts = attempts + 1 WHERE id = ?", (due, row.id))

    def first_delay(self, sql: Sql, letter: bytes, at: int, together: int) -> bool:
        """Whether this delay is to be told: the first of the letter, or one found together with the first."""
        if sql.run(
            "INSERT INTO report_delay (letter, at) VALUES (?, ?) ON CONFLICT DO NOTHING", (letter, at)
        ):
            return True
        row = sql.one("SELECT at FROM report_delay WHERE letter = ?", (letter,))
        return row is not None and at - row[0] <= together

    def forget_delays(self, sql: Sql, before: int) -> None:
        sql.run("DELETE FROM report_delay WHERE at < ?", (before,))

    # -- what lies in them

    def sealed(self, id_: str, told: Told, settled: Sequence[Settled]) -> bytes:
        content = {"letter": _letter(told), "lines": [_line(one) for one in settled]}
        return self._keys.wrap(json.dumps(content).encode(), _PURPOSE + id_.encode())

    def opened(self, row: Owed) -> tuple[Told, list[Settled]]:
        """Raises Unreadable."""
        try:
            content = json.loads(self._keys.unwrap(row.sealed, _PURPOSE + row.id.encode()))
            return _read_letter(content["letter"]), [_read_line(one) for one in content["lines"]]
        except (KeyUnavailable, ValueError, KeyError, TypeError):
            raise Unreadable from None


def _letter(told: Told) -> dict[str, Any]:
    return {
        "account": told.account,
        "from": told.mail_from,
        "reference": told.reference,
        "accepted": told.accepted_at,
        "head": told.head.decode("latin-1"),
        "envid": told.envid,
        "readable": told.readable.value,
        "smtputf8": told.smtputf8,
    }


def _read_letter(held: dict[str, Any]) -> Told:
    return Told(
        account=None if held["account"] is None else AccountId(held["account"]),
        mail_from=held["from"],
        reference=held["reference"],
        accepted_at=held["accepted"],
        head=held["head"].encode("latin-1"),
        envid=held["envid"],
        readable=Readable(held["readable"]),
        smtputf8=held["smtputf8"],
    )


def _line(one: Settled) -> dict[str, Any]:
    last = one.last
    return {
        "address": one.recipient.address,
        "notify": int(one.recipient.notify),
        "orcpt": one.recipient.orcpt,
        "fate": one.fate.value,
        "until": one.until,
        "kept": one.kept.value if one.kept else "",
        "last": None
        if last is None
        else [
            int(last.verdict),
            last.phase.value,
            last.reason,
            last.code,
            last.enhanced,
            last.said,
            last.host,
            last.unsure,
            last.dsn,
        ],
    }


def _read_line(held: dict[str, Any]) -> Settled:
    last = held["last"]
    return Settled(
        OutgoingRecipient(held["address"], Notify(held["notify"]), held["orcpt"]),
        Fate(held["fate"]),
        None if last is None else _outcome(last),
        held["until"],
        Kept(held["kept"]) if held["kept"] else None,
    )


def _outcome(held: list[Any]) -> Outcome:
    verdict, phase, reason, code, enhanced, said, host, unsure, dsn = held
    return Outcome(Verdict(verdict), Phase(phase), reason, code, enhanced, said, host, unsure, dsn=dsn)
