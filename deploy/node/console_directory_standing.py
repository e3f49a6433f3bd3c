"""The console's command about how the directory stands, for `doctor`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from deploy.node import directory_standing
from deploy.node.composition import Node, now


class DirectoryStandingCommands:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def directory_standing(self) -> dict[str, Any]:
        database = self._node.listings_database
        held = await asyncio.to_thread(database.read, directory_standing.held)
        imports = await asyncio.to_thread(database.read, directory_standing.last_imports)
        return asdict(held) | {
            "imports": [asdict(one) for one in imports],
            "done": await asyncio.to_thread(database.read, directory_standing.last_done),
            "struck_off_here": list(await self._node.struck_off.standing()),
            "held_back_here": list(self._node.struck_off.held_back),
            "held_here": await asyncio.to_thread(directory_standing.held_here, self._node),
            "now": now(),
        }
