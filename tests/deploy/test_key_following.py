"""A node that shares its directory with others takes in what they publish, by itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest

from deploy.node.key_following import KeyFollower
from directory.certificates import tables
from directory.certificates.service import DirectoryService, open_database

ADDRESS = "zoe@mss.example"


@pytest.mark.parametrize("several", [True, False], ids=["several nodes", "alone"])
async def test_what_another_node_shows_is_taken_in_where_there_are_several(
    tmp_path: Path, several: bool
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'directory.db'}")
    tables.create(engine)
    other, here = DirectoryService(engine), DirectoryService.open(tmp_path / "directory.db")
    follower = KeyFollower(here, several_nodes=several, every=0.01)
    follower.start()
    other.show(ADDRESS, 1)
    patience = 60 if several else 0.1  # seconds: alone, it never comes, however long one waits
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not here.is_listed(ADDRESS):
                await asyncio.sleep(0.01)
    await follower.stop()
    assert here.is_listed(ADDRESS) is several
    here.close()
    other.close()


async def test_who_stops_it_waits_for_what_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the directory would be closed under it."""
    engine = open_database(f"sqlite:///{tmp_path / 'directory.db'}")
    tables.create(engine)
    engine.dispose()
    here = DirectoryService.open(tmp_path / "directory.db")
    refresh, began, go_on, read = here.refresh, threading.Event(), threading.Event(), threading.Event()

    def slowly() -> bool:
        began.set()
        go_on.wait(60)
        found = refresh()
        read.set()
        return found

    monkeypatch.setattr(here, "refresh", slowly)
    follower = KeyFollower(here, several_nodes=True, every=0.01)
    follower.start()
    assert await asyncio.to_thread(began.wait, 60)
    stopping = asyncio.create_task(follower.stop())
    await asyncio.wait([stopping], timeout=0.05)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert read.is_set()
    here.close()
