"""Walks a chain and says where it does not hold.

Every link is stored, so the walk goes on after a break, and a part of a chain can be walked alone: several processes
share a long trace, and `merged` puts together what each found. What the chain cannot show by itself (a cut at its end,
all of it written anew) is shown by heads noted outside (`policies.audit.heads`).

Invariants: reads only; a purged entry is taken by its leaf, and nothing else may then stand in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.audit import entry
from policies.audit.classes import Retention
from policies.audit.query import as_entry, chains
from policies.audit.trail import NO_DAY, heads_of
from policies.interface import SqlConnection

__all__ = [
    "LOWEST",
    "Break",
    "Expected",
    "Found",
    "Step",
    "Verification",
    "chains",
    "merged",
    "purged_until",
    "verify",
    "walk",
]

_BATCH = 2000
LOWEST = -(2**62)
_MOST = 100  # breaks, and steps of the clock, that are told one by one
_TOLERANCE = 5 * 60 * 1000  # ms; an act may be written a little after another one that followed it
_SELECT = (
    f"SELECT {', '.join(entry.COLUMNS)} FROM audit_entry"  # noqa: S608 -- constant names
    " WHERE chain = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
)
_BEFORE = (
    "SELECT day, link, seq FROM audit_entry"
    " WHERE chain = ? AND seq < ? AND retention = ? ORDER BY seq DESC LIMIT 1"
)
_BETWEEN = "SELECT COUNT(*) FROM audit_entry WHERE chain = ? AND seq > ? AND seq < ?"
_LAST = "SELECT seq, at, leaf FROM audit_entry WHERE chain = ? AND seq < ? ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Expected:
    """A head noted outside: when the chain ended with this number, this class of it ended with this link."""

    retention: int
    day: int
    seq: int
    link: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain does not hold."""

    seq: int
    # "altered", "missing", "day-missing", "tail-cut", "rewritten", "purged-early", "purged-untold", "index"
    reason: str
    until: int = 0  # the last number of a run; 0: `seq` alone
    day: int = NO_DAY

    @property
    def place(self) -> str:
        return f"entries {self.seq} to {self.until}" if self.until > self.seq else f"entry {self.seq}"


@dataclass(frozen=True, slots=True)
class Step:
    """The clock went back here: an entry was written after one of a later time."""

    seq: int
    at: int
    after: int


@dataclass(frozen=True, slots=True)
class Purges:
    """What was emptied of a class, and what the trace tells of its emptying (days: first that was kept)."""

    last_day: int = NO_DAY
    last_seq: int = 0
    count: int = 0
    told_before: int = NO_DAY


@dataclass(slots=True)
class Found:
    """What the walk of one part found."""

    entries: int = 0
    parties: int = 0
    breaks: list[Break] = field(default_factory=list[Break])
    broken: int = 0  # all of them, beyond those that are told one by one
    steps: list[Step] = field(default_factory=list[Step])
    purges: dict[int, Purges] = field(default_factory=dict[int, Purges])
    first: int = 0
    last: int = 0

    def add(self, what: Break) -> None:
        self.broken += 1
        if len(self.breaks) < _MOST:
            self.breaks.append(what)


@dataclass(frozen=True, slots=True)
class Verification:
    chain: str
    entries: int
    seq: int
    breaks: Sequence[Break]
    broken: int
    steps: Sequence[Step]
    purged: int

    @property
    def whole(self) -> bool:
        return not self.broken


@dataclass(slots=True)
class _Class:
    """Where the walk stands in one class."""

    day: int
    link: bytes
    sure: bool = True  # False after a gap: the link before may be among what is missing


def verify(
    sql: SqlConnection,
    chain: str,
    expected: Sequence[Expected] = (),
    kept_from: Mapping[int, int] | None = None,
) -> Verification:
    """Check one chain, in one go."""
    last = heads_of(sql, chain).seq
    return merged(sql, chain, [walk(sql, chain, LOWEST, last + 1, expected, kept_from)], last, expected)


def walk(
    sql: SqlConnection,
    chain: str,
    seq_from: int,
    seq_below: int,
    expected: Sequence[Expected] = (),
    kept_from: Mapping[int, int] | None = None,
) -> Found:
    """Check the entries numbered from `seq_from` to below `seq_below`.

    `kept_from` tells the first day that each class still keeps: what is emptied from then on was emptied too early.
    """
    return _Walk(sql, chain, seq_from, seq_below, expected, kept_from or {}).through()


