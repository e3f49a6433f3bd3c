"""What happened to an account's messages and threads between two modseqs (RFC 8620 §5.2, RFC 8621 §3, §4.3).

Read from what is there and from the tombstones. Invariants: an object made and destroyed within the span is not
told; an answer cut short ends at a modseq whose changes it tells whole, and what it leaves out is told from there,
as created when it was created. Where the span cannot be told (before a restore, too much, or one change larger than
the limit) `upto` is the modseq asked from and `more` is set: who asks begins afresh (cannotCalculateChanges).
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from mail_server.store.interface import NoSuchAccount
from mail_server.store.model import AccountId, EmailChanges
from mail_server.store.reader import StoreReader

_MOST = 10_000  # a span with more is not told: reading the list anew is cheaper for both


class _Kind(enum.Enum):
    CREATED = 0
    UPDATED = 1
    DESTROYED = 2


@dataclass(frozen=True, slots=True)
class _Alive:
    email_id: str
    thread_id: str
    created: int
    last: int  # newest change of its places


@dataclass(frozen=True, slots=True)
class _Gone:
    email_id: str
    thread_id: str
    created: int
    last: int  # when its last mailbox let go


@dataclass(frozen=True, slots=True)
class _Span:
    """Everything that changed after a modseq."""

    since: int
    now: int
    alive: list[_Alive]
    gone: list[_Gone]


_Told = tuple[int, str, _Kind]  # the modseq it is told at


class ChangeReader(StoreReader):
    """The part of a reader that compares two states of an account."""

    def modseq(self, account: AccountId) -> int:
        return self._state(account)[0]

    def email_changes(self, account: AccountId, since: int, limit: int) -> EmailChanges:
        span = self._span(account, since)
        if span is None:
            return _untold(since)
        told: list[_Told] = [
            (one.created, one.email_id, _Kind.CREATED)
            if one.created > since
            else (one.last, one.email_id, _Kind.UPDATED)
            for one in span.alive
        ]
        told += [(one.last, one.email_id, _Kind.DESTROYED) for one in span.gone if one.created <= since]
        return _cut(told, span, limit)

    def thread_changes(self, account: AccountId, since: int, limit: int) -> EmailChanges:
        """A thread changes when a message joins or leaves it, not with their flags."""
        span = self._span(account, since)
        if span is None:
            return _untold(since)
        moves: dict[str, list[int]] = {}  # modseqs at which messages joined or left
        before: set[str] = set()  # threads that had a message at `since`
        for one in span.alive:
            if one.created > since:
                moves.setdefault(one.thread_id, []).append(one.created)
        for one in span.gone:
            joined = [one.created] if one.created > since else []
            moves.setdefault(one.thread_id, []).extend([*joined, one.last])
            if not joined:
                before.add(one.thread_id)
        oldest = self._oldest(account, moves)
        told: list[_Told] = []
        for thread, at in moves.items():
            living = oldest.get(thread)
            if thread in before or (living is not None and living <= since):
                told.append((max(at), thread, _Kind.DESTROYED if living is None else _Kind.UPDATED))
            elif living is not None:
                told.append((min(at), thread, _Kind.CREATED))
        return _cut(told, span, limit)

    # -- inside ------------------------------------------------------------------------------------------

    def _state(self, account: AccountId) -> tuple[int, int]:
        """The account's modseq, and the one from which on changes are told."""
        row = self.sql.one("SELECT modseq, told_from FROM account_store WHERE account_id = ?", (account,))
        if row is None:
            raise NoSuchAccount(account)
        return row[0], row[1]

    def _span(self, account: AccountId, since: int) -> _Span | None:
        now, told_from = self._state(account)
        if not told_from <= since <= now:
            return None
        if since == now:
            return _Span(since, now, [], [])
        tombstones = self.sql.all(
            "SELECT email_id, thread_id, email_created, modseq, destroyed FROM tombstone"
            " WHERE account_id = ? AND modseq > ? LIMIT ?",
            (account, since, _MOST + 1),
        )
        places = self.sql.all(
            "SELECT p.message_id, p.modseq FROM mailbox b JOIN membership p ON p.mailbox_id = b.id"
            " WHERE b.account_id = ? AND b.highestmodseq > ? AND p.modseq > ? LIMIT ?",
            (account, since, since, _MOST + 1),
        )
        if len(tombstones) + len(places) > _MOST:
            return None
        gone = {row[0]: _Gone(*row[:4]) for row in tombstones if row[4]}
        left: dict[str, int] = {}  # messages that left a mailbox and are in another
        for email_id, _, _, modseq, _ in tombstones:
            if email_id not in gone:
                left[email_id] = max(modseq, left.get(email_id, 0))
        moved: dict[int, int] = {}
        for message, modseq in places:
            moved[message] = max(modseq, moved.get(message, 0))
        columns = "SELECT id, email_id, thread_id, created_modseq FROM message WHERE account_id = ? AND "
        rows = set(
            self.sql.all(columns + self.sql.listed("id"), (account, self.sql.as_list(list(moved))))
            if moved
            else []
        )
        if left:
            rows.update(
                self.sql.all(columns + self.sql.listed("email_id"), (account, self.sql.as_words(list(left))))
            )
        alive = [
            _Alive(email_id, thread_id, created, max(moved.get(number, 0), left.get(email_id, 0)))
            for number, email_id, thread_id, created in rows
        ]
        return _Span(since, now, alive, list(gone.values()))

    def _oldest(self, account: AccountId, threads: Iterable[str]) -> dict[str, int]:
        """Of each thread that has messages: when the oldest of them was made."""
        asked = list(threads)
        if not asked:
            return {}
        rows = self.sql.all(
            f"SELECT thread_id, min(created_modseq) FROM message WHERE {self.sql.listed('thread_id')}"
            " AND account_id = ? GROUP BY thread_id",
            (self.sql.as_words(asked), account),
        )
        return dict(rows)  # type: ignore[arg-type]


def _untold(since: int) -> EmailChanges:
    return EmailChanges((), (), (), since, True)


def _cut(told: list[_Told], span: _Span, limit: int) -> EmailChanges:
    """As many whole modseqs as the limit allows."""
    told.sort(key=lambda one: (one[0], one[1]))
    upto, end = span.now, len(told)
    if end > limit:
        end = max(limit, 0)
        while end and told[end - 1][0] == told[end][0]:
            end -= 1
        if not end:
            return _untold(span.since)
        upto = told[end - 1][0]
    kinds: dict[_Kind, list[str]] = {kind: [] for kind in _Kind}
    for _, identity, kind in told[:end]:
        kinds[kind].append(identity)
    return EmailChanges(
        kinds[_Kind.CREATED], kinds[_Kind.UPDATED], kinds[_Kind.DESTROYED], upto, end < len(told)
    )
