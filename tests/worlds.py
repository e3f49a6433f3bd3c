"""A served operator with its people for the tests, gone when they end; and the home of a node that serves nothing."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.demo import world
from deploy.node.initialise import Wishes, initialise


@contextmanager
def own_world(
    name: str, sections: world.Sections | None = None
) -> Generator[tuple[world.World, world.NodeProcess]]:
    """The demo's world in a folder of its own. Its path is short: GnuPG's sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix=f"vm-{name}-"))
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        yield made, process
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def new_home(folder: Path, domain: str, sections: world.Sections | None = None) -> Path:
    """A node's home below `folder`, as `init` makes it, small enough for a test; `sections` go over it."""
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=(domain,),
        kek=folder / "kek" / "kek",
        hostname="localhost",
        trust_list=None,
        sections={"sealing": {"workers": 1}, "store": {"readers": 1}, **(sections or {})},
    )
    asyncio.run(initialise(wishes))
    return folder / "node"
