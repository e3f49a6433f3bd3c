"""Real clients against a real node: the demo's world, started once for the whole folder."""

from __future__ import annotations

import json
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world


def free_port_base() -> int:
    """A base whose ports are free now; below the range the kernel gives to clients."""
    for _ in range(200):
        base = random.randrange(11_000, 31_000)
        try:
            for port in (25, 80, 143, 443, 464, 465, 587, 993):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + port))
        except OSError:
            continue
        return base
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def made() -> Iterator[world.World]:
    """A served operator with its people. The folder's path is short: GnuPG's sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="vm-peers-"))
    built, process = world.build(folder, free_port_base(), lambda _: None)
    try:
        yield built
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def demo(made: world.World) -> dict[str, Any]:
    """demo.json, as tests and measurements start from it (DESIGN §5)."""
    return json.loads((made.folder / "demo.json").read_text())
