"""Certificates that another node of the same directory published or revoked: taken in within seconds.

Invariants: asking costs one look-up of one number; what fails is tried again, and never the end of the node; once
stopped, nothing of it reads any more.
"""

from __future__ import annotations

import asyncio
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
        self._reading: asyncio.Task[bool] | None = None

    def start(self) -> None:
        if self._several_nodes:
            self._task = asyncio.create_task(self._follow(), name="key-following")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if (
            self._reading is not None
        ):  # a thread is not cancelled: the directory is closed next, not while it reads
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                self._reading = asyncio.create_task(asyncio.to_thread(self._directory.refresh))
                await asyncio.shield(self._reading)
            except Exception as failure:  # a key revoked elsewhere would be sealed to here for good
                _log.error("certificates of other nodes not read (%s); tried again", logs.told(failure))
