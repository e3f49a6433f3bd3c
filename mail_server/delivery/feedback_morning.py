"""The letter of the morning: for each account that handed in records, what became of them, once a day.

Invariants: the letter, the mark that its day is told and the marks of its rows are one transaction: whoever is killed
sends it once, and a letter is in one morning and in no other; what the letter says is what its rows said when it was
filed (they are read again in that transaction); it is sealed like any letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind, Peer
from mail_server.delivery import feedback_words
from mail_server.delivery.feedback import (
    ADDRESS_PURPOSE,
    DELIVERED,
    FOLLOWED_LOCAL,
    REFERENCE_PURPOSE,
    REFUSED,
    WAITING,
    Feedback,
)
from mail_server.delivery.feedback_settings import MorningSettings
from mail_server.delivery.feedback_words import Morning, Told
from mail_server.delivery.interface import Envelope, Recipient, Road, Sender
from mail_server.delivery.receipts import Notifies
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import AlreadyFiled, Reader, Sql, Store, StoreError, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.delivery")
_DAY_MS = 86_400_000
_LONGEST_SLEEP = 30.0
_AGAIN = 600.0  # s after a morning that could not be told whole
_ATTEMPTS = 5
_NEVER = 1 << 62  # ms
_UNOPENED_FOR = 30  # days in which a document that nobody opens is still told of
_NODE = Peer("", 0, "", "", tls=True)

_ROW = "l.mark, l.reference, l.recipient, l.address, l.at, l.outcome, l.cause, l.late_cause, l.withdrawal, r.opened_at"
_FROM = (
    " FROM report_ledger l LEFT JOIN receipt r ON r.patient = l.recipient AND r.letter = l.letter"
    " WHERE l.account = ?"
)


class _Changed(StoreError):
    """A row changed between the letter and its filing: it is written anew."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one morning tells, as the database has it."""

    handed_in: list[tuple[Any, ...]]
    later: list[tuple[Any, ...]]
    unopened: list[tuple[Any, ...]]
    still: list[tuple[Any, ...]]  # told before: no letter is written for these alone

    def __bool__(self) -> bool:
        return bool(self.handed_in or self.later or self.unopened)


@dataclass(frozen=True, slots=True)
class Standing:
    """For the operator: how much waits to be told, and since when."""

    untold: int
    oldest: int | None
    refused: int
    due: int  # ms: the hour of the letter that is due
    now: int


