"""Nodes that are killed, cut and starved: each test has one of its own, made small and quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.demo import world
from tests.nights import hour_far_away
from tests.worlds import own_world


@pytest.fixture
def fragile() -> Iterator[tuple[world.World, world.NodeProcess]]:
    """A world whose node may be killed; whatever node process is left is ended with it."""
    with own_world("faults", {"reports": {"hour": hour_far_away()}}) as found:
        yield found
