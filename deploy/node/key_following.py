"""Certificates that another node of the same directory published or revoked: taken in within seconds.

Invariants: asking costs one look-up of one number; what fails is tried again, and never the end of the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from deploy.node import logs
from directory.certificates.service import DirectoryService

_log = logging.getLogger("vaguemestre.directory")
EVERY = 10.0  # seconds: a revocation is seen everywhere within the minute, caches of lookups included


class KeyFollower:
    """`start` and `stop`; where this node is alone with its directory it does nothing."""

    def __init__(self, directory: DirectoryService, *, several_nodes: bool, every: float = EVERY) -> None:
        self._directory = directory
        self._several_nodes = several_nodes
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._several_nodes:
            self._task = asyncio.create_task(self._follow(), name="key-following")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await asyncio.to_thread(self._directory.refresh)
            except Exception as failure:  # a key revoked elsewhere would be sealed to here for good
                _log.error("certificates of other nodes not read (%s); tried again", logs.told(failure))
