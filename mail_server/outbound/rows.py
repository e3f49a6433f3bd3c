"""A letter of the queue in its rows: laid, read, told.

Invariants: what could name a person is opened here alone, and stays in values that do not show it; a wrap is bound to
its column and to its letter's reference; a recipient's row leaves `WAITING` once.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.interface import (
    Form,
    Leaving,
    Notify,
    Outcome,
    Outgoing,
    OutgoingRecipient,
    Phase,
    Readable,
    Verdict,
)
from mail_server.outbound.reports.interface import Told
from mail_server.outbound.schedule import Schedule
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId


class LetterState(enum.IntEnum):
    WAITING = 0
    LEASED = 1  # a node hands it over, or has it next
    DONE = 2  # every recipient has a last fate; the bytes are gone


class RecipientState(enum.IntEnum):
    WAITING = 0
    DELIVERED = 1
    FAILED = 2
    EXPIRED = 3
    CANCELLED = 4


class Wraps:
    """Opens and closes what may name a person."""

    def __init__(self, keys: KeyWrapper) -> None:
        self._keys = keys

    def close(self, what: bytes, column: str, of: str) -> bytes:
        return self._keys.wrap(what, _purpose(column, of))

    def open(self, wrapped: bytes, column: str, of: str) -> bytes:
        """Raises KeyUnavailable."""
        return self._keys.unwrap(bytes(wrapped), _purpose(column, of))

    def close_pair(self, first: str, second: str, column: str, of: str) -> bytes:
        return self.close(json.dumps([first, second]).encode(), column, of)

    def open_pair(self, wrapped: bytes, column: str, of: str) -> tuple[str, str]:
        first, second = json.loads(self.open(wrapped, column, of))
        return str(first), str(second)


def _purpose(column: str, of: str) -> bytes:
    return f"outbound/{column}/{of}".encode()


def insert(sql: Sql, wraps: Wraps, schedule: Schedule, letter: Outgoing, content: str) -> int:
    """The letter's rows; it is due at once."""
    of = letter.reference
    row = sql.one(
        "INSERT INTO outbound_letter (domain, account, reference, envelope, head, content, form, egress, readable,"
        " size, smtputf8, eight_bit, result, accepted_at, state, held, cancelled, due, expires, delay_at, attempts,"
        " deferrals) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, 0, 0) RETURNING id",
        (
            letter.domain,
            letter.account,
            of,
            wraps.close_pair(letter.mail_from, letter.envid, "envelope", of),
            wraps.close(letter.head, "head", of),
            content,
            int(letter.form),
            letter.egress,
            letter.readable.value,
            letter.size,
            int(letter.smtputf8),
            int(letter.eight_bit),
            int(letter.result),
            letter.accepted_at,
            letter.accepted_at,
            schedule.expires(letter.accepted_at),
            schedule.delay_at(letter.accepted_at),
        ),
    )
    assert row is not None
    sql.many(
        "INSERT INTO outbound_recipient (letter, place, address, notify, state, attempts, unsure, phase, reason,"
        " code, enhanced, host) VALUES (?, ?, ?, ?, 0, 0, 0, '', '', 0, '', '')",
        [
            (row[0], place, wraps.close_pair(each.address, each.orcpt, "recipient", of), int(each.notify))
            for place, each in enumerate(letter.recipients)
        ],
    )
    sql.run(
        "INSERT INTO outbound_domain (domain, failures, retry_at, phase, reason, code, enhanced, host)"
        " VALUES (?, 0, 0, '', '', 0, '', '') ON CONFLICT (domain) DO NOTHING",
        (letter.domain,),
    )
    return row[0]


def waiting_octets(sql: Sql, account: AccountId) -> int:
    """How much of an account's lies in the queue."""
    row = sql.one(
        "SELECT COALESCE(SUM(size), 0) FROM outbound_letter WHERE account = ? AND state < 2", (account,)
    )
    return int(row[0]) if row is not None else 0


# -- what is read of a letter

COLUMNS = (
    "id, domain, account, reference, envelope, content, form, egress, readable, size, smtputf8, eight_bit, result,"
    " accepted_at, state, held, cancelled, due, expires, attempts, deferrals, handed_at, done_at"
)


class _Row(NamedTuple):
    """COLUMNS as they lie."""

    id: int
    domain: str
    account: str | None
    reference: str
    envelope: bytes
    content: str | None
    form: int
    egress: str
    readable: str
    size: int
    smtputf8: int
    eight_bit: int
    result: int
    accepted_at: int
    state: int
    held: int
    cancelled: int
    due: int
    expires: int
    attempts: int
    deferrals: int
    handed_at: int | None
    done_at: int | None


@dataclass(frozen=True, slots=True)
class QueuedLetter:
    id: int
    domain: str
    account: AccountId | None
    reference: str
    mail_from: str = field(repr=False)
    envid: str = field(repr=False)
    content: str  # the store's name of the bytes; "" when they are gone
    form: Form
    egress: str
    readable: Readable
    size: int
    smtputf8: bool
    eight_bit: bool
    result: bool
    accepted_at: int
    state: LetterState
    held: bool
    cancelled: bool
    due: int
    expires: int
    attempts: int
    deferrals: int
    handed_at: int | None
    done_at: int | None

    def leaving(self, recipients: Sequence[OutgoingRecipient]) -> Leaving:
        return Leaving(
            id=self.id,
            reference=self.reference,
            mail_from=self.mail_from,
            recipients=tuple(recipients),
            size=self.size,
            envid=self.envid,
            smtputf8=self.smtputf8,
            eight_bit=self.eight_bit,
        )


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    place: int
    recipient: OutgoingRecipient
    state: RecipientState
    attempts: int
    unsure: int
    at: int | None  # of the last attempt
    last: Outcome | None


