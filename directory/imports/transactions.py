"""The transactions of an import: short, with gaps for who waits; between them, what none of them is to pay for.

What was added to the search index is joined in steps of its own. SQLite's log is written back into the file by a thread
while the import goes on, and begins anew when what came meanwhile, little, is written back between two transactions.

Invariant: what an import leaves when it is killed is slower at most, never wrong, and the next one puts it right.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from directory.listings.database import ListingsDatabase, Sql
from directory.search import index

T = TypeVar("T")
_GAP = 0.004  # seconds between two, for who waits
_TOGETHER = 8  # transactions whose part of the index is joined at once
_LOG = 12_000  # pages of SQLite's log that gather before they are written back
_SOONEST, _LATEST = 0.2, 3.0  # seconds between two such times
_LATE = 2.5  # of these: then the import waits for the disk, so that its log is bounded


class Transactions:
    """What is written is written within `with`, by `run` and `timed`."""

    def __init__(self, database: ListingsDatabase) -> None:
        self.longest = 0.0  # seconds that others could not write
        self._database = database
        self._free = time.monotonic()
        self._added = 0
        self._log: _Log | None = None

    def __enter__(self) -> Transactions:
        self.run(index.postpone)
        self._log = _Log(self._database) if self._database.dialect == "sqlite" else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
                self.run(index.resume)
                self._join()
        finally:
            if self._log is not None:
                self._log.close()

    def run(self, work: Callable[[Sql], T]) -> T:
        """One transaction, when who waits has had time for theirs."""
        pause = self._free + _GAP - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        result = self._database.write(work)
        self._free = time.monotonic()
        self.longest = max(self.longest, self._database.held)
        return result

    def timed(self, work: Callable[[Sql], object]) -> float:
        """The same, and what it makes necessary. How many seconds others could not write."""
        self.run(work)
        took = self._database.held
        self._added += 1
        if self._added % _TOGETHER == 0:
            self._join()
        if self._log is not None:
            self._log.look()
        return took

    def _join(self) -> None:
        while self.run(index.join):
            continue


class _Log:
    """SQLite's log, written back as often as some thousand pages come together."""

    def __init__(self, database: ListingsDatabase) -> None:
        self._database = database
        self._beside = ListingsDatabase(database.where, importing=True)
        self._thread = ThreadPoolExecutor(1)
        self._going: Future[int] | None = None
        self._begun = time.monotonic()
        self._every = 1.0

    def look(self) -> None:
        if self._going is None:
            if time.monotonic() - self._begun > self._every:
                self._going = self._thread.submit(self._beside.checkpoint)
        elif self._going.done() or time.monotonic() - self._begun > _LATE * self._every:
            self._going.result()
            self._going = None
            pages = self._database.checkpoint()
            now = time.monotonic()
            self._every = min(_LATEST, max(_SOONEST, (now - self._begun) * _LOG / max(pages, 1)))
            self._begun = now

    def close(self) -> None:
        self._thread.shutdown()
        self._beside.close()
        with contextlib.suppress(Exception):  # the disk may be full; nothing is lost
            self._database.checkpoint()
