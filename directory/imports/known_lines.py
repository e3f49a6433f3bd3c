"""The lines of the file that was imported last, by their hashes: what is there again costs next to nothing.

Held sorted in memory, eight octets and a flag a line; who owns a line (an address, a situation) stays in the database
and is asked for where something changed.

Invariants: a line is known once the transaction that wrote what it says is durable, so a broken import goes on where
it was; two lines are one where their octets and the file's header are the same.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from directory.listings.database import ListingsDatabase, Sql

_AT_ONCE = 50_000  # owners asked for in one statement, which reads all lines


class Hashes:
    """Of lines under one header."""

    def __init__(self, header: bytes) -> None:
        self._start = hashlib.blake2b(header.strip(), digest_size=8)

    def of(self, line: bytes) -> int:
        one = self._start.copy()
        one.update(line)
        return int.from_bytes(one.digest(), "big", signed=True)


class KnownLines:
    def __init__(self, database: ListingsDatabase, source: int) -> None:
        self._database = database
        self._source = source
        self._hashes = array("q")
        self._seen = bytearray()

    def load(self) -> None:
        def read(sql: Sql) -> array[int]:
            found = array("q")
            after = 0
            while rows := sql.all(
                "SELECT id, hash FROM line WHERE source = ? AND id > ? ORDER BY id LIMIT ?",
                (self._source, after, 100_000),
            ):
                found.extend([row[1] for row in rows])
                after = rows[-1][0]
            return found

        self._hashes = array("q", sorted(self._database.read(read)))
        self._seen = bytearray(len(self._hashes))

    def __len__(self) -> int:
        return len(self._hashes)

    def see(self, hashed: int) -> bool:
        """Whether the line is known; then it is there again."""
        at = bisect_left(self._hashes, hashed)
        if at < len(self._hashes) and self._hashes[at] == hashed:
            self._seen[at] = 1
            return True
        return False

    def knows(self, hashed: int) -> bool:
        at = bisect_left(self._hashes, hashed)
        return at < len(self._hashes) and self._hashes[at] == hashed

    def gone(self) -> list[int]:
        """Hashes of what is no longer in the file."""
        return [hashed for hashed, seen in zip(self._hashes, self._seen, strict=True) if not seen]

    def owners_of(self, hashes: Sequence[int]) -> dict[str, list[int]]:
        """Whose these lines were, with the numbers of the lines."""
        owners: dict[str, list[int]] = {}
        for rows in self._matching("hash", hashes):
            for number, owner, _ in rows:
                owners.setdefault(owner, []).append(number)
        return owners

    def lines_of(self, owners: Iterable[str]) -> list[int]:
        """Hashes of the lines that these have."""
        return [row[2] for rows in self._matching("owner", list(owners)) for row in rows]

    def _matching(
        self, column: str, values: Sequence[int] | Sequence[str]
    ) -> Iterable[list[tuple[int, str, int]]]:
        for start in range(0, len(values), _AT_ONCE):
            some: list[int | str] = list(values[start : start + _AT_ONCE])

            def read(sql: Sql, some: list[int | str] = some) -> list[tuple[int, str, int]]:
                listed, values = (
                    ("IN (SELECT value FROM json_each(?))", json.dumps(some))
                    if sql.dialect == "sqlite"
                    else ("= ANY (?)", some)
                )
                asked = f"SELECT id, owner, hash FROM line WHERE source = ? AND {column} {listed}"  # noqa: S608
                found = sql.all(asked, (self._source, values))
                return [(row[0], row[1], row[2]) for row in found]

            yield self._database.read(read)


def add(sql: Sql, source: int, rows: Iterable[tuple[int, str]]) -> None:
    """Lines (hash, owner) whose owners are written in the same transaction."""
    sql.many(
        "INSERT INTO line (source, hash, owner) VALUES (?, ?, ?)",
        [(source, hashed, owner) for hashed, owner in rows],
    )


def forget(sql: Sql, numbers: Iterable[int]) -> None:
    sql.many("DELETE FROM line WHERE id = ?", [(number,) for number in numbers])


def forget_orphans(database: ListingsDatabase) -> int:
    """Lines of mailboxes that were taken out since (an account of ours that was closed): read again, as new."""

    def read(sql: Sql) -> list[int]:
        return [
            row[0]
            for row in sql.all(
                "SELECT l.id FROM line l WHERE l.source = 1"
                " AND NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.address = l.owner)"
            )
        ]

    found = database.read(read)
    for start in range(0, len(found), 1000):
        some = found[start : start + 1000]
        database.write(lambda sql, some=some: forget(sql, some))
    return len(found)
