"""A question that the rules could not evaluate is refused, and told: in the log, the metrics, and here the trace.

Invariants: told from any thread; at most once a second for one cause, so that a broken rule cannot fill the trace
(the counter counts each); nothing of the question's values but its action and who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from policies.interface import Event, Question

_QUIET_MS = 1000
_MOST_CAUSES = 256


class PolicyAlarm:
    """Made on the loop that writes the trace."""

    def __init__(self, audit: Callable[[Sequence[Event]], None], clock: Callable[[], int]) -> None:
        self._audit = audit
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._told: dict[tuple[str, str], int] = {}

    def raised(self, question: Question, what: str) -> None:
        at = self._clock()
        cause = (str(question.action)[:40], what)
        if at - self._told.get(cause, -_QUIET_MS) < _QUIET_MS:
            return
        if len(self._told) >= _MOST_CAUSES:
            self._told.clear()
        self._told[cause] = at
        # Who is asked about may be nobody that the trace knows: only accounts have ids that tell nothing.
        subject = question.principal.id if question.principal.type == "Account" else ""
        event = Event(
            "policy-alarm",
            at,
            "node",
            str(subject)[:40],
            outcome="refused",
            detail={"phase": cause[0], "cause": what, "rule": "evaluation-error"},
        )
        self._loop.call_soon_threadsafe(self._audit, [event])
