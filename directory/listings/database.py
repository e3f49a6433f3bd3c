"""The way to the listings' tables: plain SQL on the driver's own connections, for both databases.

`read` and `write` run a function over one connection, in whichever thread calls; give them to a thread from the loop.
Statements are written with `?`; what differs between the two databases stands in one small module per dialect
(`search/`, `imports/`).

Invariants: `write` is durable when it returns, and whole or not at all; readers never wait for a writer; SQLite writers
(a node, an import in a process of its own) take turns by `BEGIN IMMEDIATE` and wait for each other up to half a minute,
those of PostgreSQL by a lock of the whole: two that made the same cards anew would show what one of them hid.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, LiteralString, Protocol, TypeVar, cast

import psycopg

T = TypeVar("T")
Dialect = Literal["sqlite", "postgresql"]
_WAIT = 30.0  # seconds for another writer's turn
_GLANCE = 0.003  # seconds between two looks at whether it has come
_KEPT = 8  # idle connections
_STEPS = 20_000  # of SQLite's machine between two looks at the clock
_TURN = 0x766D6C77  # an arbitrary number for PostgreSQL's advisory lock
_BEGIN_WRITING = f"BEGIN; SET LOCAL lock_timeout = {int(_WAIT * 1000)}; SELECT pg_advisory_xact_lock({_TURN})"
_PLANNED = (
    "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
)
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "cache_size=-65536",
    "mmap_size=1073741824",
    "temp_store=MEMORY",
    "wal_autocheckpoint=32768",  # beyond what an import leaves: whoever writes beside it does not do it for it
)
# Of an import: it holds its own memory within bounds, says itself when changed pages are written back (`checkpoint`),
# and writes no zeros over what it frees. What it wrote last may be lost with the power, never torn: then it is imported
# again.
_IMPORTING = ("mmap_size=0", "synchronous=NORMAL", "wal_autocheckpoint=0", "secure_delete=FAST")


class Sql(Protocol):
    """Statements on one connection, inside one transaction."""

    @property
    def dialect(self) -> Dialect: ...
    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """How many rows it touched."""
        ...

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None: ...
    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...
    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...
    @property
    def raw(self) -> Any:
        """The driver's connection: `sqlite3.Connection`, `psycopg.Connection`; for COPY and the like."""
        ...


