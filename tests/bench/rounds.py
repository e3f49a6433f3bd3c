"""Fair comparison: the same work for every system in turn, in an order that rotates; medians of rounds.

Invariants: within a row the systems' runs are interleaved, so that a change in the machine's load meets them
alike; a row's ratio is one of medians; nothing is left out.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.system import Measure


@dataclass(frozen=True, slots=True)
class Summary:
    """The rounds of one system in one row."""

    measures: tuple[Measure, ...]

    def median(self, figure: Callable[[Measure], float]) -> float:
        return statistics.median(map(figure, self.measures))

    def span(self, figure: Callable[[Measure], float]) -> tuple[float, float]:
        return min(map(figure, self.measures)), max(map(figure, self.measures))

    @property
    def cpu_ms(self) -> float:
        return self.median(lambda measure: measure.cpu_ms)

    @property
    def rate(self) -> float:
        return self.median(lambda measure: measure.rate)


def interleaved(cells: Mapping[str, Callable[[], Measure]], rounds: int) -> dict[str, Summary]:
    """Run every cell `rounds` times: abc, bca, cab …"""
    names = list(cells)
    found: dict[str, list[Measure]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(cells[name]())
    return {name: Summary(tuple(measures)) for name, measures in found.items()}
