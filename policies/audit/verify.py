"""Walks a chain of the trace and says where it first breaks.

Invariants: reads only, in bounded memory; an entry is accepted when its number follows, it holds the hash
before it, and its own hash is that of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.audit import entry
from policies.audit.query import as_entry
from policies.interface import SqlConnection

_BATCH = 1000
_SELECT = (
    f"SELECT {', '.join(entry.COLUMNS)} FROM audit_entry"  # noqa: S608 -- constant names
    " WHERE chain = ? AND seq > ? ORDER BY seq LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Head:
    """A chain's last entry, to be noted outside the node: a later verification must find it."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Raises ValueError."""
        seq, _, digest = text.strip().partition(":")
        return cls(int(seq), bytes.fromhex(digest))


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold."""

    seq: int
    reason: str  # "missing", "altered", "unlinked", "head-missing", "head-differs"


@dataclass(frozen=True, slots=True)
class Verification:
    chain: str
    entries: int
    head: Head
    broken: Break | None

    @property
    def whole(self) -> bool:
        return self.broken is None


def verify(sql: SqlConnection, chain: str, expect: Head | None = None) -> Verification:
    """Check one chain; `expect` is a head noted earlier, so that a cut at the end shows too."""
    seq, previous, broken = 0, entry.GENESIS, None
    for found in _entries(sql, chain):
        broken = _broken(found, seq, previous) or _differs(found, expect)
        if broken is not None:
            break
        seq, previous = found.seq, found.hash
    if broken is None and expect is not None and seq < expect.seq:
        broken = Break(seq + 1, "head-missing")
    return Verification(chain, seq, Head(seq, previous), broken)


def chains(sql: SqlConnection) -> list[str]:
    """Every chain that has an entry."""
    return [str(row[0]) for row in sql.all("SELECT DISTINCT chain FROM audit_entry ORDER BY chain")]


def _broken(found: entry.Entry, seq: int, previous: bytes) -> Break | None:
    if found.seq != seq + 1:
        return Break(seq + 1, "missing")
    if found.previous != previous:
        return Break(found.seq, "unlinked")
    fields = tuple(getattr(found, name) for name in entry.COLUMNS[:-2])
    if entry.digest(previous, fields) != found.hash:
        return Break(found.seq, "altered")
    return None


def _differs(found: entry.Entry, expect: Head | None) -> Break | None:
    if expect is not None and found.seq == expect.seq and found.hash != expect.hash:
        return Break(found.seq, "head-differs")
    return None


def _entries(sql: SqlConnection, chain: str) -> Iterator[entry.Entry]:
    seq = -(2**63)  # rows that were put in with a number below 1 must not hide
    while rows := sql.all(_SELECT, (chain, seq, _BATCH)):
        for row in rows:
            yield as_entry(row)
        seq = rows[-1][1]
