"""What an import does between its transactions, so that neither they nor the node's own writes pay for it."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.directory_files import write_activity
from directory.imports.run import Wish, import_file
from directory.imports.transactions import Transactions
from directory.listings.database import ListingsDatabase, Sql
from directory.search import index
from directory.search.documents import Document
from tests.directory.imports.conftest import Imports


def config(sql: Sql) -> dict[str, Any]:
    return {row[0]: row[1] for row in sql.all("SELECT k, v FROM card_index_config")}


def test_nothing_is_joined_by_itself_while_an_import_goes_on(imports: Imports, tmp_path: Path) -> None:
    write_activity(tmp_path / "file.txt", 300)
    seen: list[Any] = []

    def told(stage: str, done: int, total: int) -> None:
        seen.append((stage, imports.database.read(config).get("automerge", 4)))

    wish = Wish(tmp_path / "file.txt", tmp_path / "reports")
    import_file(imports.database, wish, told, lambda: 1)
    assert seen == [("reading", 4), ("importing", 0)]
    assert imports.database.read(config)["automerge"] == 4


def test_what_was_added_is_joined_at_the_end(both: Imports, tmp_path: Path) -> None:
    write_activity(tmp_path / "file.txt", 1500)
    both.run(tmp_path / "file.txt")
    both.state()  # the index holds what the cards say
    if both.database.dialect == "sqlite":
        assert both.database.write(index.join) is False
    else:
        assert both.read("SELECT gin_clean_pending_list('card_index')") == [(0,)]


def test_a_refused_file_leaves_joining_as_it_was(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.database.write(index.postpone)  # as one that was killed left it

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Transactions(imports.database) as transactions:
        transactions.run(fail)
    assert imports.database.read(config)["automerge"] == 4


def test_what_was_put_off_is_found_and_joined_in_bounded_steps(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_PAGES", 4)
    database = imports.database
    database.write(index.postpone)
    for start in range(0, 3000, 100):
        rows = [
            (number, Document(f"dupont{number} jean", f"medecin{number}", f"lyon{number}"))
            for number in range(start + 1, start + 101)
        ]
        database.write(lambda sql, rows=rows: index.add(sql, rows))
    steps = 0
    while database.write(index.join):
        steps += 1
    assert steps > 1
    found = database.read(lambda sql: sql.all("SELECT rowid FROM card_index('jean AND lyon2999')"))
    assert found == [(2999,)]


def test_the_log_is_written_back_by_the_import(imports: Imports, tmp_path: Path) -> None:
    write_activity(tmp_path / "file.txt", 300)
    imports.run(tmp_path / "file.txt")
    shutil.copy(tmp_path / "listings.db", tmp_path / "alone.db")  # without its log
    alone = sqlite3.connect(tmp_path / "alone.db")
    assert (
        alone.execute("SELECT count(*) FROM line").fetchone()[0]
        == imports.read("SELECT count(*) FROM line")[0][0]
    )
    alone.close()


def test_who_waits_for_another_writer_keeps_nobody_waiting(imports: Imports) -> None:
    """An import's transactions are as long as they are, whoever wrote before them."""
    other = ListingsDatabase(imports.database.where)
    begun, over, freed = threading.Event(), threading.Event(), list[float]()

    def hold(sql: Sql) -> None:
        begun.set()
        over.wait(30)
        freed.append(time.monotonic())

    thread = threading.Thread(target=lambda: other.write(hold))
    thread.start()
    begun.wait(30)
    threading.Timer(0.2, over.set).start()
    with Transactions(imports.database) as transactions:
        transactions.run(lambda sql: sql.run("DELETE FROM held"))
    thread.join()
    assert transactions.longest <= time.monotonic() - freed[0]
    other.close()
