"""What `doctor` says of the database files in the home: whether SQLite can read them, node or no node.

Invariants: nothing is changed, no file is made; a database that a node has open is read beside it; the sentence is the
one a start would end with.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from deploy.node.config import Config
from deploy.node.finding import Finding
from deploy.node.ground import damaged_words, is_damage

_SUBJECT = "databases"
_SECONDS = 10.0


def database_findings(settings: Config, home: Path) -> Iterator[Finding]:
    """Of those that lie in the home: PostgreSQL says itself how its own are."""
    names = [] if settings.store.is_postgresql() else ["mail.db"]
    if not settings.directory.is_postgresql():
        names += ["directory.db", "listings.db"]
    files = [home / name for name in names if (home / name).exists()]
    wrong = False
    for file in files:
        try:
            _look_at(file)
        except sqlite3.Error as failure:
            wrong = True
            if is_damage(failure):
                yield Finding(_SUBJECT, "failed", damaged_words(file.name))
            else:
                words = f"{file} cannot be read ({failure}): who runs `doctor` must be its owner."
                yield Finding(_SUBJECT, "warning", words)
    if files and not wrong:
        named = ", ".join(file.name for file in files)
        yield Finding(_SUBJECT, "good", f"{named}: SQLite reads them.")


def _look_at(file: Path) -> None:
    """What a start reads of it first: its head, its tables, its version."""
    # Without its log the file is whole by itself, and SQLite is told to make none for looking (sqlite.org/uri.html).
    alone = not file.with_name(f"{file.name}-wal").exists()
    place = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    with contextlib.closing(sqlite3.connect(place, uri=True, timeout=_SECONDS)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" in tables:
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