class _Walk:
    def __init__(
        self,
        sql: SqlConnection,
        chain: str,
        seq_from: int,
        seq_below: int,
        expected: Sequence[Expected],
        kept_from: Mapping[int, int],
    ) -> None:
        self._sql = sql
        self._chain = chain
        self._from = seq_from
        self._below = seq_below
        self._kept_from = kept_from
        self._noted = max(0, seq_from - 1)  # up to where a head noted outside was met
        self._heads: dict[int, list[Expected]] = {}
        for one in expected:
            if seq_from <= one.seq < seq_below:
                self._heads.setdefault(one.seq, []).append(one)
        self.found = Found()

    def through(self) -> Found:
        found = self.found
        classes = [self._before(each) for each in Retention]
        previous = max(0, self._from - 1)
        day = max(each.day for each in classes)
        highest = self._last_time()
        behind = False
        for row in _rows(self._sql, self._chain, self._from, self._below):
            seq, at, purged = row[1], row[4], row[-2] is not None
            if seq != previous + 1:
                self._gap(previous, seq, day, row[3])
                for each in classes:
                    each.sure = False
            previous = max(previous, seq)
            self._link(row, classes[1 if row[2] == 1 else 0])
            if heads := self._heads.get(seq):
                self._head(seq, row[3], heads, classes)
            if purged:
                self._purged(row)
            else:
                if at < highest - _TOLERANCE:
                    if not behind and len(found.steps) < _MOST:
                        found.steps.append(Step(seq, at, highest))
                    behind = True
                else:
                    behind = False
                highest = max(highest, at)
                found.parties += len(entry.parties_of(row))
                if row[5] == "audit-purge":
                    self._told(row)
            day = row[3]
            found.entries += 1
        if previous < self._below - 1:
            found.add(Break(previous + 1, "missing", self._below - 1, max(day, 0)))
        found.last = previous
        return found

    def _before(self, retention: Retention) -> _Class:
        """Where the class stood before this part; not sure of it when something between is missing."""
        if self._from <= 1 or heads_of(self._sql, self._chain).of(retention)[0] == NO_DAY:
            return _Class(NO_DAY, entry.GENESIS)
        row = self._sql.one(_BEFORE, (self._chain, self._from, int(retention)))
        day, link, seq = (int(row[0]), bytes(row[1]), int(row[2])) if row else (NO_DAY, entry.GENESIS, 0)
        between = self._sql.one(_BETWEEN, (self._chain, seq, self._from))
        return _Class(day, link, between is not None and int(between[0]) == self._from - 1 - seq)

    def _last_time(self) -> int:
        row = self._sql.one(_LAST, (self._chain, self._from))
        return int(row[1]) if row and row[2] is None else 0

    def _gap(self, previous: int, seq: int, day: int, next_day: int) -> None:
        if seq <= previous:
            self.found.add(Break(seq, "altered"))
            return
        whole_days = next_day - day > 1 and day != NO_DAY
        self.found.add(
            Break(
                previous + 1,
                "day-missing" if whole_days else "missing",
                seq - 1,
                day + 1 if whole_days else max(day, 0),
            )
        )

    def _link(self, row: tuple[Any, ...], known: _Class) -> None:
        fields, salt, leaf, link = row[: entry.FIELDS], bytes(row[-3]), row[-2], bytes(row[-1])
        seq, day = row[1], row[3]
        if leaf is None:
            leaf = entry.leaf_of(salt, fields)
        elif salt or any(fields[4:]):
            self.found.add(Break(seq, "altered", day=day))
        previous = known.link
        if day != known.day:
            previous = entry.opening_of(self._chain, row[2], day, previous)
        holds = entry.link_of(previous, bytes(leaf)) == link and day >= known.day
        if not holds and known.sure:
            self.found.add(Break(seq, "altered", day=day))
        known.day, known.link, known.sure = day, link, True

    def _head(self, seq: int, day: int, heads: Sequence[Expected], classes: Sequence[_Class]) -> None:
        """When this number was the chain's last, the class ended with the link that was noted."""
        if any(classes[head.retention].link != head.link for head in heads):
            self.found.add(Break(self._noted + 1, "rewritten", seq, day))
        self._noted = seq

    def _purged(self, row: tuple[Any, ...]) -> None:
        seq, retention, day = row[1], row[2], row[3]
        if any(row[4 : entry.FIELDS]):
            return  # not emptied: altered
        known = self.found.purges.get(retention, Purges())
        self.found.purges[retention] = replace(
            known,
            last_day=max(known.last_day, day),
            last_seq=seq if day >= known.last_day else known.last_seq,
            count=known.count + 1,
        )
        kept_from = self._kept_from.get(retention)
        if kept_from is not None and day >= kept_from:
            self.found.add(Break(seq, "purged-early", day=day))

    def _told(self, row: tuple[Any, ...]) -> None:
        details = as_entry(row).details
        for each in Retention:
            if details.get("class") == each.word and details.get("before", "").isdecimal():
                known = self.found.purges.get(each, Purges())
                told = max(known.told_before, int(details["before"]))
                self.found.purges[int(each)] = replace(known, told_before=told)


