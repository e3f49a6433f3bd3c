"""One writing process per home: an advisory lock on a file that is never removed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mail_server.store.interface import HomeBusy


class HomeLock:
    """The kernel drops it with the process, so a killed server leaves nothing to clean up."""

    def __init__(self, home: Path) -> None:
        self._path = home / "lock"
        self._descriptor = -1

    def acquire(self) -> None:
        if self._descriptor >= 0:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise HomeBusy("another process writes in this home") from None
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
