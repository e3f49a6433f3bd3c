"""A worker process's own side of the link: answer one request after another, until the other side closes.

Whatever a worker is for (sealing, reading documents), what it is made of stands here; what it does is its `Answers`.
Invariants: nothing of a message outlives its answer outside this process's memory (no core dump, no other process may
read it, no file beyond memory-backed ones); nothing is said on stdout or stderr; an error leaves as a slug of `frames`,
never as a library's text; the process ends when its socket closes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Sequence
from typing import Protocol

from mail_server.sealing import frames
from mail_server.sealing.frames import Answer, Slug

_PARENTS_PEAK = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_PR_SET_DUMPABLE = 4
_MIB = 1 << 20


class Failed(Exception):
    """The message cannot be done; the worker lives on."""

    def __init__(self, slug: Slug) -> None:
        super().__init__(slug)
        self.slug = slug


class Answers(Protocol):
    def answer(self, ask: int, fields: list[bytes], payload: bytes) -> tuple[list[bytes], bytes | memoryview]:
        """Fields and payload of the answer. Raises Failed."""
        ...


def run(arguments: Sequence[str], worker: Answers) -> int:
    """`FD FD MEMORY_MIB FILE_MIB NICENESS`: nothing secret here, everybody sees a command line."""
    first, second, memory_mib, file_mib, niceness = (int(argument) for argument in arguments)
    harden(memory_mib, file_mib, niceness)
    with socket.socket(fileno=first) as link, socket.socket(fileno=second) as beside:
        try:
            serve(link, beside, worker)
        except (OSError, frames.FrameError):
            return 1
    return 0


def serve(link: socket.socket, beside: socket.socket, worker: Answers) -> None:
    """Answer until the other side closes. Large payloads come and go over `beside`."""
    _send(link, beside, Answer.READY, [], b"")
    while True:
        start = _receive(link, frames.HEAD.size)
        if len(start) < frames.HEAD.size:
            return
        head = frames.read_head(start)
        fields = _receive(link, head.fields)
        payload = _receive(beside if head.beside else link, head.payload)
        if len(fields) != head.fields or len(payload) != head.payload:
            return
        try:
            answered, result = worker.answer(head.what, frames.unpack(fields), payload)
        except Failed as error:
            _send(link, beside, Answer.FAILED, [error.slug.encode("ascii")], b"")
        except (frames.FrameError, UnicodeDecodeError):
            _send(link, beside, Answer.FAILED, [Slug.BAD_FRAME.encode("ascii")], b"")
        except MemoryError:
            return  # what the library holds is unknown: better a fresh process
        except Exception:
            _send(link, beside, Answer.FAILED, [Slug.INTERNAL.encode("ascii")], b"")
        else:
            _send(link, beside, Answer.DONE, answered, result)
            del answered, result
        del fields, payload


def _receive(link: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes, received in place; fewer when the other side closed."""
    if size == 0:
        return b""
    data = link.recv(size, socket.MSG_WAITALL)
    while 0 < len(data) < size:
        more = link.recv(size - len(data), socket.MSG_WAITALL)
        if not more:
            break
        data += more
    return data


def _send(
    link: socket.socket,
    beside: socket.socket,
    what: Answer,
    fields: list[bytes],
    payload: bytes | memoryview,
) -> None:
    packed = frames.pack(fields)
    start = memoryview(frames.head(what, _peak_kib() & 0xFFFFFFFF, len(packed), len(payload)) + packed)
    if len(payload) > frames.INLINE:
        link.sendall(start)
        beside.sendall(payload)
        return
    parts = [start, memoryview(payload)]
    while parts:
        sent = link.sendmsg(parts)
        while parts and sent >= len(parts[0]):
            sent -= len(parts[0])
            parts.pop(0)
        if parts and sent:
            parts[0] = parts[0][sent:]


def _peak_kib() -> int:
    """The most memory this process ever held, in KiB.

    getrusage also counts what its parent held when it was started (execve(2) keeps ru_maxrss): a worker that a
    large node starts late would seem worn at its first letter. Only a figure that has grown since is its own.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if peak > _PARENTS_PEAK:
        return peak
    with open("/proc/self/status", "rb") as status:
        return next((int(line.split()[1]) for line in status if line.startswith(b"VmHWM:")), peak)


def limit_processor(seconds: int) -> None:
    """So many seconds from now on (setrlimit(2) counts from the start of the process): then SIGXCPU ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def harden(memory_mib: int, opened_mib: int, niceness: int) -> None:
    """Leave nothing behind: no core, no ptrace, no file larger than what `open` may give."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (opened_mib * _MIB, opened_mib * _MIB))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * _MIB, memory_mib * _MIB))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # The operator's Ctrl-C reaches the whole group; the pool decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
