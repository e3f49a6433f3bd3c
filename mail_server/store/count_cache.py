"""Numbers that cost a walk over a mailbox, kept until something changes there.

Invariants: an answer is valid only for the stamp (a modseq) it was counted at; nothing counted inside a write
transaction enters. Bounded by number of entries; no lock, every step is one dict operation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
_KEPT = 20_000


class CountCache:
    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[Hashable, Any]] = {}

    def answer(self, question: Hashable, stamp: Hashable, count: Callable[[], T]) -> T:
        known = self._answers.get(question)
        if known is not None and known[0] == stamp:
            return known[1]
        counted = count()
        if len(self._answers) >= _KEPT:
            self._answers.clear()
        self._answers[question] = (stamp, counted)
        return counted
