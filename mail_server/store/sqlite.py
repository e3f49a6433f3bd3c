"""SQLite: the standard library's driver, WAL, one writer.

Invariants: `synchronous=FULL`, so COMMIT returns when the log is on the disk; writers begin IMMEDIATE (a read
transaction that upgrades would fail at once with "database is locked").
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class SqliteDriver:
    """One connection."""

    __slots__ = ("_connection", "_execute")

    dialect = "sqlite"
    usable = True
    # The driver lets the interpreter's lock go at every row: two threads that walk at once trade it at every row, which
    # costs three times the walk itself.
    alone = threading.Lock()

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return self._execute(statement, parameters).fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._execute(statement, parameters).fetchall()

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def begin_write(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        self._execute("BEGIN")

    def commit(self) -> None:
        self._execute("COMMIT")

    def rollback(self) -> None:
        # Some failures (a full disk) have rolled back already.
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def savepoint(self) -> None:
        self._execute("SAVEPOINT operation")

    def release(self) -> None:
        self._execute("RELEASE operation")

    def rollback_to(self) -> None:
        self._execute("ROLLBACK TO operation")
        self._execute("RELEASE operation")

    def listed(self, column: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own column name

    def as_list(self, values: Sequence[int]) -> str:
        return f"[{','.join(map(str, values))}]"

    def as_words(self, values: Sequence[str]) -> str:
        return json.dumps(values)

    def close(self) -> None:
        self._connection.close()


class SqliteConnector:
    """Opens the database file; `read_only` for who must not even make it."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only

    def connect(self) -> SqliteDriver:
        mode = "ro" if self._read_only else "rw"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=15.0,
        )
        try:
            for pragma in (
                "synchronous = FULL",
                "busy_timeout = 15000",
                "foreign_keys = ON",
                "cache_size = -32768",
                "temp_store = MEMORY",  # nothing of ours in a temporary file
                "wal_autocheckpoint = 4000",
                "secure_delete = ON",  # what is purged from the trace is gone from the pages, wherever this runs
            ):
                connection.execute(f"PRAGMA {pragma}")
            if not self._read_only:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            connection.close()
            raise
        return SqliteDriver(connection)

    def is_full(self, error: Exception) -> bool:
        return (
            isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        )

    def is_conflict(self, error: Exception) -> bool:
        return False
