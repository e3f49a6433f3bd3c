"""Whom lines that are wrong may stand for, so that a mistyped number takes nobody out.

A wrong line that names somebody beyond doubt (its address, or an identifier that is right) keeps what is known of
them, and of nobody else. Any other one may be a line of whoever is gone from the file and whose address, identifier
or names stand in it, wherever the columns slipped to; address and identifier with one mistake, too.

Invariants: nobody is taken for gone whom a wrong line may name; where there are too many wrong lines to look at, nobody
is taken for gone at all; memory is bounded, whatever the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from directory.imports.wrong import LineWrong
from directory.listings.database import ListingsDatabase, Sql
from directory.search.words import normalised

_MOST_CLEAR = 200_000
_MOST_UNCLEAR = 20_000
_LONGEST = 4096  # octets of a line that are looked at
_SHORTEST_ID, _LONGEST_ID = 8, 14  # characters of one that may be mistyped
_IN_IDS = "0123456789AB"  # 2A and 2B are departments of ADELI numbers
_AT_ONCE = 1000  # rows of one transaction
_TOO_MANY = (
    "too many wrong lines to tell whose they are",
    "There are too many wrong lines to tell whose they are.",
)
_Why = tuple[int, str, str]  # line, reason, sentence


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody, or an address, kept as before."""

    which: str  # the address, or the professional's identifier
    line: int  # in the file; 0: there were too many wrong ones
    reason: str  # why that line is wrong
    sentence: str  # the same for people


@dataclass(frozen=True, slots=True)
class Gone:
    """What is in the file no more."""

    owner: str  # as the lines have it
    which: str  # address, or identifier
    national_ids: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()  # family, given: as `normalised`


@dataclass(frozen=True, slots=True)
class _Unclear:
    why: _Why
    parts: tuple[str, ...]


class WrongLines:
    def __init__(self) -> None:
        self._clear: dict[str, _Why] = {}
        self._unclear: list[_Unclear] = []
        self._addresses: set[str] = set()  # that stand in unclear ones
        self._too_many = False

    def note(self, number: int, wrong: LineWrong, line: bytes, named: str | None) -> None:
        """`named`: whom it names beyond doubt."""
        why = number, wrong.reason, wrong.sentence
        if named is not None:
            self._clear.setdefault(named, why)
        else:
            parts = tuple(one.strip() for one in line[:_LONGEST].decode("utf-8", "replace").split("|"))
            self._unclear.append(_Unclear(why, tuple(one for one in parts if one)))
            self._addresses |= {one.lower() for one in parts if "@" in one}
        if len(self._clear) > _MOST_CLEAR or len(self._unclear) > _MOST_UNCLEAR:
            self._too_many = True
            self._clear, self._unclear, self._addresses = {}, [], set()

    def has(self, address: str) -> bool:
        """Whether this very address stands in one of them."""
        return self._too_many or address in self._clear or address in self._addresses

    def __bool__(self) -> bool:
        return self._too_many or bool(self._clear or self._unclear)

    def held(self, gone: Sequence[Gone]) -> dict[str, Held]:
        """Of these, who may be named, by owner."""
        if self._too_many:
            return {one.owner: Held(one.which, 0, *_TOO_MANY) for one in gone}
        found: dict[str, Held] = {}
        for one in gone:
            for key in (one.which, *one.national_ids):
                if (line := self._clear.get(key)) is not None:
                    found.setdefault(one.owner, Held(one.which, *line))
        if self._unclear:
            search = _Search(gone)
            for unclear in self._unclear:
                for one in search.named(unclear.parts):
                    found.setdefault(one.owner, Held(one.which, *unclear.why))
        return found


class _Search:
    """Among those who are gone."""

    def __init__(self, gone: Sequence[Gone]) -> None:
        self._ids = _by((national_id, one) for one in gone for national_id in one.national_ids)
        self._families = _by((family, one) for one in gone for family, _ in one.names if family)
        self._addresses = _by((one.which, one) for one in gone if "@" in one.which)

    def named(self, parts: Sequence[str]) -> Iterator[Gone]:
        for part in parts:
            if "@" in part or "." in part:
                yield from self._by_address(part.lower())
            else:
                yield from self._by_id("".join(part.split()).upper())
        words = {normalised(part) for part in parts}
        for family in words:
            for one in self._families.get(family, ()):
                if any(each == family and (given in words or not given) for each, given in one.names):
                    yield one

    def _by_address(self, typed: str) -> Iterator[Gone]:
        if typed in self._addresses:
            yield from self._addresses[typed]
            return
        for address, _, _ in process.extract(
            typed, self._addresses.keys(), scorer=OSA.distance, score_cutoff=1, limit=None
        ):
            yield from self._addresses[address]

    def _by_id(self, typed: str) -> Iterator[Gone]:
        if _SHORTEST_ID <= len(typed) <= _LONGEST_ID and typed.isascii():
            for one in {typed, *_one_mistake(typed)} & self._ids.keys():
                yield from self._ids[one]


def _by(pairs: Iterable[tuple[str, Gone]]) -> Mapping[str, list[Gone]]:
    found: dict[str, list[Gone]] = {}
    for key, one in pairs:
        found.setdefault(key, []).append(one)
    return found


def _one_mistake(typed: str) -> Iterator[str]:
    """What somebody may have meant: a character wrong, missing or too much, or two neighbours exchanged."""
    for at in range(len(typed) + 1):
        before, after = typed[:at], typed[at:]
        yield from (f"{before}{one}{after}" for one in _IN_IDS)
        if after:
            yield before + after[1:]
            yield from (f"{before}{one}{after[1:]}" for one in _IN_IDS)
        if len(after) > 1:
            yield f"{before}{after[1]}{after[0]}{after[2:]}"


def keep(database: ListingsDatabase, source: int, held: Sequence[Held], at: int) -> None:
    """Note who is held now, and since when, in place of who was at the import before."""
    before = dict(database.read(lambda sql: [(row[0], int(row[1])) for row in sql.all(_KEPT, (source,))]))
    rows = [(source, one.which, one.line, one.reason, before.get(one.which, at)) for one in held]
    over = sorted(before.keys() - {one.which for one in held})

    def write(sql: Sql, fresh: Sequence[Sequence[object]], gone: Sequence[str]) -> None:
        sql.many("DELETE FROM held WHERE source = ? AND which = ?", [(source, one) for one in gone])
        sql.many(_KEEP, fresh)

    for start in range(0, max(len(rows), len(over)), _AT_ONCE):
        some, gone = rows[start : start + _AT_ONCE], over[start : start + _AT_ONCE]
        database.write(lambda sql, some=some, gone=gone: write(sql, some, gone))


_KEPT = "SELECT which, since FROM held WHERE source = ?"
_KEEP = (
    "INSERT INTO held (source, which, line, reason, since) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (source, which) DO UPDATE SET line = excluded.line, reason = excluded.reason"
)
