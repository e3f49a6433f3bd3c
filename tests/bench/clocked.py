"""A node whose loop tells how long each of its callbacks held it: `python -m tests.bench.clocked FILE serve --home …`.

uvloop runs callbacks where nobody can look, so the node runs on asyncio's own loop here, with every callback clocked
by the CPU time of its thread. What is measured is therefore dearer than what is served: TLS goes through Python too.

SIGUSR1 begins anew, SIGUSR2 writes FILE.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio import events
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

_KEPT_ABOVE = 1_000_000  # ns: the longest are named

_times: list[int] = []
_longest: list[tuple[int, str]] = []


def main() -> None:
    written = Path(sys.argv[1])
    sys.argv = [sys.argv[0], *sys.argv[2:]]
    _clock_callbacks()

    import uvloop

    from deploy.node import cli

    uvloop.run = _on_asyncio  # type: ignore[assignment]
    signal.signal(signal.SIGUSR1, lambda *_: (_times.clear(), _longest.clear()))
    signal.signal(signal.SIGUSR2, lambda *_: _write(written))
    cli.main()


def _on_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main)


def _clock_callbacks() -> None:
    run, clock = events.Handle._run, time.thread_time_ns

    def clocked(handle: events.Handle) -> None:
        # A task's own name is looked for only when it took long: reading it costs as much as most callbacks.
        callback = handle._callback
        began = clock()
        run(handle)
        took = clock() - began
        _times.append(took)
        if took > _KEPT_ABOVE:
            _longest.append((took, _name(callback)))

    events.Handle._run = clocked  # type: ignore[method-assign]


def _name(callback: Any) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return f"task {getattr(coroutine, '__qualname__', coroutine)}"
    return getattr(callback, "__qualname__", type(callback).__name__)


def _write(file: Path) -> None:
    times = sorted(_times)
    names = Counter(name for _, name in _longest)
    longest = sorted(_longest, reverse=True)[:20]
    told = {
        "callbacks": len(times),
        "p50_us": _at(times, 0.5),
        "p99_us": _at(times, 0.99),
        "p999_us": _at(times, 0.999),
        "max_us": times[-1] / 1e3 if times else 0.0,
        "above_2ms": sum(1 for took in times if took > 2_000_000),
        "longest": [[took / 1e3, name] for took, name in longest],
        "above_1ms_by_name": dict(names.most_common(10)),
    }
    file.with_suffix(".new").write_text(json.dumps(told))
    file.with_suffix(".new").rename(file)


def _at(times: list[int], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))] / 1e3 if times else 0.0


if __name__ == "__main__":
    main()
