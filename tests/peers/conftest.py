"""Real clients against a real node: the demo's world, started once for the whole folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world
from tests.peers.federation import Federation, federation
from tests.worlds import own_world

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a file builds its world too, with keys, accounts and a node: on a busy machine that takes a
    while, and none of them hangs."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def made() -> Iterator[world.World]:
    """A served operator with its people."""
    with own_world("peers") as (built, _):
        yield built


@pytest.fixture(scope="session")
def two() -> Iterator[Federation]:
    """Two operators that hand letters to each other."""
    with federation() as made:
        yield made


@pytest.fixture(scope="session")
def demo(made: world.World) -> dict[str, Any]:
    """demo.json, as tests and measurements start from it (DESIGN §5)."""
    return json.loads((made.folder / "demo.json").read_text())
