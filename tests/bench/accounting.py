"""How much CPU a server took: a group of processes, its members and the seconds they used.

Invariants: what exited children used is counted; only processes that this benchmark put into one of its own
groups (or that descend from one it started) are ever signalled.

Three ways, the best that the machine allows: cgroup v1 `cpuacct` and cgroup v2 `cpu.stat` count in the
kernel, to the microsecond; without a writable cgroup, /proc/<pid>/stat is summed over the process tree, in ticks of
10 ms, and what a daemon that left the tree used is lost.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
_PREFIX = "vaguemestre_bench_"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Group(Protocol):
    """The processes of one server."""

    @property
    def kind(self) -> str:
        """How the CPU is counted, for the report."""
        ...

    def enter(self) -> None:
        """Put the calling process into the group (called in the child, before exec)."""
        ...

    def started(self, pid: int) -> None:
        """Tell the group which process was started in it."""
        ...

    def pids(self) -> list[int]: ...
    def cpu_seconds(self) -> float: ...
    def remove(self) -> None:
        """Forget the group; its processes have ended."""
        ...


class _Cgroup:
    """A control group of our own, under either version of the kernel's interface."""

    def __init__(self, parent: Path, name: str, kind: str) -> None:
        self._path = parent / (_PREFIX + name)
        self._path.mkdir(exist_ok=True)
        self.kind = kind

    def enter(self) -> None:
        (self._path / "cgroup.procs").write_text(str(os.getpid()))

    def started(self, pid: int) -> None:
        """The group knows its members by itself."""

    def pids(self) -> list[int]:
        try:
            return [int(line) for line in (self._path / "cgroup.procs").read_text().split()]
        except FileNotFoundError:  # removed: it has none
            return []

    def cpu_seconds(self) -> float:
        usage = self._path / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        first = (self._path / "cpu.stat").read_text().split("\n", 1)[0]  # "usage_usec 123"
        return int(first.split()[1]) / 1e6

    def remove(self) -> None:
        if not self.pids() and self._path.exists():
            self._path.rmdir()


class _Tree:
    """A process and its descendants, read from /proc."""

    kind = "/proc"

    def __init__(self) -> None:
        self._root = 0

    def enter(self) -> None:
        """Descent is enough."""

    def started(self, pid: int) -> None:
        self._root = pid

    def pids(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            fields = _stat(int(entry.name))
            if fields and fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found: list[int] = []
        waiting = [self._root] if _stat(self._root) else []
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children.get(pid, [])
        return found

    def cpu_seconds(self) -> float:
        ticks = 0
        for pid in self.pids():
            fields = _stat(pid)
            ticks += sum(map(int, fields[11:15]))  # utime stime cutime cstime
        return ticks / _TICKS_PER_SECOND

    def remove(self) -> None:
        """Nothing was made."""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def tree_of(pid: int) -> Group:
    """A process that was started elsewhere, with its descendants."""
    found = _Tree()
    found.started(pid)
    return found


def group(name: str) -> Group:
    """The best kind of group that this machine lets us make."""
    for parent, file, kind in ((_V1, "cpuacct.usage", "cgroup v1"), (_V2, "cgroup.controllers", "cgroup v2")):
        if (parent / file).exists():
            try:
                return _Cgroup(parent, name, kind)
            except OSError:
                continue
    return _Tree()
