"""Nodes that are killed, cut and starved: each test has one of its own, made small and quick."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import world


@pytest.fixture
def fragile() -> Iterator[tuple[world.World, world.NodeProcess]]:
    """A world whose node may be killed; whatever node process is left is ended with it."""
    folder = Path(tempfile.mkdtemp(prefix="vm-faults-"))
    built, process = world.build(folder, world.free_port_base(), lambda _: None)
    try:
        yield built, process
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)
