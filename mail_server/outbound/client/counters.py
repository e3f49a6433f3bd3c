"""What the client did, for the metrics: connections only, letters are the queue's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Connections:
    opened: int = 0
    reused: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])

    def failed(self, reason: str) -> None:
        self.failures[reason] += 1
