"""A node that shares its directory with others takes in what they publish, by itself."""

from __future__ import annotations

import asyncio
import time
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
    deadline = time.monotonic() + (60 if several else 0.1)
    while not here.is_listed(ADDRESS) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    await follower.stop()
    assert here.is_listed(ADDRESS) is several
    here.close()
    other.close()
