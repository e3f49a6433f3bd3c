"""One import at a time, whoever starts it and on whichever machine.

Invariant: the turn ends with the process that has it, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from directory.imports.wrong import ImportRefused
from directory.listings.database import ListingsDatabase, Sql

_LOCK = 0x766D6469  # an arbitrary number for PostgreSQL's advisory lock
_BUSY = ("busy", "Another import is going on.")


@contextlib.contextmanager
def own_turn(database: ListingsDatabase, folder: Path) -> Generator[None]:
    """Raises ImportRefused where another one goes on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".import.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImportRefused(*_BUSY) from None
        with contextlib.ExitStack() as stack:
            if database.dialect == "postgresql":
                stack.enter_context(_advisory(database))
            yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _advisory(database: ListingsDatabase) -> Generator[None]:
    """A lock of a connection of its own: kept outside of any transaction."""
    alone = ListingsDatabase(database.where)
    try:
        if not alone.read(lambda sql: _taken(sql)):
            raise ImportRefused(*_BUSY)
        yield
    finally:
        # Said, for a server may see only later that a connection is closed.
        with contextlib.suppress(Exception):
            alone.read(lambda sql: sql.one("SELECT pg_advisory_unlock(?)", (_LOCK,)))
        alone.close()


def _taken(sql: Sql) -> bool:
    row = sql.one("SELECT pg_try_advisory_lock(?)", (_LOCK,))
    return bool(row and row[0])
