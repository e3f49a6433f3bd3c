"""What an import writes: some owners at a time, in transactions short enough that the node's own writes wait little.

Invariants: a transaction holds what lines say and their hashes together; its size follows the clock, not the file;
nothing is struck off before the whole file has been read; nobody is taken for gone whom a wrong line may name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from directory.imports import known_lines
from directory.imports.form import Form, Value
from directory.imports.reports import Report
from directory.imports.transactions import Transactions
from directory.imports.unclear import Gone, Held, WrongLines
from directory.imports.wrong import LineWrong
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.known import several
from directory.listings.writing import (
    Written,
    compare_mailboxes,
    compare_situations,
    put_mailboxes,
    put_numbered_situations,
    reinstate,
    remove_mailboxes,
    remove_situations,
    settle,
    strike_off,
)
from directory.model import Kind, Mailbox, Origin, Situation
from directory.search.index import Vocabulary

if TYPE_CHECKING:
    from directory.imports.run import Outcome

_AIM = 0.06  # seconds that a transaction is to take
_FEWEST, _MOST = 20, 4000  # owners of one
_Line = tuple[int, int, bytes, bool]  # number, hash, octets, whether it is known already
_Ready = tuple[str, Value, list[int]]  # owner, value, hashes that are new


class Writer:
    def __init__(
        self,
        database: ListingsDatabase,
        form: Form,
        outcome: Outcome,
        wrong: Report,
        changes: Report,
        clock: Callable[[], int],
        *,
        dry_run: bool,
    ) -> None:
        self._database = database
        self._transactions = Transactions(database)
        self._form = form
        self._outcome = outcome
        self._wrong = wrong
        self._changes = changes
        self._clock = clock
        self._dry = dry_run
        self._at = clock()
        self._size = 200
        self._ready: list[_Ready] = []
        self._vocabulary = Vocabulary()
        self._wrong_lines = WrongLines()
        self._written: set[str] = set()  # owners that were gone and are not
        self.gone_owners: Collection[str] = ()

    def take(self, lines: Sequence[_Line]) -> None:
        """All lines of one owner (or, rarely, of several that look alike)."""
        by_owner: dict[str, list[tuple[Value, int, bool, int]]] = {}
        for number, hashed, line, known in lines:
            try:
                value = self._form.value(line)
            except LineWrong as wrong:
                self._outcome.wrong += 1
                self._wrong.tell(number, wrong.column, wrong.reason, wrong.sentence)
                self._wrong_lines.note(number, wrong, line, self._form.clear_key(line))
                continue
            by_owner.setdefault(self._form.owner(value), []).append((value, hashed, known, number))
        for owner, found in by_owner.items():
            values = [one[0] for one in found]
            if len(values) > 1 and self._form.surplus(values):
                self._outcome.repeated += len(values) - 1
                words = f"repeated {len(values)} times; one is taken"
                self._wrong.tell(found[1][3], "", words, f"{words.capitalize()}.")
            value = values[0] if len(values) == 1 else self._form.merged(values)
            if self._loses_a_holder(owner, value):
                continue
            hashes = list(dict.fromkeys(one[1] for one in found if not one[2]))
            self._ready.append((owner, value, hashes))
            if owner in self.gone_owners:
                self._written.add(owner)
        if len(self._ready) >= self._size:
            self.flush()

    def _loses_a_holder(self, owner: str, value: Value) -> bool:
        """Of a practice's several lines one is gone, and one is wrong: it stays as it is."""
        shared = isinstance(value, Mailbox) and value.kind is Kind.CAB
        return shared and owner in self.gone_owners and self._wrong_lines.has(owner)

    def flush(self) -> None:
        while self._ready:
            some, self._ready = self._ready[: self._size], self._ready[self._size :]
            if self._dry:
                self._compare(some)
                continue
            self._sized(len(some), self._transactions.timed(lambda sql, some=some: self._put(sql, some)))

    def _sized(self, count: int, took: float) -> None:
        fitting = int(count * _AIM / max(took, 0.001))
        self._size = max(_FEWEST, min(_MOST, fitting, self._size * 2))

    def _put(self, sql: Sql, some: Sequence[_Ready]) -> None:
        values: list[Any] = [value for _, value, _ in some]
        if self._form.of_mailboxes:
            written = put_mailboxes(sql, values, at=self._at, vocabulary=self._vocabulary)
        else:
            written = put_numbered_situations(sql, _numbered(some), self._at, self._vocabulary)
            self._reinstate(sql, values)
        refused = set(written.refused)
        known_lines.add(
            sql,
            self._form.number,
            # What has a better owner is looked at again each time: it may be free by then.
            [(hashed, owner) for owner, _, hashes in some if owner not in refused for hashed in hashes],
        )
        self._count(written, _people_of(some))

    def _reinstate(self, sql: Sql, values: Sequence[Situation]) -> None:
        people = {one.professional.national_id for one in values}
        asked = "SELECT national_id FROM professional WHERE struck_off_at IS NOT NULL AND national_id IN ({})"
        back = [row[0] for row in several(sql, asked, people)]
        if back:
            reinstate(sql, back, self._at)
            self._outcome.reinstated += back

    def _count(self, written: Written, whose: Mapping[str, str] | None = None) -> None:
        """`whose`: the people that situations are of, who can be looked up; numbers of situations cannot."""
        outcome = self._outcome
        outcome.added += len(written.added)
        outcome.changed += len(written.changed)
        outcome.removed += len(written.removed)
        outcome.refused += len(written.refused)
        for what, which in (
            ("added", written.added),
            ("changed", written.changed),
            ("removed", written.removed),
            ("not ours to change", written.refused),
        ):
            for one in which:
                self._changes.tell(what, (whose or {}).get(one, one))

    def _compare(self, some: Sequence[_Ready]) -> None:
        """What would become of them."""

        def read(sql: Sql) -> Written:
            if self._form.of_mailboxes:
                return compare_mailboxes(sql, [value for _, value, _ in some if isinstance(value, Mailbox)])
            return compare_situations(sql, _numbered(some))

        self._count(self._database.read(read), _people_of(some))

    # -- what is gone

    def remove(self, gone: dict[str, list[int]]) -> None:
        """Owners whose lines are no longer in the file, with the numbers of these lines."""
        changed = [number for owner in self._written for number in gone.get(owner, ())]
        left = {owner: numbers for owner, numbers in gone.items() if owner not in self._written}
        kept = self._held_of(left)
        self._tell_held(kept)
        removed = sorted(owner for owner in left if owner not in kept)
        if self._dry:
            self._count(
                Written(removed=tuple(removed)), self._database.read(lambda sql: self._whose(sql, removed))
            )
            return
        for start in range(0, len(changed), 1000):
            numbers = changed[start : start + 1000]
            self._transactions.run(lambda sql, numbers=numbers: known_lines.forget(sql, numbers))
        while removed:
            some, removed = removed[: self._size], removed[self._size :]
            took = self._transactions.timed(lambda sql, some=some: self._drop(sql, some, left))
            self._sized(len(some), took)

    def _held_of(self, left: Collection[str]) -> dict[str, Held]:
        """Whose line may be one that is wrong now: nobody said that they are gone. By owner."""
        if not (self._wrong_lines and left):
            return {}
        seek = _gone_mailboxes if self._form.of_mailboxes else _gone_situations
        return self._wrong_lines.held(self._database.read(lambda sql: seek(sql, left)))

    def _tell_held(self, held: Mapping[str, Held]) -> None:
        self._outcome.kept = len(held)
        each = {one.which: one for one in held.values()}
        self._outcome.held = sorted(each.values(), key=lambda one: one.which)
        for one in self._outcome.held:
            self._changes.tell("held", one.which)

    def _drop(self, sql: Sql, some: Sequence[str], gone: dict[str, list[int]]) -> None:
        whose = self._whose(sql, some)
        if self._form.of_mailboxes:
            written = remove_mailboxes(sql, some, self._at, Origin.NATIONAL)
        else:
            written = remove_situations(sql, some, self._at)
            self._strike(sql, sorted(set(whose.values())))
        known_lines.forget(sql, [number for owner in some for number in gone[owner]])
        self._count(written, whose)

    def _whose(self, sql: Sql, owners: Sequence[str]) -> dict[str, str]:
        """The people that these situations are of."""
        if self._form.of_mailboxes:
            return {}
        asked = "SELECT id, national_id FROM situation WHERE id IN ({})"
        return {str(row[0]): str(row[1]) for row in several(sql, asked, [int(one) for one in owners])}

    def _strike(self, sql: Sql, people: Sequence[str]) -> None:
        """Who practises nowhere any more."""
        asked = "SELECT DISTINCT national_id FROM situation WHERE origin = 'national' AND national_id IN ({})"
        left = {row[0] for row in several(sql, asked, people)}
        off = strike_off(sql, [one for one in people if one not in left], self._at).changed
        self._outcome.struck_off += off
        for one in off:
            self._changes.tell("struck off", one)

    def settle(self) -> None:
        if self._dry:
            return
        while self._transactions.run(lambda sql: settle(sql, self._at, vocabulary=self._vocabulary)):
            continue

    @contextlib.contextmanager
    def writing(self) -> Generator[None]:
        """What is written is written within it."""
        if self._dry:
            yield
            return
        try:
            with self._transactions:
                yield
        finally:
            self._outcome.longest_transaction = int(self._transactions.longest * 1000)


