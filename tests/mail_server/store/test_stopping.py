"""What a store leaves on the disk once it has stopped."""

from __future__ import annotations

import asyncio

import pytest


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_stopped_store_leaves_no_log_where_purged_pages_would_stay(desk):
    await desk.restart(readers=32)
    for _ in range(20):
        await asyncio.gather(*(desk.inbox() for _ in range(200)))
        await desk.file(await desk.verbatim())
        await desk.store.stop()
        assert not (desk.home / "mail.db-wal").exists()
        await desk.restart()
