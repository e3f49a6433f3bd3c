"""One worker as the pool sees it: its process, its sockets, what it is doing.

Invariants: the process is a new program with a bare environment and no file of ours but its two sockets;
the second socket is touched by the worker's courier thread alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import mail_server
from mail_server.sealing.frames import Ask
from mail_server.sealing.link import Link, Reply

_STOP_SECONDS = 3.0
_ROOT = str(Path(mail_server.__file__ or "").resolve().parent.parent)


class PoolError(Exception):
    """A message could not be done. `slug` says why, and nothing of the message."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(slots=True, eq=False)
class Job:
    """One request to a worker, and who waits for its answer."""

    what: Ask
    fields: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    outcome: asyncio.Future[Reply] = field(repr=False)
    timer: asyncio.TimerHandle | None = None

    def fail(self, slug: str) -> None:
        self.stop_timer()
        if not self.outcome.done():
            self.outcome.set_exception(PoolError(slug))

    def done(self, reply: Reply) -> None:
        self.stop_timer()
        if not self.outcome.done():
            self.outcome.set_result(reply)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class WorkerProcess:
    """One process and what it is doing."""

    __slots__ = (
        "beside",
        "courier",
        "done",
        "gone",
        "job",
        "leaving",
        "link",
        "loading",
        "process",
        "ready",
        "starting",
        "worn",
    )

    def __init__(
        self, process: subprocess.Popen[bytes], beside: socket.socket, ready: asyncio.Future[None]
    ) -> None:
        self.process = process
        self.beside = beside  # for large payloads; blocking, touched by the courier alone
        self.courier = ThreadPoolExecutor(1, "sealing-courier")
        self.ready = ready
        self.link: Link | None = None
        self.job: Job | None = None
        self.loading: Job | None = None  # to be done before the next message
        self.done = 0
        self.gone = False
        self.starting = True  # not to be given messages yet
        self.worn = False  # a successor is being started
        self.leaving = False  # the successor is there


@dataclass(frozen=True, slots=True)
class Entry:
    """The program that a worker runs, with the limits that `serving.run` puts on it."""

    module: str
    memory_mib: int
    file_mib: int
    niceness: int


def spawn(entry: Entry, *sockets: socket.socket) -> subprocess.Popen[bytes]:
    """Start the program. Blocks for a millisecond or two."""
    descriptors = tuple(one.fileno() for one in sockets)
    limits = (entry.memory_mib, entry.file_mib, entry.niceness)
    return subprocess.Popen(
        [sys.executable, "-m", entry.module, *map(str, (*descriptors, *limits))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        close_fds=True,
        cwd="/",
        env={"PYTHONPATH": _ROOT, "PATH": os.defpath, "LC_ALL": "C.UTF-8"},
    )


def hand_over(beside: socket.socket, payload: bytes) -> None:
    """In the courier's thread. When the worker is gone, its link says so."""
    with contextlib.suppress(OSError):
        beside.sendall(payload)


def receive(beside: socket.socket, size: int) -> bytes:
    """In the courier's thread: so many bytes, received where they will stay; fewer when the worker is gone."""
    data = b""
    with contextlib.suppress(OSError):
        while len(data) < size:
            more = beside.recv(size - len(data), socket.MSG_WAITALL)
            if not more:
                break
            data = data + more if data else more
    return data


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for it, and kill it if it does not go. Blocks."""
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