class ListingsDatabase:
    """On a file's path, or a PostgreSQL address, whose schema is already made (migrations)."""

    def __init__(self, where: Path | str, *, importing: bool = False) -> None:
        self.where = where
        self._pragmas = (*_PRAGMAS, *_IMPORTING) if importing else _PRAGMAS
        self._idle: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self.dialect: Dialect = "sqlite" if isinstance(where, Path) else "postgresql"
        self.held = 0.0  # seconds that the last `write` kept others from writing

    def read(self, work: Callable[[Sql], T], within: float | None = None) -> T:
        """Over one state of the database. Statements still running after `within` seconds fail (`cut_short`)."""
        with self._borrowed() as connection:
            connection.begin(write=False, within=within)
            try:
                return work(connection)
            finally:
                connection.rollback()

    def write(self, work: Callable[[Sql], T]) -> T:
        with self._borrowed() as connection:
            connection.begin(write=True)
            begun = time.monotonic()
            try:
                result = work(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            self.held = time.monotonic() - begun
            return result

    def checkpoint(self) -> int:
        """SQLite: write what is committed from its log into its file; nobody waits for it. Pages that the log had."""
        if self.dialect != "sqlite":
            return 0
        with self._borrowed() as connection:
            row = connection.one("PRAGMA wal_checkpoint(PASSIVE)")
        return max(0, row[1]) if row else 0

    def close(self) -> None:
        """What is still borrowed is closed as it comes back.

        One after the other: SQLite's last connection takes the log away as it closes, with what was deleted from the
        pages; of two that close at once each sees the other, and the log stays.
        """
        self._closed = True
        with self._closing:
            while True:
                try:
                    self._idle.get_nowait().close()
                except queue.Empty:
                    return

    def _open(self) -> _Connection:
        where = self.where
        return _Sqlite(where, self._pragmas) if isinstance(where, Path) else _PostgreSql(where)

    @contextlib.contextmanager
    def _borrowed(self) -> Generator[_Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._open()
        try:
            yield connection
        finally:
            if connection.usable and self._idle.qsize() < _KEPT:
                self._idle.put(connection)
                if self._closed:
                    self.close()
            else:
                with self._closing:
                    connection.close()


class _Connection(Sql, Protocol):
    @property
    def usable(self) -> bool: ...
    def begin(self, *, write: bool, within: float | None = None) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class _Sqlite:
    dialect: Dialect = "sqlite"
    usable = True

    def __init__(self, path: Path, pragmas: Sequence[str]) -> None:
        self._bounded = False
        self.raw: Any = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        for pragma in pragmas:
            self.raw.execute(f"PRAGMA {pragma}").close()

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.raw.execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        cursor = self.raw.execute(statement, parameters)
        row = cursor.fetchone()
        cursor.close()
        return row

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.raw.execute(statement, parameters).fetchall()

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self.raw.executemany(statement, rows)

    def begin(self, *, write: bool, within: float | None = None) -> None:
        if write:
            self._take_turn()
        else:
            self.raw.execute("BEGIN")
        if within is not None:
            end = time.monotonic() + within
            self._bounded = True
            self.raw.set_progress_handler(lambda: time.monotonic() > end, _STEPS)

    def _take_turn(self) -> None:
        """Asked often: SQLite's own waiting looks ten times a second, and misses the gaps between an import's turns."""
        end = time.monotonic() + _WAIT
        self.raw.execute("PRAGMA busy_timeout=0").close()
        try:
            while True:
                try:
                    self.raw.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as failure:
                    if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                        raise
                time.sleep(_GLANCE)
        finally:
            self.raw.execute(f"PRAGMA busy_timeout={int(_WAIT * 1000)}").close()

    def commit(self) -> None:
        self.raw.execute("COMMIT")

    def rollback(self) -> None:
        if self._bounded:
            self._bounded = False
            self.raw.set_progress_handler(None, 0)
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")

    def close(self) -> None:
        self.raw.close()


class _PostgreSql:
    dialect: Dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.raw: Any = psycopg.connect(url, autocommit=True)

    @property
    def usable(self) -> bool:
        return not self.raw.closed and not self.raw.broken

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.raw.execute(_marks(statement), parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return self.raw.execute(_marks(statement), parameters).fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.raw.execute(_marks(statement), parameters).fetchall()

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(_marks(statement), rows)

    def begin(self, *, write: bool, within: float | None = None) -> None:
        begin = _BEGIN_WRITING if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        if within is not None:
            # In one round trip. Each statement is planned for its own words: a plan for any words reads whole tables.
            begin += f"; SET LOCAL statement_timeout = {max(1, int(within * 1000))}; {_PLANNED}"
        try:
            self.raw.execute(begin)
        except psycopg.errors.LockNotAvailable:  # begun, and without its turn: nobody else is to go on in it
            self.rollback()
            raise

    def commit(self) -> None:
        self.raw.execute("COMMIT")

    def rollback(self) -> None:
        if self.usable:
            self.raw.execute("ROLLBACK")

    def close(self) -> None:
        self.raw.close()


def cut_short(failure: BaseException) -> bool:
    """Whether a statement failed because its time was over."""
    if isinstance(failure, sqlite3.OperationalError):
        return failure.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    return isinstance(failure, psycopg.errors.QueryCanceled)


def disk_full(failure: BaseException) -> bool:
    """Whether it failed because the database's disk has no room left."""
    if isinstance(failure, sqlite3.OperationalError):
        # The second: the file beside it, through which its connections agree, could not grow.
        code = failure.sqlite_errorcode
        return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    return isinstance(failure, psycopg.errors.DiskFull)


def _marks(statement: str) -> LiteralString:
    """`?` as psycopg writes it. No statement here has a question mark or a percent sign of its own."""
    return cast("LiteralString", statement.replace("%", "%%").replace("?", "%s"))
