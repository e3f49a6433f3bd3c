"""The demo's node in a process of its own: started, waited for, ended by its own id.

Invariants: no node is left behind, whatever interrupts the demo; what runs beside the node ends after it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_NOT_AWAITED = ("metrics", "identity")  # the first opens last of all, the second is no port of the node
Place = str | tuple[str, int]  # a socket in a folder, or host and port


class DemoFailed(Exception):
    """The demo cannot go on; the text says why."""


class NodeProcess:
    """The node, in a process of its own, ended by its own id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._beside = ExitStack()
        self._process = self._spawn()

    def take_along(self, beside: ExitStack) -> None:
        """What runs beside the node, and ends after it."""
        self._beside = beside

    def _spawn(self, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        serve = [sys.executable, "-m", "deploy.node.cli", "serve", "--home", str(self._folder / "node")]
        with (self._folder / "node.log").open("ab") as log:
            return subprocess.Popen(
                [*under, *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the node in good order
            )

    def restart(self, under: Sequence[str] = ()) -> None:
        """Start it again once it has ended, by whatever means; `under` another program if need be."""
        self._process.wait()
        self._process = self._spawn(under)

    def wait_ready(self, ports: Mapping[str, int], seconds: float = 180) -> None:
        """Its doors answer, and its console, which comes last. Raises DemoFailed."""
        deadline = time.monotonic() + seconds
        waiting: list[Place] = [
            ("127.0.0.1", port) for name, port in ports.items() if name not in _NOT_AWAITED
        ]
        waiting.append(str(self._folder / "node" / "control.sock"))
        while waiting:
            if self._process.poll() is not None:
                tail = (self._folder / "node.log").read_text(errors="replace").strip().splitlines()[-5:]
                raise DemoFailed("The node did not start:\n" + "\n".join(tail))
            if time.monotonic() > deadline:
                raise DemoFailed(f"The node does not answer at {waiting[0]}.")
            if _answers(waiting[0]):
                waiting.pop(0)
            else:
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(35)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._beside.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None


def _answers(place: Place) -> bool:
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        return probe.connect_ex(place) == 0


@contextmanager
def signals_held_back() -> Generator[None]:
    """Until the block ends: an interruption inside would leave a node that nobody knows."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in ends}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda which, _: came.append(which))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)
