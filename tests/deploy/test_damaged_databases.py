"""A database file that SQLite cannot read: the node says which, and what to do, in one sentence."""

from __future__ import annotations

import asyncio

import pytest

from deploy.node.config import load
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
    whole = (home.path / file).read_bytes()
    (home.path / file).write_bytes(b"damaged" + whole[7:])
    try:
        with pytest.raises(StartError, match=f"^{file} in the home is damaged: .*{advice}"):
            migrate(home, load(home.config))
    finally:
        (home.path / file).write_bytes(whole)
    migrate(home, load(home.config))
