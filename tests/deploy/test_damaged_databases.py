"""A database file that SQLite cannot read: the node says which, and what to do, in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3

import pytest

from deploy.node.config import load
from deploy.node.doctor_databases import database_findings
from deploy.node.failures import StartError
from deploy.node.ground import migrate
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("damaged")
    wishes = Wishes(folder / "node", None, ("mss.essai.test",), folder / "kek", "localhost", sections={})
    asyncio.run(initialise(wishes))
    return Home(folder / "node", None)


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("mail.db", "restore it from the newest backup"),
        ("directory.db", "restore it from the newest backup"),
        ("listings.db", "import the national files again"),
    ],
)
def test_a_damaged_database_is_named_with_what_to_do(home: Home, file: str, advice: str) -> None:
    wanted = f"{file} in the home is damaged: .*{advice}"
    before = {path.name for path in home.path.iterdir()}
    assert database_told(home) == [("good", "mail.db, directory.db, listings.db: SQLite reads them.")]
    whole = (home.path / file).read_bytes()
    (home.path / file).write_bytes(b"damaged" + whole[7:])
    try:
        with pytest.raises(StartError, match=f"^{wanted}"):
            migrate(home, load(home.config))
        ((verdict, words),) = database_told(home)
        assert verdict == "failed"
        assert re.match(wanted, words)
    finally:
        (home.path / file).write_bytes(whole)
    migrate(home, load(home.config))
    assert {path.name for path in home.path.iterdir()} == before, "no file was made by looking"


def test_a_database_that_a_node_has_open_is_read_beside_it(home: Home) -> None:
    with contextlib.closing(sqlite3.connect(home.listings_database)) as node:
        node.execute("UPDATE state SET value = value")
        assert database_told(home)[0][0] == "good"
        node.rollback()


def database_told(home: Home) -> list[tuple[str, str]]:
    return [(one.verdict, one.sentence) for one in database_findings(load(home.config), home.path)]
