"""What work costs where it is held against a bound: hostile input, for the most part, that must not cost its square.

Not a measure of performance, which is tests/bench's: the machine does much else meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def least_cpu(work: Callable[[], object], enough: float, tries: int = 5) -> float:
    """CPU seconds of this thread for the cheapest of some runs; none follows once one took less than `enough`.

    The collector of garbage works in whatever thread it is called for, at times for seconds: one run may pay for it,
    not all.
    """
    least = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
        if least < enough:
            break
    return least
