"""What a decision of the rules costs: a question that was asked before, and one that is new.

What is measured is CPU time of one process, over the questions of the corpus, so that every action has its part;
`cold` keeps no answer. The questions are made beforehand: a door makes one from an account in some microseconds more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from policies import corpus
from policies.decisions import CedarDecisions
from policies.interface import Question

_WARM_ROUNDS = 400
_COLD_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Decided:
    """Seconds of CPU a decision."""

    warm: float
    cold: float
    rules: int
    questions: int
    load: float  # seconds to read and check the rules, with the corpus

    def __str__(self) -> str:
        return (
            f"decisions per second of CPU, {self.rules} rules, {self.questions} questions: "
            f"{1 / self.warm:,.0f} asked before ({1e6 * self.warm:.1f} µs), "
            f"{1 / self.cold:,.0f} new ({1e6 * self.cold:.0f} µs); rules read and checked in {1e3 * self.load:.0f} ms"
        )


def measured() -> Decided:
    begun = time.process_time()
    keeping = CedarDecisions.load(guard=corpus.guard(None))
    load = time.process_time() - begun
    forgetting = CedarDecisions.load(kept=0)
    asked = [case.question for case in corpus.cases()]
    for question in asked:
        keeping.decide(question)
    return Decided(
        warm=_seconds(keeping, asked * _WARM_ROUNDS),
        cold=_seconds(forgetting, asked * _COLD_ROUNDS),
        rules=len(keeping.rules),
        questions=len(asked),
        load=load,
    )


def _seconds(decisions: CedarDecisions, asked: Sequence[Question]) -> float:
    begun = time.process_time()
    for question in asked:
        decisions.decide(question)
    return (time.process_time() - begun) / len(asked)