class MorningLetters:
    def __init__(
        self,
        settings: MorningSettings,
        *,
        store: Store,
        accounts: Accounts,
        feedback: Feedback,
        keys: KeyWrapper,
        delivery: Notifies,
        trail: AuditTrail,
        domain: str,
        clock: Callable[[], int],
    ) -> None:
        self._settings, self._store, self._accounts, self._feedback = settings, store, accounts, feedback
        self._keys, self._delivery, self._trail, self._domain = keys, delivery, trail, domain
        self._clock = clock
        self._zone = ZoneInfo(settings.time_zone)
        self._task: asyncio.Task[None] | None = None
        self._swept = ""

    # -- by the day

    def start(self) -> None:
        """What was not told when the node stopped is told now, if its hour is past."""
        self._task = asyncio.create_task(self._run(), name="morning-letters")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            pause = _LONGEST_SLEEP
            day, _ = self.due()
            if day != self._swept:
                try:
                    whole = await self.sweep()
                except StoreError as failure:
                    _log.error("morning letters wait (%s)", type(failure).__name__)
                    whole = False
                except Exception as failure:  # tried again: hospitals wait for it
                    _log.error("morning letters failed: %s", type(failure).__name__)
                    whole = False
                if whole:
                    self._swept = day
                else:
                    pause = _AGAIN
            await asyncio.sleep(pause)

    def due(self) -> tuple[str, int]:
        """The day whose letter is due by now, and the instant (ms) up to which it tells."""
        now = datetime.fromtimestamp(self._clock() / 1000, UTC).astimezone(self._zone)
        day = now.date() if now.hour >= self._settings.hour else now.date() - timedelta(days=1)
        return day.isoformat(), self._instant(day)

    def _instant(self, day: date) -> int:
        at = datetime.combine(day, time(self._settings.hour), self._zone)
        return int(at.timestamp() * 1000)

    async def sweep(self) -> bool:
        """Send today's letters to whoever has none yet; False when one could not be sent."""
        day, until = self.due()
        await self._arrived()
        accounts = await self._store.read(lambda reader: self._owed(reader, until))
        whole = True
        for account in accounts:
            whole = await self._send(account, day, until) and whole
        before = until - self._settings.keep_days * _DAY_MS
        oldest = (date.fromisoformat(day) - timedelta(days=self._settings.keep_days)).isoformat()
        await self._store.write(lambda transaction: _forget(transaction, before, oldest))
        return whole

    async def tell_now(self, account: AccountId) -> str:
        """A letter out of its turn, on everything until now; the name under which it is printed again, "" for none."""
        now = datetime.fromtimestamp(self._clock() / 1000, UTC).astimezone(self._zone)
        day = now.replace(tzinfo=None).isoformat(timespec="milliseconds")
        await self._arrived()
        sent = await self._send(account, day, self._clock() + 1)
        told = await self._store.read(lambda reader: _was_told(reader.sql, account, day))
        return day if sent and told else ""

    async def _arrived(self) -> None:
        """Documents told of as waiting, whose patients have opened their space since: told as delivered now."""
        waiting = (
            "FROM report_ledger WHERE told_day IS NOT NULL AND outcome = ? AND late_cause = '' AND recipient "
        )
        rows = await self._store.read(
            lambda reader: reader.sql.all(f"SELECT DISTINCT recipient {waiting} <> ''", (WAITING,))
        )
        here = [recipient for (recipient,) in rows if self._outcome(recipient, WAITING) == DELIVERED]
        if here:
            changed = "UPDATE report_ledger SET late_cause = ? WHERE told_day IS NOT NULL AND outcome = ?"
            await self._store.write(
                lambda transaction: transaction.sql.many(
                    f"{changed} AND late_cause = '' AND recipient = ?",
                    [(DELIVERED, WAITING, recipient) for recipient in here],
                )
            )

    def _owed(self, reader: Reader, until: int) -> list[AccountId]:
        rows = reader.sql.all(
            "SELECT DISTINCT account FROM report_ledger WHERE (told_day IS NULL AND at < ?)"
            " OR (late_day IS NULL AND late_cause <> '')",
            (until,),
        )
        found = {AccountId(account) for (account,) in rows}
        late = until - self._settings.unopened_days * _DAY_MS
        rows = reader.sql.all(
            "SELECT DISTINCT l.account FROM report_ledger l JOIN receipt r ON r.patient = l.recipient"
            " AND r.letter = l.letter WHERE l.at < ? AND l.at > ? AND l.told_day IS NOT NULL"
            " AND l.unopened_day IS NULL AND l.outcome <> ? AND r.opened_at IS NULL",
            (late, late - _UNOPENED_FOR * _DAY_MS, REFUSED),
        )
        return sorted(found | {AccountId(account) for (account,) in rows})

    async def _send(self, account: AccountId, day: str, until: int) -> bool:
        found = self._accounts.by_id(account)
        if found is None or found.closed or self._feedback.wished(account) is False:
            await self._store.write(lambda transaction: _let_go(transaction, account, day))
            return True
        for _ in range(_ATTEMPTS):
            rows = await self._store.read(lambda reader: self._rows(reader, account, day, until))
            told = await self._store.read(lambda reader: _was_told(reader.sql, account, day))
            if told or not rows:
                return True
            try:
                await self._file(found, day, until, rows)
            except _Changed:
                continue
            except (Refusal, StoreError, KeyUnavailable) as failure:
                _log.warning("a morning letter waits (%s)", type(failure).__name__)
                return False
            self._feedback.counters.morning_letters += 1
            return True
        return False

    async def _file(self, account: Account, day: str, until: int, rows: _Rows) -> None:
        morning = await asyncio.to_thread(self._morning, day, rows)

        def note(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
            sql = transaction.sql
            first = sql.run(
                "INSERT INTO report_morning (account, day, sent_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (account.id, day, at),
            )
            if not first:
                raise AlreadyFiled  # another node was quicker
            if self._rows(transaction, account.id, day, until) != rows:
                raise _Changed
            self._mark_told(sql, account.id, morning, rows)
            event = Event(
                "morning-letter", at, "node", account.id, detail={"count": str(len(rows.handed_in))}
            )
            self._trail.append(sql, [event])

        envelope = Envelope(Sender(Road.OPERATOR, "", _NODE))
        envelope.recipients.append(Recipient(account.address, account.id))
        message = await asyncio.to_thread(self._message, account, morning)
        fingerprint = self._store.submission_fingerprint(b"morning letter", account.id.encode(), day.encode())
        await self._delivery.notify(envelope, message, fingerprint, note)

    def _mark_told(self, sql: Sql, account: AccountId, morning: Morning, rows: _Rows) -> None:
        """What stands in the letter is frozen with it: it can be printed again as it was."""
        day = morning.day
        sql.many(
            "UPDATE report_ledger SET told_day = ?, outcome = ? WHERE account = ? AND mark = ?",
            [
                (day, told.outcome, account, bytes(mark))
                for (mark, *_), told in zip(rows.handed_in, morning.handed_in, strict=True)
            ],
        )
        for column, told_rows in (("late_day", rows.later), ("unopened_day", rows.unopened)):
            sql.many(
                f"UPDATE report_ledger SET {column} = ? WHERE account = ? AND mark = ?",  # noqa: S608
                [(day, account, bytes(mark)) for mark, *_ in told_rows],
            )

    # -- rows and words

    def _rows(self, reader: Reader, account: AccountId, day: str, until: int) -> _Rows:
        late = until - self._settings.unopened_days * _DAY_MS
        look = reader.sql.all
        return _Rows(
            look(
                f"SELECT {_ROW}{_FROM} AND l.told_day IS NULL AND l.at < ? ORDER BY l.at, l.mark",
                (account, until),
            ),
            look(
                f"SELECT {_ROW}{_FROM} AND l.told_day IS NOT NULL AND l.late_day IS NULL AND l.late_cause <> ''"
                " ORDER BY l.at, l.mark",
                (account,),
            ),
            look(
                f"SELECT {_ROW}{_FROM} AND l.told_day IS NOT NULL AND l.unopened_day IS NULL AND l.outcome <> ?"
                " AND l.late_cause IN ('', ?) AND l.at < ? AND l.at > ? AND r.letter IS NOT NULL"
                " AND r.opened_at IS NULL ORDER BY l.at, l.mark",
                (account, REFUSED, DELIVERED, late, late - _UNOPENED_FOR * _DAY_MS),
            ),
            self._still(reader.sql, account, day, until, None),
        )

    def _still(
        self, sql: Sql, account: AccountId, day: str, until: int, sent_at: int | None
    ) -> list[tuple[Any, ...]]:
        """Told of on an earlier day, and not opened by now (or by the time the letter of that day was sent)."""
        oldest = until - (self._settings.unopened_days + _UNOPENED_FOR) * _DAY_MS
        return sql.all(
            f"SELECT {_ROW}{_FROM} AND l.unopened_day < ? AND l.outcome <> ? AND l.late_cause IN ('', ?)"
            " AND l.at > ? AND (r.opened_at IS NULL OR r.opened_at > ?) AND r.letter IS NOT NULL"
            " ORDER BY l.at, l.mark",
            (account, day, REFUSED, DELIVERED, oldest, _NEVER if sent_at is None else sent_at),
        )

    async def again(self, account: AccountId, day: str) -> Morning | None:
        """What the letter of that day said; None when there was none."""

        def look(reader: Reader) -> _Rows | None:
            if not _was_told(reader.sql, account, day):
                return None
            row = reader.sql.one(
                "SELECT sent_at FROM report_morning WHERE account = ? AND day = ?", (account, day)
            )
            sent_at = row[0] if row else 0
            until = self._instant(date.fromisoformat(day)) if len(day) == len("2026-11-20") else sent_at
            order = "= ? ORDER BY l.at, l.mark"
            told, later, unopened = (
                # What was opened after that letter was not opened for it.
                [
                    (*row[:-1], None if (row[-1] or 0) > sent_at else row[-1])
                    for row in reader.sql.all(f"SELECT {_ROW}{_FROM} AND l.{column} {order}", (account, day))
                ]
                for column in ("told_day", "late_day", "unopened_day")
            )
            still = self._still(reader.sql, account, day, until, sent_at)
            return _Rows(told, later, unopened, [(*row[:-1], None) for row in still])

        rows = await self._store.read(look)
        return None if rows is None else await asyncio.to_thread(self._morning, day, rows)

    async def standing(self) -> Standing:
        """How much should have been told by now, and was not; and how much was refused since the last letter."""
        _, until = self.due()

        def look(reader: Reader) -> Standing:
            row = reader.sql.one(
                "SELECT count(*), min(at) FROM report_ledger WHERE told_day IS NULL AND at < ?", (until,)
            )
            refused = reader.sql.one(
                "SELECT count(*) FROM report_ledger WHERE told_day IS NULL AND outcome = ?", (REFUSED,)
            )
            return Standing(
                row[0] if row else 0,
                row[1] if row else None,
                refused[0] if refused else 0,
                until,
                self._clock(),
            )

        return await self._store.read(look)

    def text(self, morning: Morning) -> str:
        return feedback_words.text(morning, self._zone)

    def table(self, morning: Morning) -> bytes:
        return feedback_words.table(morning, self._zone)

    def _morning(self, day: str, rows: _Rows) -> Morning:
        return Morning(
            day,
            [self._told(row) for row in rows.handed_in],
            [self._told(row, late=True) for row in rows.later],
            [self._told(row) for row in rows.unopened],
            [self._told(row) for row in rows.still],
            self._settings.unopened_days,
        )

    def _told(self, row: tuple[Any, ...], *, late: bool = False) -> Told:
        _, reference, recipient, address, at, outcome, cause, late_cause, withdrawal, opened_at = row
        found = self._accounts.by_id(AccountId(recipient)) if recipient else None
        where = found.shown if found is not None else self._unwrapped(address, ADDRESS_PURPOSE)
        return Told(
            self._unwrapped(reference, REFERENCE_PURPOSE),
            where,
            at,
            (DELIVERED if late_cause == DELIVERED else REFUSED)
            if late
            else self._outcome(recipient, outcome),
            late_cause if late else cause,
            opened_at,
            bool(withdrawal),
        )

    def _outcome(self, recipient: str, outcome: str) -> str:
        """Who opened their space since has the letter."""
        if outcome != WAITING:
            return outcome
        found = self._accounts.by_id(AccountId(recipient))
        return DELIVERED if found is not None and found.kind is Kind.PATIENT and found.activated else WAITING

    def _unwrapped(self, wrapped: bytes | None, purpose: bytes) -> str:
        if wrapped is None:
            return ""
        with contextlib.suppress(KeyUnavailable):
            return self._keys.unwrap(bytes(wrapped), purpose).decode("utf-8", "replace")
        return ""

    def _message(self, account: Account, morning: Morning) -> bytes:
        parts = (
            mime.text_part(self.text(morning)),
            mime.attachment_part(
                self.table(morning), "text/csv; charset=utf-8", f"envois_{morning.day[:10]}.csv"
            ),
        )
        kind, body = mime.multipart("mixed", parts)
        header = (
            mime.header_field("Date", mime.date_text(self._clock())),
            mime.address_field("From", [("Suivi des envois", f"{FOLLOWED_LOCAL}@{self._domain}")]),
            mime.address_field("To", [("", account.shown)]),
            mime.header_field("Subject", feedback_words.subject(morning)),
            mime.new_message_id(self._domain).encode().join((b"Message-ID: ", b"\r\n")),
            b"Auto-Submitted: auto-generated\r\n",
            b"MIME-Version: 1.0\r\n",
            kind,
        )
        return b"".join([*header, b"\r\n", body])


def _was_told(sql: Sql, account: AccountId, day: str) -> bool:
    return sql.one("SELECT 1 FROM report_morning WHERE account = ? AND day = ?", (account, day)) is not None


def _let_go(transaction: Transaction, account: AccountId, day: str) -> None:
    """Nobody is there to be told."""
    transaction.sql.run(
        "UPDATE report_ledger SET told_day = ?, unopened_day = ? WHERE account = ? AND told_day IS NULL",
        (day, day, account),
    )
    transaction.sql.run(
        "UPDATE report_ledger SET late_day = ?, unopened_day = ? WHERE account = ?", (day, day, account)
    )


def _forget(transaction: Transaction, before: int, oldest: str) -> None:
    transaction.sql.run("DELETE FROM report_ledger WHERE at < ? AND told_day IS NOT NULL", (before,))
    transaction.sql.run("DELETE FROM report_morning WHERE day < ?", (oldest,))
