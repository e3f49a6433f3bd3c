"""A server under measurement: started in a group of its own, waited for, stopped by process id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import accounting

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class CouldNotRun(Exception):
    """A part of the benchmark that could not be run; the text says which and why."""


@dataclass(slots=True)
class Server:
    """One server, all of its processes."""

    name: str
    command: Sequence[str]
    ports: Sequence[int]  # it is ready when all of them accept
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    _group: accounting.Group = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._group = accounting.group(self.name)

    @property
    def accounting(self) -> str:
        return self._group.kind

    def start(self) -> None:
        if self._group.pids():  # left by a run that was killed; they are ours, being in our group
            self.stop()
        for port in self.ports:
            if _accepts(port):
                raise CouldNotRun(f"port {port}, which {self.name} needs, is taken")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                preexec_fn=self._enter,  # safe: this process has one thread
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                cwd=self.folder,
            )
        self._group.started(self._process.pid)
        for port in self.ports:
            self._wait_for(port)

    def _enter(self) -> None:
        os.setsid()
        self._group.enter()

    def _wait_for(self, port: int) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if _accepts(port):
                return
            time.sleep(0.05)
        self.stop()
        last = self.log.read_text(errors="replace")[-800:]
        raise CouldNotRun(f"{self.name} does not listen on {port}; the end of {self.log}:\n{last}")

    def pids(self) -> list[int]:
        return self._group.pids()

    def cpu_seconds(self) -> float:
        return self._group.cpu_seconds()

    def stop(self) -> None:
        for number, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 2.0)):
            for pid in self._group.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + patience
            while self._alive() and time.monotonic() < deadline:
                time.sleep(0.05)
        with contextlib.suppress(OSError):
            self._group.remove()

    def _alive(self) -> bool:
        if self._process is not None:
            self._process.poll()  # reap, or it stays in the group as a zombie
        return bool(self._group.pids())


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


def settle(servers: Sequence[Server], seconds: float = 3.0) -> None:
    """Wait until the servers have stopped working: what they still do after the reply is theirs to pay."""
    deadline = time.monotonic() + seconds
    before = [server.cpu_seconds() for server in servers]
    while time.monotonic() < deadline:
        time.sleep(0.1)
        after = [server.cpu_seconds() for server in servers]
        if sum(after) - sum(before) < 0.002:
            return
        before = after
