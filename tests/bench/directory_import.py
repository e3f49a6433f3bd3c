"""Imports of the national files: how fast the first is, what a later one costs, and how much memory it takes.

    python -m tests.bench.directory_import                         # 2,000,000 lines on SQLite and PostgreSQL 15
    python -m tests.bench.directory_import --rows 200000 --only sqlite

Each import is a process of its own, as the node starts it (`python -m directory.imports`); its CPU and its largest
resident memory are what the kernel says of it when it is over. Three imports: the file; a later version of which one
line in a hundred is gone, changed or new; the same again. PostgreSQL is a server of Debian's, with fsync, made for the
run. Synthetic files, in the order of the identifiers, as the real one has them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.demo.directory_files import write_activity, write_mailboxes
from deploy.node.migrations.run import migrate_listings
from tests.bench.process import CouldNotRun

ROWS = 2_000_000
_BIN = Path("/usr/lib/postgresql/15/bin")
_LARGEST_SHARE = 0.20  # of the first import's time, for one with one line in a hundred changed
_MEGABYTES = 500
_screen = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Run:
    what: str
    seconds: float
    cpu: float
    megabytes: int
    result: dict[str, Any]

    def __str__(self) -> str:
        told, pace = self.result, self.result["lines"] / self.seconds
        changes = ", ".join(f"{told[name]:,} {name}" for name in ("added", "changed", "removed", "wrong"))
        return (
            f"{self.what}: {told['lines']:,} lines in {self.seconds:.1f} s, {pace:,.0f} a second, CPU {self.cpu:.1f} s"
            f" ({self.cpu / told['lines'] * 1e6:.0f} µs a line), {self.megabytes} MB,"
            f" longest transaction {told['longest_transaction']} ms; {changes}"
        )


def main(
    rows: Annotated[int, typer.Option(help="Lines of the file.")] = ROWS,
    only: Annotated[str, typer.Option(help="sqlite or postgresql; both if left out.")] = "",
    kind: Annotated[str, typer.Option(help="activity or mssante.")] = "activity",
    folder: Annotated[Path, typer.Option(help="Where files and databases are made.")] = Path("bench-data"),
    output: Annotated[Path | None, typer.Option(help="Write the figures there, in JSON.")] = None,
) -> None:
    folder = folder.absolute() / "directory-import"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        files = _files(folder, rows, kind)
        runs: dict[str, list[Run]] = {}
        if only in ("", "sqlite"):
            path = folder / "listings.db"
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            migrate_listings(f"sqlite:///{path}")
            runs["SQLite"] = _measured("SQLite", str(path), files, folder)
        if only in ("", "postgresql"):
            with _postgresql() as url:
                migrate_listings(url)
                runs["PostgreSQL"] = _measured("PostgreSQL", url, files, folder)
    except CouldNotRun as failure:
        _screen.print(str(failure), style="red")
        raise typer.Exit(1) from None
    if output is not None:
        output.write_text(
            json.dumps({name: [_json(one) for one in listed] for name, listed in runs.items()}, indent=2)
        )
    raise typer.Exit(0 if all(_judged(name, listed) for name, listed in runs.items()) else 1)


def _judged(name: str, runs: list[Run]) -> bool:
    first, later, same = runs
    share = later.seconds / first.seconds
    peak = max(one.megabytes for one in runs)
    print(
        f"{name}: a later file takes {share:.1%} of the first one's time (at most {_LARGEST_SHARE:.0%}),"
        f" the same file {same.seconds / first.seconds:.1%}; {peak} MB at most (under {_MEGABYTES})"
    )
    return share <= _LARGEST_SHARE and peak < _MEGABYTES


def _files(folder: Path, rows: int, kind: str) -> tuple[Path, Path]:
    write: Callable[..., int] = write_activity if kind == "activity" else write_mailboxes
    first, later = folder / f"{kind}-{rows}.txt", folder / f"{kind}-{rows}-later.txt"
    for path, diff in ((first, 0.0), (later, 0.01)):
        if not path.exists():
            begun = time.perf_counter()
            write(path, rows, diff=diff)
            _screen.print(f"{path.name} made in {time.perf_counter() - begun:.0f} s")
    return first, later


def _measured(name: str, place: str, files: tuple[Path, Path], folder: Path) -> list[Run]:
    first, later = files
    runs: list[Run] = []
    for what, path in (("first import", first), ("one line in a hundred", later), ("the same again", later)):
        runs.append(_run(f"{name}, {what}", place, path, folder))
        print(runs[-1], flush=True)
    return runs


def _run(what: str, place: str, path: Path, folder: Path) -> Run:
    asked = {
        "database": place,
        "path": str(path),
        "reports": str(folder / "reports"),
        "source": "",
        "largest_fall": 0.05,
        "dry_run": False,
        "force": False,
    }
    begun = time.perf_counter()
    # Its figures come with its end (wait4): nobody else may wait for it.
    process = subprocess.Popen(
        [sys.executable, "-m", "directory.imports"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.close()
    last: dict[str, Any] = {}
    for line in process.stdout:
        last = json.loads(line)
    _, _, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = 0
    if "result" not in last:
        raise CouldNotRun(f"{what}: {last.get('sentence', 'it ended before its end')}")
    return Run(what, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, last["result"])


def _json(run: Run) -> dict[str, Any]:
    lists = ("struck_off", "reinstated")
    result = {name: len(one) if name in lists else one for name, one in run.result.items()}
    return {"what": run.what, "seconds": run.seconds, "cpu": run.cpu, "megabytes": run.megabytes, **result}


@contextmanager
def _postgresql() -> Generator[str]:
    """A server of its own, with fsync, gone when the run is over."""
    if not (_BIN / "initdb").exists():
        raise CouldNotRun("PostgreSQL 15 is not installed (apt install postgresql-15).")
    folder = Path(tempfile.mkdtemp(prefix="vm-bench-pg-"))
    root = os.geteuid() == 0
    before = ["runuser", "-u", "postgres", "--"] if root else []
    try:
        if root:
            shutil.chown(folder, "postgres", "postgres")
        data, quiet = folder / "data", subprocess.DEVNULL
        initdb = [
            *before,
            str(_BIN / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        subprocess.run(initdb, cwd=folder, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=True, stdout=quiet)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        options += " -c shared_buffers=512MB -c max_wal_size=4GB"
        control = [*before, str(_BIN / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        subprocess.run([*control, "-o", options, "start"], cwd=folder, check=True, stdout=quiet)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, check=True, stdout=quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
