"""Submissions in the database: read, made, changed. Both dialects, in the store's transactions.

Invariants: `pending` becomes `final` or `canceled` by one conditional statement, so that what was undone never
leaves and what left is never shown as undone; each change moves the account's submission state by one.
"""

from __future__ import annotations

import enum
import json
import secrets
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from mail_server.jmap.fates import standing_of
from mail_server.jmap.interface import MethodError
from mail_server.jmap.states import since as parsed_state
from mail_server.jmap.states import state_at
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.rows import fates_of
from mail_server.store.interface import Reader, Sql
from mail_server.store.model import AccountId, EmailChanges

_PURPOSE = b"jmap submission "
_COLUMNS = (
    "id, account, speaker, identity, email_id, thread_id, sealed, copy, send_at, undo, due, attempts, network,"
    " session, made, changed, destroyed"
)


class Undo(enum.IntEnum):
    """RFC 8621 §7: whether it can still be called back."""

    PENDING = 0
    FINAL = 1
    CANCELED = 2


@dataclass(slots=True)
class Addressed:
    """Who a submission is for and what became of it. It tells who patients are: sealed at rest, never in a log."""

    mail_from: str = field(repr=False)
    parameters: dict[str, str | None] = field(repr=False)
    recipients: list[str] = field(repr=False)
    given: bool  # the client gave the envelope; else it was drawn from the header
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, "Outcome"], repr=False)
    asked: dict[str, dict[str, str | None]] = field(
        default_factory=dict[str, dict[str, str | None]], repr=False
    )  # parameters of recipients, as the client gave them
    gate_packet: str = field(default="", repr=False)
    """Base64: the key packet by which the egress gate opens this letter, which its author sealed, for addressees of
    other operators without a certificate."""

    @property
    def waiting(self) -> list[str]:
        """Whom it was not handed over for yet."""
        return [each for each in self.recipients if self.outcomes[each].waits]


@dataclass(slots=True)
class Outcome:
    """A DeliveryStatus (RFC 8621 §7)."""

    reply: str
    delivered: str  # queued, yes, no, unknown
    reason: str = ""  # of a refusal, as SetErrors carry it
    reference: str = ""  # of the queue of letters to other operators: it is their business from there on
    leaves: str = ""  # how it left, or will, for another operator: "sealed", "sealed-to-operator", "gate"

    @property
    def waits(self) -> bool:
        return self.delivered == "queued" and not self.reference

    @property
    def departing(self) -> bool:
        return self.delivered == "queued" and bool(self.reference)

    def as_json(self) -> dict[str, str]:
        told = {"smtpReply": self.reply, "delivered": self.delivered, "displayed": "unknown"}
        more = {"reason": self.reason, "leaves": self.leaves}
        return told | {name: text for name, text in more.items() if text}


@dataclass(slots=True)
class Submission:
    id: str
    account: AccountId
    speaker: AccountId
    identity: AccountId
    email_id: str
    thread_id: str
    addressed: Addressed
    copy: str
    send_at: int
    undo: Undo
    due: int | None
    attempts: int = 0
    network: str = ""
    session: str = ""
    made: int = 0
    changed: int = 0
    destroyed: bool = False


def new_id() -> str:
    return "S" + secrets.token_hex(12)


