"""Real clients against a real node: the demo's world, started once for the whole folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world


@pytest.fixture(scope="session")
def made() -> Iterator[world.World]:
    """A served operator with its people. The folder's path is short: GnuPG's sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="vm-peers-"))
    built, process = world.build(folder, world.free_port_base(), lambda _: None)
    try:
        yield built
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def demo(made: world.World) -> dict[str, Any]:
    """demo.json, as tests and measurements start from it (DESIGN §5)."""
    return json.loads((made.folder / "demo.json").read_text())