def _numbered(some: Sequence[_Ready]) -> dict[int, Situation]:
    return {int(owner): value for owner, value, _ in some if isinstance(value, Situation)}


def _people_of(some: Sequence[_Ready]) -> dict[str, str]:
    """By the situations that they are of."""
    return {owner: value.professional.national_id for owner, value, _ in some if isinstance(value, Situation)}


def _gone_mailboxes(sql: Sql, addresses: Collection[str]) -> list[Gone]:
    asked = (
        "SELECT h.address, h.national_id, p.family_words, p.given_words FROM mailbox_holder h"
        " LEFT JOIN professional p ON p.national_id = h.national_id WHERE h.address IN ({})"
    )
    holders: dict[str, list[tuple[str, str, str]]] = {}
    for address, *holder in several(sql, asked, addresses):
        holders.setdefault(address, []).append((holder[0], holder[1] or "", holder[2] or ""))
    return [
        Gone(
            one,
            one,
            tuple(national_id for national_id, _, _ in holders.get(one, ())),
            tuple((family, given) for _, family, given in holders.get(one, ())),
        )
        for one in addresses
    ]


def _gone_situations(sql: Sql, ids: Collection[str]) -> list[Gone]:
    asked = (
        "SELECT s.id, s.national_id, p.family_words, p.given_words FROM situation s"
        " LEFT JOIN professional p ON p.national_id = s.national_id WHERE s.id IN ({})"
    )
    rows = several(sql, asked, [int(one) for one in ids])
    return [Gone(str(row[0]), row[1], (row[1],), ((row[2] or "", row[3] or ""),)) for row in rows]
