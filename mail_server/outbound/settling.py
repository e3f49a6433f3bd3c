"""What an attempt brought, made durable: fates of recipients, what is owed to senders, the trace, all in one commit.

Invariants: a recipient gets one last fate, told once (`Owing`), in the transaction that writes it; when the last
recipient of a letter is settled its bytes are dropped in that transaction; a letter of which a recipient still waits
has a time at which it is due; who lost the lease settles what it knows and leaves the rest to whom has it now.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.interface import Outcome, Phase, Verdict
from mail_server.outbound.leases import Taken
from mail_server.outbound.reports.interface import Fate, Owing, Settled
from mail_server.outbound.rows import (
    COLUMNS,
    QueuedLetter,
    QueuedRecipient,
    RecipientState,
    Wraps,
    letter_of,
    outcome_columns,
    outcome_of,
    recipients,
    told,
)
from mail_server.outbound.schedule import Schedule
from mail_server.store.interface import Transaction
from policies.interface import AuditTrail, Event

OF_THE_CONNECTION = frozenset(
    {Phase.ROUTE, Phase.CONNECT, Phase.GREETING, Phase.TLS, Phase.TRUST, Phase.HELLO}
)
"""Phases that say nothing of a letter: whatever fails there fails for every letter of the domain."""
_STATES = {
    Fate.RELAYED: RecipientState.DELIVERED,
    Fate.FAILED: RecipientState.FAILED,
    Fate.EXPIRED: RecipientState.EXPIRED,
    Fate.CANCELLED: RecipientState.CANCELLED,
}
_ACTIONS = {
    Fate.RELAYED: "sent",
    Fate.FAILED: "send-failed",
    Fate.EXPIRED: "send-expired",
    Fate.CANCELLED: "send-cancelled",
}


@dataclass(slots=True)
class Settlement:
    """What one transaction settled; counted after its commit."""

    fates: Counter[tuple[Fate, str]] = field(
        default_factory=Counter[tuple[Fate, str]]
    )  # fate, readable or reason
    deferred: Counter[str] = field(default_factory=Counter[str])
    unsure: int = 0
    lost: bool = False  # the lease was another node's by then
    failures: int = 0  # of the domain's connection, in a row
    retry_at: int = 0
    fell: bool = False  # the domain is left alone from now on
    due: int | None = None  # when the letter is tried again

    def add(self, other: Settlement) -> None:
        self.fates.update(other.fates)
        self.deferred.update(other.deferred)
        self.unsure += other.unsure


@dataclass(frozen=True, slots=True)
class Attempt:
    """One letter handed over once: one outcome for each recipient, in their order."""

    taken: Taken
    outcomes: Sequence[Outcome]
    owner: str  # of the lease
    spread: float  # of the next wait, -1 to 1
    together: bool = False
    """The server puts off letter after letter: its domain is left alone as if it did not answer."""
    tell: bool = True


class Settling:
    """The writes. Every method runs inside a store operation."""

    def __init__(
        self, keys: KeyWrapper, schedule: Schedule, trail: AuditTrail, owing: Sequence[Owing] = ()
    ) -> None:
        self.wraps = Wraps(keys)
        self.schedule = schedule
        self._trail = trail
        self._owing = owing

    # -- an attempt --------------------------------------------------------------------------------------

    def attempt(self, transaction: Transaction, made: Attempt, now: int) -> Settlement:
        """Write what an attempt brought."""
        sql, letter, outcomes = transaction.sql, made.taken.letter, made.outcomes
        done = Settlement()
        row = sql.one(
            "UPDATE outbound_letter SET attempts = attempts + 1, handed_at = NULL, lease_owner = NULL,"
            " lease_until = NULL, state = 0 WHERE id = ? AND state = 1 AND lease_owner = ? RETURNING cancelled",
            (letter.id, made.owner),
        )
        done.lost = row is None
        given_up = bool(row and row[0]) or letter.cancelled
        last: dict[Fate, list[Settled]] = {}
        for each, outcome in zip(made.taken.recipients, outcomes, strict=True):
            fate = self._fate(outcome, letter, now, given_up)
            if done.lost and outcome.verdict is Verdict.LATER:
                continue
            if not self._write(transaction, letter, each, outcome, fate, now):
                continue  # settled by another node
            done.unsure += outcome.unsure
            if fate is None:
                done.deferred[outcome.reason] += 1
            else:
                last.setdefault(fate, []).append(Settled(each.recipient, fate, outcome))
        self._tell(transaction, letter, last, now, done, owe=made.tell)
        if made.together or all(_of_the_connection(outcome) for outcome in outcomes):
            self._domain_failed(transaction, letter.domain, outcomes[0], now, made.spread, done)
        elif row is not None:
            self._domain_answers(transaction, letter.domain)
        self._conclude(transaction, letter, now, made.spread, done)
        return done

    def _fate(self, outcome: Outcome, letter: QueuedLetter, now: int, given_up: bool) -> Fate | None:
        if outcome.verdict is Verdict.DELIVERED:
            return Fate.RELAYED
        if outcome.verdict is Verdict.FAILED:
            return Fate.FAILED
        if given_up:
            return Fate.CANCELLED
        return Fate.EXPIRED if now >= letter.expires else None

    def _write(
        self,
        transaction: Transaction,
        letter: QueuedLetter,
        each: QueuedRecipient,
        outcome: Outcome,
        fate: Fate | None,
        now: int,
    ) -> bool:
        state = RecipientState.WAITING if fate is None else _STATES[fate]
        return bool(
            transaction.sql.run(
                "UPDATE outbound_recipient SET state = ?, attempts = attempts + 1, unsure = unsure + ?, at = ?,"
                " phase = ?, reason = ?, code = ?, enhanced = ?, said = ?, host = ?"
                " WHERE letter = ? AND place = ? AND state = 0",
                (
                    int(state),
                    int(outcome.unsure),
                    now,
                    *outcome_columns(self.wraps, letter.reference, outcome),
                    letter.id,
                    each.place,
                ),
            )
        )

    def _conclude(
        self, transaction: Transaction, letter: QueuedLetter, now: int, spread: float, done: Settlement
    ) -> None:
        """Done with, or due again; a letter that another node has is concluded by that node."""
        sql = transaction.sql
        if (
            sql.one("SELECT 1 FROM outbound_recipient WHERE letter = ? AND state = 0 LIMIT 1", (letter.id,))
            is None
        ):
            self._finish(transaction, letter, now)
        elif not done.lost:
            put_off = not done.retry_at
            wait = self.schedule.wait(letter.deferrals + 1, spread)
            done.due = now + wait if put_off else done.retry_at
            sql.run(
                "UPDATE outbound_letter SET due = ?, deferrals = deferrals + ? WHERE id = ?",
                (done.due, int(put_off), letter.id),
            )

    def _finish(self, transaction: Transaction, letter: QueuedLetter, now: int) -> None:
        finished = transaction.sql.run(
            "UPDATE outbound_letter SET state = 2, done_at = ?, content = NULL, delay_at = NULL"
            " WHERE id = ? AND state = 0",
            (now, letter.id),
        )
        if finished and letter.content:
            transaction.drop_queued(letter.content)

    # -- the domain --------------------------------------------------------------------------------------

    def _domain_failed(
        self,
        transaction: Transaction,
        domain: str,
        outcome: Outcome,
        now: int,
        spread: float,
        done: Settlement,
    ) -> None:
        """Attempts that fail beside each other are one failure: the first of them sets the wait."""
        sql = transaction.sql
        row = sql.one("SELECT failures, retry_at FROM outbound_domain WHERE domain = ?", (domain,))
        failures, retry_at = row or (0, 0)
        if retry_at <= now:
            failures, retry_at, done.fell = (
                failures + 1,
                now + self.schedule.wait(failures + 1, spread),
                failures == 0,
            )
        sql.run(
            "UPDATE outbound_domain SET failures = ?, retry_at = ?, at = ?, phase = ?, reason = ?, code = ?,"
            " enhanced = ?, said = ?, host = ? WHERE domain = ?",
            (failures, retry_at, now, *outcome_columns(self.wraps, domain, outcome), domain),
        )
        done.failures, done.retry_at = failures, retry_at

    def _domain_answers(self, transaction: Transaction, domain: str) -> None:
        transaction.sql.run(
            "UPDATE outbound_domain SET failures = 0, retry_at = 0 WHERE domain = ? AND failures > 0",
            (domain,),
        )

    def _domain_outcome(self, transaction: Transaction, domain: str) -> Outcome | None:
        """Why nothing leaves for the domain: what is told of a letter that was never tried itself."""
        row = transaction.sql.one(
            "SELECT phase, reason, code, enhanced, said, host FROM outbound_domain"
            " WHERE domain = ? AND failures > 0",
            (domain,),
        )
        return None if row is None else outcome_of(self.wraps, domain, row)

    # -- time, and administrators ------------------------------------------------------------------------

    def expire(self, transaction: Transaction, now: int, limit: int) -> tuple[int, Settlement]:
        """Letters that waited too long, held or not: a hold that is forgotten must not swallow a letter."""
        rows = transaction.sql.all(
            "SELECT id FROM outbound_letter WHERE state < 2 AND state = 0 AND expires <= ? ORDER BY expires LIMIT ?"
            + _passing_over(transaction),
            (now, limit),
        )
        done = Settlement()
        for (number,) in rows:
            self.give_up(transaction, number, Fate.EXPIRED, now, done)
        return len(rows), done

    def give_up(
        self, transaction: Transaction, number: int, fate: Fate, now: int, done: Settlement, by: str = "node"
    ) -> bool:
        """End a letter that nobody has in hand. False: it is being handed over now, or is done."""
        row = transaction.sql.one(
            f"SELECT {COLUMNS} FROM outbound_letter WHERE id = ? AND state = 0" + _for_update(transaction),
            (number,),
        )
        if row is None:
            return False
        try:
            letter = letter_of(self.wraps, row)
            waiting = recipients(transaction.sql, self.wraps, letter, waiting=True)
        except KeyUnavailable:
            # Nothing of it opens under this node's key: it cannot leave, and its sender cannot be told.
            transaction.sql.run(
                "UPDATE outbound_recipient SET state = ?, at = ? WHERE letter = ? AND state = 0",
                (int(_STATES[fate]), now, number),
            )
            self._end_damaged(transaction, number, now)
            return True
        shared = self._domain_outcome(transaction, letter.domain)
        transaction.sql.run(
            "UPDATE outbound_recipient SET state = ?, at = ? WHERE letter = ? AND state = 0",
            (int(_STATES[fate]), now, number),
        )
        settled = [Settled(each.recipient, fate, each.last or shared) for each in waiting]
        self._tell(transaction, letter, {fate: settled}, now, done, by)
        self._finish(transaction, letter, now)
        return True

    def _end_damaged(self, transaction: Transaction, number: int, now: int) -> None:
        row = transaction.sql.one("SELECT content FROM outbound_letter WHERE id = ?", (number,))
        transaction.sql.run(
            "UPDATE outbound_letter SET state = 2, done_at = ?, content = NULL, delay_at = NULL WHERE id = ?",
            (now, number),
        )
        if row is not None and row[0]:
            transaction.drop_queued(row[0])

    def tell_late(self, transaction: Transaction, now: int, limit: int) -> tuple[int, int]:
        """Tell, once, senders of letters that wait for long. How many letters, how many recipients."""
        rows = transaction.sql.all(
            f"SELECT {COLUMNS} FROM outbound_letter WHERE state < 2 AND delay_at <= ? ORDER BY delay_at LIMIT ?"
            + _passing_over(transaction),
            (now, limit),
        )
        late = 0
        for row in rows:
            transaction.sql.run("UPDATE outbound_letter SET delay_at = NULL WHERE id = ?", (row[0],))
            try:
                letter = letter_of(self.wraps, row)
                waiting = recipients(transaction.sql, self.wraps, letter, waiting=True)
                if waiting:
                    shared = self._domain_outcome(transaction, letter.domain)
                    self._owe(
                        transaction,
                        letter,
                        [
                            Settled(e.recipient, Fate.DELAYED, e.last or shared, letter.expires)
                            for e in waiting
                        ],
                        now,
                    )
                    late += len(waiting)
            except KeyUnavailable:
                continue
        return len(rows), late

    def purge(self, transaction: Transaction, before: int, limit: int) -> int:
        rows = transaction.sql.all(
            "SELECT id FROM outbound_letter WHERE state = 2 AND done_at < ? ORDER BY done_at LIMIT ?",
            (before, limit),
        )
        transaction.sql.many("DELETE FROM outbound_recipient WHERE letter = ?", rows)
        transaction.sql.many("DELETE FROM outbound_letter WHERE id = ?", rows)
        return len(rows)

    # -- telling -----------------------------------------------------------------------------------------

    def _tell(
        self,
        transaction: Transaction,
        letter: QueuedLetter,
        fates: dict[Fate, list[Settled]],
        now: int,
        done: Settlement,
        by: str = "node",
        *,
        owe: bool = True,
    ) -> None:
        if not fates:
            return
        events: list[Event] = []
        for fate, settled in fates.items():
            for each in settled:
                reason = each.last.reason if each.last is not None else ""
                done.fates[fate, letter.readable.value if fate is Fate.RELAYED else reason] += 1
            events.append(_event(letter, fate, settled, now, by))
        if owe:
            self._owe(transaction, letter, [each for settled in fates.values() for each in settled], now)
        self._trail.append(transaction.sql, events)

    def _owe(
        self, transaction: Transaction, letter: QueuedLetter, settled: Sequence[Settled], now: int
    ) -> None:
        if not self._owing:
            return
        row = transaction.sql.one("SELECT head FROM outbound_letter WHERE id = ?", (letter.id,))
        assert row is not None
        what = told(self.wraps, letter, row[0])
        for owing in self._owing:
            owing.owe(transaction, what, settled, now)


def _of_the_connection(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.LATER and outcome.phase in OF_THE_CONNECTION


def _event(letter: QueuedLetter, fate: Fate, settled: Sequence[Settled], now: int, by: str) -> Event:
    """Ids and codes alone: who wrote, to which domain, with which reply."""
    last = settled[0].last
    detail: dict[str, Any] = {"domain": letter.domain, "recipients": str(len(settled))}
    outcome = letter.readable.value if fate is Fate.RELAYED else "done"
    if last is not None:
        detail |= {"phase": last.phase.value} | ({"code": str(last.code)} if last.code else {})
        if fate in (Fate.FAILED, Fate.EXPIRED):
            outcome = last.reason or outcome
    return Event(
        action=_ACTIONS[fate],
        at=now,
        actor=by,
        subject=letter.account or "",
        outcome=outcome,
        reference=letter.reference,
        detail=detail,
    )


def _passing_over(transaction: Transaction) -> str:
    """PostgreSQL: rows that another node works on at this moment are its own."""
    return " FOR UPDATE SKIP LOCKED" if transaction.sql.dialect == "postgresql" else ""


def _for_update(transaction: Transaction) -> str:
    return " FOR UPDATE" if transaction.sql.dialect == "postgresql" else ""