def letter_of(wraps: Wraps, columns: Sequence[Any]) -> QueuedLetter:
    """One row of COLUMNS. Raises KeyUnavailable."""
    row = _Row._make(columns)
    mail_from, envid = wraps.open_pair(row.envelope, "envelope", row.reference)
    return QueuedLetter(
        id=row.id,
        domain=row.domain,
        account=None if row.account is None else AccountId(row.account),
        reference=row.reference,
        mail_from=mail_from,
        envid=envid,
        content=row.content or "",
        form=Form(row.form),
        egress=row.egress,
        readable=Readable(row.readable),
        size=row.size,
        smtputf8=bool(row.smtputf8),
        eight_bit=bool(row.eight_bit),
        result=bool(row.result),
        accepted_at=row.accepted_at,
        state=LetterState(row.state),
        held=bool(row.held),
        cancelled=bool(row.cancelled),
        due=row.due,
        expires=row.expires,
        attempts=row.attempts,
        deferrals=row.deferrals,
        handed_at=row.handed_at,
        done_at=row.done_at,
    )


def letter(sql: Sql, wraps: Wraps, number: int) -> QueuedLetter | None:
    row = sql.one(f"SELECT {COLUMNS} FROM outbound_letter WHERE id = ?", (number,))
    return None if row is None else letter_of(wraps, row)


def recipients(
    sql: Sql, wraps: Wraps, of: QueuedLetter, *, waiting: bool = False
) -> tuple[QueuedRecipient, ...]:
    """In their order. Raises KeyUnavailable."""
    rows = sql.all(
        "SELECT place, address, notify, state, attempts, unsure, at, phase, reason, code, enhanced, said, host"
        f" FROM outbound_recipient WHERE letter = ?{' AND state = 0' if waiting else ''} ORDER BY place",
        (of.id,),
    )
    return tuple(_recipient(wraps, of.reference, row) for row in rows)


def _recipient(wraps: Wraps, reference: str, row: Sequence[Any]) -> QueuedRecipient:
    place, address, notify, state, attempts, unsure, at, *outcome = row
    whom, orcpt = wraps.open_pair(address, "recipient", reference)
    return QueuedRecipient(
        place,
        OutgoingRecipient(whom, Notify(notify), orcpt),
        RecipientState(state),
        attempts,
        unsure,
        at,
        outcome_of(wraps, reference, outcome, RecipientState(state)),
    )


_VERDICTS = {RecipientState.DELIVERED: Verdict.DELIVERED, RecipientState.FAILED: Verdict.FAILED}


def outcome_of(
    wraps: Wraps, of: str, columns: Sequence[Any], state: RecipientState = RecipientState.WAITING
) -> Outcome | None:
    """Of phase, reason, code, enhanced, said, host as they lie; None where nothing was tried yet."""
    phase, reason, code, enhanced, said, host = columns
    if not phase:
        return None
    words = wraps.open(said, "said", of).decode("ascii", "replace") if said is not None else ""
    verdict = _VERDICTS.get(state, Verdict.LATER)
    return Outcome(verdict, Phase(phase), reason, code, enhanced, words, host)


def outcome_columns(wraps: Wraps, of: str, outcome: Outcome) -> tuple[Any, ...]:
    """phase, reason, code, enhanced, said, host, as they are laid down."""
    said = wraps.close(outcome.said.encode("ascii", "replace"), "said", of) if outcome.said else None
    return outcome.phase.value, outcome.reason, outcome.code, outcome.enhanced, said, outcome.host


def told(wraps: Wraps, of: QueuedLetter, head: bytes) -> Told:
    """The letter as its sender's report speaks of it; `head` as it lies. A head that is damaged is left out."""
    try:
        fields = wraps.open(head, "head", of.reference)
    except KeyUnavailable:
        fields = b""
    return Told(
        account=of.account,
        mail_from=of.mail_from,
        reference=of.reference,
        accepted_at=of.accepted_at,
        head=fields,
        envid=of.envid,
        readable=of.readable,
        result=of.result,
        smtputf8=of.smtputf8,
    )


# -- what became of a submission


@dataclass(frozen=True, slots=True)
class RecipientStanding:
    """One recipient of a submission, as they stand now."""

    address: str = field(repr=False)
    state: RecipientState
    readable: Readable
    last: Outcome | None


def fates_of(sql: Sql, keys: KeyWrapper, reference: str) -> list[RecipientStanding]:
    """Of all letters laid under this reference; empty when there is none, or none is kept any more."""
    wraps = Wraps(keys)
    found: list[RecipientStanding] = []
    for row in sql.all(
        f"SELECT {COLUMNS} FROM outbound_letter WHERE reference = ? ORDER BY id",
        (reference,),
    ):
        try:
            one = letter_of(wraps, row)
            found += [
                RecipientStanding(each.recipient.address, each.state, one.readable, each.last)
                for each in recipients(sql, wraps, one)
            ]
        except KeyUnavailable:
            continue  # `check` tells of it
    return found
