"""An import that is killed in the middle goes on where it was, and comes to what it would have come to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.directory_files import write_activity, write_mailboxes
from deploy.node.migrations.run import migrate_listings
from directory.imports.run import Wish, import_file
from directory.listings.database import ListingsDatabase, Sql

_ROWS = 2500
_TABLES = {
    "professional": "national_id, title, family, struck_off_at IS NULL",
    "organisation": "national_id, name, street",
    "situation": "id, national_id, card IS NULL",
    "mailbox": "address, kind, card IS NULL",
    "mailbox_holder": "address, national_id, position",
    "card": "address, national_id, family, name_words, what_words, where_words",
    "line": "source, hash, owner",
    "card_index_config": "k, v",
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "listings.db"
    migrate_listings(f"sqlite:///{path}")
    return path


def started(database: Path, file: Path) -> subprocess.Popen[bytes]:
    asked: dict[str, Any] = {
        "database": str(database),
        "path": str(file),
        "reports": str(database.parent / "reports"),
        "source": "",
        "largest_fall": 1.0,
        "dry_run": False,
        "force": False,
    }
    wish = database.parent / "asked.json"
    wish.write_text(json.dumps(asked) + "\n")
    with wish.open("rb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "directory.imports"],
            stdin=stream,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )


def killed_at(process: subprocess.Popen[bytes], database: ListingsDatabase, lines: int) -> int:
    """Kill it when so many lines are durable; how many were."""
    while process.poll() is None and count(database) < lines:
        time.sleep(0.005)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return count(database)


def count(database: ListingsDatabase) -> int:
    row = database.read(lambda sql: sql.one("SELECT count(*) FROM line"))
    return row[0] if row else 0


def state(database: ListingsDatabase) -> dict[str, list[tuple[Any, ...]]]:
    def look(sql: Sql) -> dict[str, list[tuple[Any, ...]]]:
        sql.run("INSERT INTO card_index (card_index, rank) VALUES ('integrity-check', 1)")
        return {
            table: sorted(sql.all(f"SELECT {columns} FROM {table}")) for table, columns in _TABLES.items()
        }

    return database.write(look)


@pytest.mark.parametrize("write", [write_mailboxes, write_activity])
def test_killed_imports_come_to_the_same(write: Any, empty: Path, tmp_path: Path) -> None:
    first, later = tmp_path / "first.txt", tmp_path / "later.zip"
    write(first, _ROWS, wrong=0.002)
    write(later, _ROWS, wrong=0.002, diff=0.3)
    quiet, killed = tmp_path / "quiet.db", tmp_path / "killed.db"
    for path in (quiet, killed):
        shutil.copy(empty, path)

    calm = ListingsDatabase(quiet)
    for file in (first, later):
        wish = Wish(file, tmp_path / "calm", largest_fall=1.0)
        import_file(calm, wish, lambda stage, done, total: None, lambda: 1)
    expected = state(calm)
    calm.close()

    for _ in range(50):  # a kill comes too late at times on a busy machine: then from the beginning
        database = ListingsDatabase(killed)
        counts = [killed_at(started(killed, first), database, lines) for lines in (1, 900)]
        if 0 < counts[0] < counts[1] < _ROWS:
            break
        database.close()
        for path in tmp_path.glob("killed.db*"):
            path.unlink()
        shutil.copy(empty, killed)
    else:
        raise AssertionError("it never went on without coming to its end")
    ended = json.loads(started(killed, first).communicate()[0].splitlines()[-1])
    assert ended["result"]["unchanged"] >= counts[1]
    killed_at(started(killed, later), database, counts[1] + 1)
    process = started(killed, later)
    process.communicate()
    assert process.returncode == 0
    states = [row[0] for row in database.read(lambda sql: sql.all("SELECT state FROM import_run"))]
    assert states.count("running") == 0
    assert state(database) == expected
    database.close()