def merged(
    sql: SqlConnection, chain: str, parts: Sequence[Found], last: int, expected: Sequence[Expected] = ()
) -> Verification:
    """One verdict from the parts of a chain, in order, and from what only the whole can show.

    `last`: where the chain stood when the walk began, for the node may have gone on writing meanwhile.
    """
    breaks = [each for part in parts for each in part.breaks]
    broken = sum(part.broken for part in parts)
    more = [*_ends(sql, chain, last, expected), *_untold(parts)]
    if not broken and not more:
        more += _index(sql, chain, last, sum(part.parties for part in parts))
    joined = [_as_cut(each, last) for each in _joined(breaks)]
    if joined and more and joined[-1].reason == "tail-cut" == more[0].reason:
        more[0] = replace(joined.pop(), until=more[0].until, day=max(more[0].day, NO_DAY))
    steps = [step for part in parts for step in part.steps]
    purged = sum(each.count for part in parts for each in part.purges.values())
    entries = sum(part.entries for part in parts)
    return Verification(
        chain, entries, last, [*joined, *more][:_MOST], broken + len(more), steps[:_MOST], purged
    )


def purged_until(sql: SqlConnection, chain: str) -> tuple[int, ...]:
    """Up to where each class is emptied: what moved these between two looks emptied entries meanwhile."""
    row = sql.one("SELECT technical_purged, functional_purged FROM audit_head WHERE chain = ?", (chain,))
    return (int(row[0]), int(row[1])) if row else ()


def _as_cut(found: Break, last: int) -> Break:
    """What is missing up to the end was cut off there."""
    return replace(found, reason="tail-cut") if found.reason == "missing" and found.until == last else found


def _ends(sql: SqlConnection, chain: str, last: int, expected: Sequence[Expected]) -> Iterator[Break]:
    """The end is where the node itself says that it is, and not before the last head noted outside."""
    known = max((each.seq for each in expected), default=0)
    if known > last:
        yield Break(last + 1, "tail-cut", known, min(each.day for each in expected if each.seq > last))
    row = sql.one(_LAST, (chain, 2**62))
    end = heads_of(sql, chain).seq
    if row is not None and int(row[0]) > end:
        yield Break(end + 1, "altered", int(row[0]))


def _untold(parts: Sequence[Found]) -> Iterator[Break]:
    for each in Retention:
        purges = [part.purges[each] for part in parts if each in part.purges]
        told = max((one.told_before for one in purges), default=NO_DAY)
        last = max(purges, key=lambda one: one.last_day, default=Purges())
        if last.count and last.last_day >= told:
            yield Break(last.last_seq, "purged-untold", day=last.last_day)


def _index(sql: SqlConnection, chain: str, last: int, parties: int) -> Iterator[Break]:
    """Whoever takes lines out of the index hides them from the holder's log."""
    row = sql.one("SELECT COUNT(*) FROM audit_party WHERE chain = ? AND seq <= ?", (chain, last))
    if row is not None and int(row[0]) != parties:
        yield Break(0, "index")


def _joined(breaks: Iterable[Break]) -> list[Break]:
    """Neighbours of one kind are one run: a day purged too early is one finding."""
    runs: list[Break] = []
    for each in breaks:
        if runs and (last := runs[-1]).reason == each.reason and each.seq == max(last.seq, last.until) + 1:
            runs[-1] = replace(last, until=max(each.seq, each.until))
        else:
            runs.append(each)
    return runs


def _rows(sql: SqlConnection, chain: str, seq: int, below: int) -> Iterator[tuple[Any, ...]]:
    while rows := sql.all(_SELECT, (chain, seq, below, _BATCH)):
        yield from rows
        seq = rows[-1][1] + 1