class SubmissionRows:
    def __init__(self, keys: KeyWrapper) -> None:
        self._keys = keys

    # ── reading ──

    def of(self, sql: Sql, account: AccountId, ids: Sequence[str] | None = None) -> dict[str, Submission]:
        """The account's that are still told, oldest first."""
        if ids is None:
            rows = sql.all(
                f"SELECT {_COLUMNS} FROM jmap_submission WHERE account = ? AND destroyed = 0"  # noqa: S608
                " ORDER BY send_at, id",
                (account,),
            )
            return {each.id: each for each in map(self._read, rows)}
        found: dict[str, Submission] = {}
        for one in ids:
            row = sql.one(
                f"SELECT {_COLUMNS} FROM jmap_submission WHERE id = ? AND account = ? AND destroyed = 0",  # noqa: S608
                (one, account),
            )
            if row is not None:
                found[one] = self._read(row)
        return found

    def due(self, sql: Sql, now: int, limit: int) -> list[Submission]:
        rows = sql.all(
            f"SELECT {_COLUMNS} FROM jmap_submission WHERE due <= ? ORDER BY due LIMIT ?",  # noqa: S608
            (now, limit),
        )
        return [self._read(row) for row in rows]

    def set_aside(self, sql: Sql, now: int, until: int) -> None:
        """What is due and does not open: looked at again later, so that it stands in nobody's way."""
        for id_, sealed in sql.all("SELECT id, sealed FROM jmap_submission WHERE due <= ?", (now,)):
            try:
                self._keys.unwrap(bytes(sealed), _PURPOSE + id_.encode())
            except KeyUnavailable:
                sql.run("UPDATE jmap_submission SET due = ? WHERE id = ?", (until, id_))

    def next_due(self, sql: Sql) -> int | None:
        row = sql.one("SELECT min(due) FROM jmap_submission WHERE due IS NOT NULL")
        return row[0] if row is not None else None

    def _read(self, row: tuple[Any, ...]) -> Submission:
        (id_, account, speaker, identity, email, thread, sealed, copy, at, undo, due, attempts, network, session,
         made, changed, destroyed) = row  # fmt: skip
        told = json.loads(self._keys.unwrap(bytes(sealed), _PURPOSE + id_.encode()))
        outcomes = {each: Outcome(*outcome) for each, outcome in told["outcomes"].items()}
        addressed = Addressed(
            told["mailFrom"],
            told["parameters"],
            told["recipients"],
            told["given"],
            outcomes,
            told.get("asked", {}),
            told.get("gate", ""),
        )
        return Submission(
            id_, account, speaker, identity, email, thread, addressed, copy, at, Undo(undo), due, attempts,
            network, session, made, changed, bool(destroyed),
        )  # fmt: skip

    def _sealed(self, one: Submission) -> bytes:
        to = one.addressed
        told = {
            "mailFrom": to.mail_from,
            "parameters": to.parameters,
            "recipients": to.recipients,
            "given": to.given,
            "asked": to.asked,
            "gate": to.gate_packet,
            "outcomes": {each: list(astuple(outcome)) for each, outcome in to.outcomes.items()},
        }
        return self._keys.wrap(json.dumps(told).encode(), _PURPOSE + one.id.encode())

    # ── changing ──

    def make(self, sql: Sql, one: Submission) -> None:
        self._follow(sql, one)
        one.made = one.changed = _moved(sql, one.account)
        sql.run(
            f"INSERT INTO jmap_submission ({_COLUMNS}) VALUES ({', '.join('?' * 17)})",  # noqa: S608
            (
                one.id, one.account, one.speaker, one.identity, one.email_id, one.thread_id, self._sealed(one),
                one.copy, one.send_at, int(one.undo), one.due, one.attempts, one.network, one.session, one.made,
                one.changed, int(one.destroyed),
            ),
        )  # fmt: skip

    def cancel(self, sql: Sql, account: AccountId, id_: str) -> bool:
        """False when it is too late."""
        done = sql.run(
            "UPDATE jmap_submission SET undo = ?, due = NULL WHERE id = ? AND account = ? AND undo = ?",
            (int(Undo.CANCELED), id_, account, int(Undo.PENDING)),
        )
        return bool(done) and self._touched(sql, account, id_)

    def claim(self, sql: Sql, one: Submission, until: int) -> bool:
        """It leaves now: no undoing from here on. False when another node has it, or it was undone."""
        claimed = sql.run(
            "UPDATE jmap_submission SET undo = ?, due = ?, attempts = attempts + 1"
            " WHERE id = ? AND due = ? AND undo <> ?",
            (int(Undo.FINAL), until, one.id, one.due, int(Undo.CANCELED)),
        )
        if not claimed:
            return False
        one.due, one.attempts = until, one.attempts + 1
        return one.undo is Undo.FINAL or self._touched(sql, one.account, one.id)

    def settle(self, sql: Sql, one: Submission, due: int | None) -> None:
        """What became of the recipients; `due` is the next attempt, None when there is none."""
        self._follow(sql, one)
        sql.run(
            "UPDATE jmap_submission SET sealed = ?, due = ? WHERE id = ?", (self._sealed(one), due, one.id)
        )
        self._touched(sql, one.account, one.id)

    # ── letters that left for other operators ──

    def _follow(self, sql: Sql, one: Submission) -> None:
        """Note by which reference the queue will tell of it; what the queue settled already counts at once."""
        for outcome in one.addressed.outcomes.values():
            if not outcome.departing:
                continue
            found = fates_of(sql, self._keys, outcome.reference)
            settled = standing_of(found[-1]) if found else ("unknown", outcome.reply, "")
            if settled is None and not self._followed(sql, outcome.reference, one.id):
                settled = ("unknown", outcome.reply, "")  # the same letter again: the queue tells of it once
            if settled is not None:
                outcome.delivered, outcome.reply, outcome.reason = settled

    def _followed(self, sql: Sql, reference: str, submission: str) -> bool:
        sql.run(
            "INSERT INTO jmap_departure (reference, submission) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (reference, submission),
        )
        row = sql.one("SELECT submission FROM jmap_departure WHERE reference = ?", (reference,))
        return row == (submission,)

    def learned(
        self, sql: Sql, reference: str, delivered: str, reply: str, reason: str, *, final: bool
    ) -> AccountId | None:
        """What the queue tells of the one recipient behind a reference; whose submission it is. Never raises
        KeyUnavailable."""
        row = sql.one("SELECT submission FROM jmap_departure WHERE reference = ?", (reference,))
        if row is None:
            return None
        if final:
            sql.run("DELETE FROM jmap_departure WHERE reference = ?", (reference,))
        held = sql.one(
            f"SELECT {_COLUMNS} FROM jmap_submission WHERE id = ?",  # noqa: S608
            (row[0],),
        )
        if held is None:
            return None
        try:
            one = self._read(held)
        except KeyUnavailable:
            return None
        for outcome in one.addressed.outcomes.values():
            if outcome.reference == reference:
                outcome.delivered, outcome.reply, outcome.reason = delivered, reply, reason
        sql.run("UPDATE jmap_submission SET sealed = ? WHERE id = ?", (self._sealed(one), one.id))
        self._touched(sql, one.account, one.id)
        return one.account

    def destroy(self, sql: Sql, account: AccountId, id_: str) -> bool:
        """RFC 8621 §7.5: the object goes; whether the letter leaves is not its business."""
        done = sql.run(
            "UPDATE jmap_submission SET destroyed = 1 WHERE id = ? AND account = ? AND destroyed = 0",
            (id_, account),
        )
        return bool(done) and self._touched(sql, account, id_)

    def again(self, sql: Sql, now: int) -> None:
        """After a crash, where nobody else can be at work: what was being sent is due at once."""
        sql.run("UPDATE jmap_submission SET due = ? WHERE due > ? AND undo = ?", (now, now, int(Undo.FINAL)))

    def forget(self, sql: Sql, before: int) -> int:
        """Finished ones of before that time; states that would have to tell of them are no longer told."""
        gone = sql.all(
            "SELECT id, account, changed FROM jmap_submission WHERE due IS NULL AND send_at < ? LIMIT 1000",
            (before,),
        )
        for id_, account, changed in gone:
            sql.run("DELETE FROM jmap_submission WHERE id = ?", (id_,))
            sql.run("DELETE FROM jmap_departure WHERE submission = ?", (id_,))
            sql.run(
                "UPDATE jmap_submission_state SET told_from = ? WHERE account = ? AND told_from < ?",
                (changed, account, changed),
            )
        return len(gone)

    def _touched(self, sql: Sql, account: AccountId, id_: str) -> bool:
        sql.run("UPDATE jmap_submission SET changed = ? WHERE id = ?", (_moved(sql, account), id_))
        return True


