"""What a running node does by the hour goes on, whatever went wrong the hour before."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.node import node as upkeep_of
from deploy.node.node import Node


async def test_upkeep_survives_any_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_of, "_HOUR", 0.0)
    tries: list[int] = []
    loop, often = asyncio.get_running_loop(), asyncio.Event()

    def needs_renewal(at: int) -> bool:
        tries.append(at)
        if len(tries) > 2:
            loop.call_soon_threadsafe(often.set)
        raise OSError("no space for GnuPG")

    node = cast(Any, SimpleNamespace(authority=SimpleNamespace(needs_renewal=needs_renewal)))
    upkeep = asyncio.create_task(Node.maintain(node))
    await asyncio.wait_for(often.wait(), 60)
    upkeep.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await upkeep
