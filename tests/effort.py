"""What work costs where it is held against a bound: hostile input, for the most part, that must not cost its square.

Not a measure of performance, which is tests/bench's: the machine does much else meanwhile.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that the work took, a call of C's as one more: the same on any machine, whatever else it does.

    What C does within one call is not counted, nor what the collector of garbage would finish in between.
    """
    count = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "c_call"

    traced, profiled, collects = sys.gettrace(), sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(call)
    sys.settrace(line)
    try:
        work()
    finally:
        sys.settrace(traced)
        sys.setprofile(profiled)
        if collects:
            gc.enable()
    return count


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