# ── states ──


def _moved(sql: Sql, account: AccountId) -> int:
    sql.run(
        "INSERT INTO jmap_submission_state (account, state, told_from) VALUES (?, 1, 0)"
        " ON CONFLICT (account) DO UPDATE SET state = jmap_submission_state.state + 1",
        (account,),
    )
    return _state(sql, account)[0]


def _state(sql: Sql, account: AccountId) -> tuple[int, int]:
    row = sql.one("SELECT state, told_from FROM jmap_submission_state WHERE account = ?", (account,))
    return (row[0], row[1]) if row is not None else (0, 0)


def submission_state(reader: Reader, account: AccountId) -> str:
    return state_at(reader, account, _state(reader.sql, account)[0])


def submission_changes(reader: Reader, account: AccountId, state: str, limit: int) -> EmailChanges:
    """Raises MethodError cannotCalculateChanges."""
    now, told_from = _state(reader.sql, account)
    since = parsed_state(reader, account, state, highest=now)
    if since < told_from:
        raise MethodError("cannotCalculateChanges")
    rows = reader.sql.all(
        "SELECT id, made, changed, destroyed FROM jmap_submission WHERE account = ? AND changed > ?"
        " ORDER BY changed LIMIT ?",
        (account, since, limit + 1),
    )
    told = rows[:limit]
    more = len(rows) > limit
    return EmailChanges(
        created=[row[0] for row in told if row[1] > since and not row[3]],
        updated=[row[0] for row in told if row[1] <= since and not row[3]],
        destroyed=[row[0] for row in told if row[1] <= since and row[3]],
        upto=told[-1][2] if more else now,
        more=more,
    )


def same_state(reader: Reader, account: AccountId, state: str | None) -> None:
    """Raises MethodError stateMismatch."""
    if state is not None and state != submission_state(reader, account):
        raise MethodError("stateMismatch")
