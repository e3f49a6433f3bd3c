"""Two served operators for the tests, in one trust space whose servers can be switched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.demo import world
from deploy.demo.federation_world import Operator, Commons, operators
from deploy.demo.world import Person, Sections

HERE, THERE = "mss.ici.test", "mss.labas.test"


@dataclass(frozen=True)
class Federation:
    space: Commons
    here: Operator
    there: Operator
    folder: Path

    def persons(self, operator: Operator) -> list[Person]:
        return list(operator.persons.values())


@contextmanager
def federation(
    sections: Sections | None = None, also: Mapping[str, Mapping[str, int]] | None = None
) -> Generator[Federation]:
    """Two operators, each with a doctor who has a key. The folder's path is short: GnuPG's sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="vm-fed-"))
    space = Commons.open(folder / "pki")
    base = world.free_port_base(*(port + world.PEER_OFFSET for port in world.ports_at(0).values()))
    bases = {HERE: base, THERE: base + world.PEER_OFFSET}
    small = {"sealing": {"workers": 1}, "store": {"readers": 1}}
    try:
        with operators(space, folder, bases, {**small, **(sections or {})}, also) as (here, there):
            yield Federation(space, here, there, folder)
    finally:
        space.close()
        shutil.rmtree(folder, ignore_errors=True)
