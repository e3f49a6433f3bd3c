"""What a running node writes of itself: lines of its own, and of a fault its kind and its places.

Invariants: the text of an exception, the repr of a task, a future or a callback never reaches a log or the
standard error: any of them may hold a piece of a letter or of a key (DESIGN §6).
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys
import threading
import traceback
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

_log = logging.getLogger("vaguemestre.fault")
_PLACES = 12


def told(error: BaseException | None) -> str:
    """`KeyError at keyring.py:54 < store.py:120`: the innermost place first; what caused it after that."""
    seen: list[str] = []
    while error is not None and len(seen) < 5:
        frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
        places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        seen.append(f"{type(error).__name__} at {places or '?'}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ", from ".join(seen) or "no exception"


class ContentFreeFormatter(logging.Formatter):
    """Exceptions that come with a record are told, never shown."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # what another handler's formatter may have kept there
        return super().format(record)

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return told(ei[1])


def log_to(file: Path | None, level: str) -> None:
    """One line per event, with a time; libraries that could print content stay at WARNING (DESIGN §6)."""
    handler: logging.Handler
    handler = logging.StreamHandler() if file is None else logging.handlers.WatchedFileHandler(file)
    handler.setFormatter(ContentFreeFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("vaguemestre").setLevel(level)


def watch_faults() -> None:
    """Faults that nobody caught, outside the loop: on the main thread, on others, in destructors."""
    sys.excepthook = lambda _kind, error, _trace: _log.critical("not caught: %s", told(error))
    threading.excepthook = lambda seen: _log.error("not caught on a thread: %s", told(seen.exc_value))
    sys.unraisablehook = lambda seen: _log.error("not raisable: %s", told(seen.exc_value))


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Faults that nobody awaited: asyncio would show the task and the exception whole."""

    def tell(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # Its message may go on with a callback and its arguments.
        words = str(context.get("message", "")).partition("<")[0].partition("(")[0].strip()
        _log.error("%s: %s", words or "fault", told(context.get("exception")))

    loop.set_exception_handler(tell)
