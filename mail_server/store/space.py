"""The free-space floor: below it nothing new is accepted, so that what is there stays writable (flags, deletion)."""

from __future__ import annotations

import os
import time
from pathlib import Path


class FreeSpace:
    """Asks the file system at most once a second."""

    def __init__(self, folder: Path, floor: int) -> None:
        self._folder = folder
        self._floor = floor
        self._until = 0.0
        self._enough = True

    @property
    def enough(self) -> bool:
        now = time.monotonic()
        if now >= self._until:
            state = os.statvfs(self._folder)
            self._enough = state.f_bavail * state.f_frsize >= self._floor
            self._until = now + 1.0
        return self._enough
