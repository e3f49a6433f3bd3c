"""What closed listings leave on the disk."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from directory.listings.database import ListingsDatabase, Sql

_READERS = 6


def test_a_read_that_ends_after_the_listings_were_closed_leaves_no_log(
    empty_listings: Path, tmp_path: Path
) -> None:
    """The log would keep what was deleted from the pages."""
    path = tmp_path / "listings.db"
    shutil.copy(empty_listings, path)
    database = ListingsDatabase(path)
    database.write(lambda sql: sql.run("CREATE TABLE essai (word TEXT)"))
    reading, ended = threading.Barrier(_READERS + 1), threading.Event()

    def slow(sql: Sql) -> int:
        found = len(sql.all("SELECT word FROM essai"))
        reading.wait(60)
        ended.wait(60)
        return found

    with ThreadPoolExecutor(_READERS) as threads:
        asked = [threads.submit(database.read, slow) for _ in range(_READERS)]
        reading.wait(60)
        database.write(lambda sql: sql.run("INSERT INTO essai VALUES ('Vaguemestre')"))
        database.close()
        assert (tmp_path / "listings.db-wal").exists(), "they read still"
        ended.set()
        assert [each.result() for each in asked] == [0] * _READERS
    assert not (tmp_path / "listings.db-wal").exists()
