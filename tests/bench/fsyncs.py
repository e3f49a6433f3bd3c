"""fsyncs per letter, counted by the kernel: a short run under strace, apart from the measured ones.

Invariant: nothing measured for speed is ever traced; strace multiplies the cost of the calls that it counts.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.process import CouldNotRun
from tests.bench.system import System

_CALLS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs", "sync")
_COUNTED = re.compile(rf"^\s*(\d+)\s+({'|'.join(_CALLS)})$", re.MULTILINE)
_ATTACH_SECONDS = 20.0


def per_letter(system: System, summary: Path, letters: int, send: Callable[[], object]) -> float:
    """Trace all of the system's processes, present and future, while `send` sends `letters` letters."""
    pids = [str(pid) for server in system.servers for pid in server.pids()]
    attach = [option for pid in pids for option in ("-p", pid)]
    counting = ["-f", "-c", "-U", "calls,name", "-e", "trace=" + ",".join(_CALLS), "-o", str(summary)]
    summary.unlink(missing_ok=True)
    with subprocess.Popen(["strace", *counting, *attach], stderr=subprocess.DEVNULL) as tracer:
        try:
            _wait_until_attached(pids, tracer)
            send()
        finally:
            tracer.send_signal(signal.SIGINT)  # it lets go of the servers and writes its summary
            tracer.wait(30)
    return sum(int(count) for count, _ in _COUNTED.findall(summary.read_text())) / letters


def _wait_until_attached(pids: list[str], tracer: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _ATTACH_SECONDS
    while time.monotonic() < deadline and tracer.poll() is None:
        if all(_traced(Path("/proc") / pid / "task") for pid in pids):
            return
        time.sleep(0.05)
    raise CouldNotRun("strace could not attach to the servers")


def _traced(tasks: Path) -> bool:
    """All threads of a process are traced, or it has ended."""
    try:
        states = [(task / "status").read_text() for task in tasks.iterdir()]
    except OSError:
        return True
    return all("TracerPid:\t0\n" not in state for state in states)
