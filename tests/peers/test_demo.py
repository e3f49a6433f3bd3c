"""`vaguemestre demo` as a newcomer meets it: it ends by itself or when told, and leaves nothing running."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import world

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1800)]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vm-demo-"))
    try:
        yield made
    finally:
        for left in processes_of(made):  # of a test that failed
            os.kill(left, signal.SIGKILL)
        shutil.rmtree(made, ignore_errors=True)


def started(folder: Path, *options: str, columns: int = 80) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "deploy.node.cli", "demo", "--home", str(folder / "home")]
    above = [port + world.PEER_OFFSET for port in world.ports_at(0).values()]
    command += ["--port-base", str(world.free_port_base(*above)), *options]
    environment = {**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"}
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            # Whoever runs the tests under nohup has them inherit an ignored SIGHUP.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )


def said(folder: Path) -> str:
    return (folder / "said").read_text("utf-8")


def wait_for(folder: Path, words: str, demo: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while words not in said(folder):
        assert demo.poll() is None, said(folder)
        assert time.monotonic() < deadline, said(folder)
        time.sleep(0.1)


def processes_of(folder: Path) -> list[int]:
    """Whoever still names the folder in its command line."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in line:
                found.append(int(entry.name))
    return found


def nothing_runs(folder: Path) -> None:
    """A worker whose node has gone goes a moment after it."""
    deadline = time.monotonic() + 60
    while left := processes_of(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.parametrize(("columns", "steps", "more"), [(80, 23, ()), (120, 32, ("--federation",))])
def test_once_plays_every_step_and_leaves_nothing_running(
    folder: Path, columns: int, steps: int, more: tuple[str, ...]
) -> None:
    demo = started(folder, "--once", *more, columns=columns)
    assert demo.wait(1500) == 0, said(folder)
    assert f"{steps} of {steps} steps held" in said(folder)
    told = json.loads((folder / "home" / "demo.json").read_text())
    assert (told["federation"] is not None) == bool(more)
    nothing_runs(folder)
    wide = [line for line in said(folder).splitlines() if len(line) > columns]
    assert wide == [], "a terminal would break these lines"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_while_it_serves_it_ends_its_node_too(folder: Path, number: int) -> None:
    demo = started(folder)
    wait_for(folder, "demo.json", demo)
    page = json.loads((folder / "home" / "demo.json").read_text())["page"]
    assert page in said(folder)
    with urllib.request.urlopen(f"{page}aide", timeout=60) as answer:
        text = answer.read().decode()
    for words in ("imaps", "submissions"):
        port = json.loads((folder / "home" / "demo.json").read_text())["endpoints"][words]
        assert str(port) in text
        assert re.search(rf"port {port} \(TLS\)", said(folder))
    demo.send_signal(number)
    assert demo.wait(300) == 0, said(folder)
    assert "Traceback" not in said(folder)
    nothing_runs(folder)


@pytest.mark.parametrize(
    ("words", "more"), [("the node, start", ()), ("A second operator", ("--federation",))]
)
def test_told_to_end_before_the_story_began_it_fails_and_leaves_nothing_running(
    folder: Path, words: str, more: tuple[str, ...]
) -> None:
    demo = started(folder, *more)
    wait_for(folder, words, demo)
    demo.terminate()
    assert demo.wait(300) == 1, said(folder)
    assert "Traceback" not in said(folder)
    nothing_runs(folder)
