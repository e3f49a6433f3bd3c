"""Work handed from the loop to the store's threads, and its outcome handed back.

Invariants: outcomes cross to the loop in one call per batch; a caller that gave up (cancelled) is not told, and
what it asked for happens all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Job:
    """One query or operation, and what came of it."""

    work: Callable[[Any], Any]
    future: asyncio.Future[Any]
    result: Any = field(default=None, repr=False)
    error: BaseException | None = None


def settle(jobs: Sequence[Job]) -> None:
    """On the loop: resolve the futures."""
    for job in jobs:
        if job.future.done():
            continue
        if isinstance(job.error, StopIteration):
            # A future refuses this one, and the neighbours would go unanswered.
            job.future.set_exception(RuntimeError("an operation raised StopIteration"))
        elif job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def hand_back(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: Any) -> None:
    """From a thread; a loop that is closed already has nobody left to tell."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return
