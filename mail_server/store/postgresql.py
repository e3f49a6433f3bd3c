"""PostgreSQL: psycopg 3, synchronous, prepared statements.

Invariants: parameters always travel as 8-byte integers, text or bytes, so that a statement is prepared once;
`?` is translated once a statement; durability is the server's (`synchronous_commit` is set on, whatever its default).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.types.numeric import Int8BinaryDumper


@lru_cache(maxsize=2048)
def translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%s").encode()


class PostgresqlDriver:
    """One connection."""

    __slots__ = ("_connection", "_cursor")

    dialect = "postgresql"
    alone: AbstractContextManager[None] = nullcontext()

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)

    @property
    def usable(self) -> bool:
        return not (self._connection.closed or self._connection.broken)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        self._cursor.execute(translated(statement), parameters)
        return self._cursor.rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        self._cursor.execute(translated(statement), parameters)
        return self._cursor.fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._cursor.execute(translated(statement), parameters)
        return self._cursor.fetchall()

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(translated(statement), rows)

    def begin_write(self) -> None:
        self._cursor.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")

    def begin_read(self) -> None:
        self._cursor.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        self._cursor.execute(b"COMMIT")

    def rollback(self) -> None:
        if self.usable:
            self._cursor.execute(b"ROLLBACK")

    def savepoint(self) -> None:
        self._cursor.execute(b"SAVEPOINT operation")

    def release(self) -> None:
        self._cursor.execute(b"RELEASE SAVEPOINT operation")

    def rollback_to(self) -> None:
        self._cursor.execute(b"ROLLBACK TO SAVEPOINT operation")
        self._cursor.execute(b"RELEASE SAVEPOINT operation")

    def listed(self, column: str) -> str:
        return f"{column} = ANY(?)"

    def as_list(self, values: Sequence[int]) -> list[int]:
        return list(values)

    def as_words(self, values: Sequence[str]) -> list[str]:
        return list(values)

    def close(self) -> None:
        self._connection.close()


class PostgresqlConnector:
    """Opens connections to one database."""

    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, url: str) -> None:
        self._url = url

    def raw(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A plain connection in autocommit: LISTEN and NOTIFY use one of their own."""
        return psycopg.connect(self._url, autocommit=True, connect_timeout=10)

    def connect(self) -> PostgresqlDriver:
        connection = self.raw()
        connection.prepare_threshold = 2
        connection.prepared_max = 400
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.execute("SET synchronous_commit = on")
        return PostgresqlDriver(connection)

    def is_full(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.DiskFull)

    def is_conflict(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)
