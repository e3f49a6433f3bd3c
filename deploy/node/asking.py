"""How the command line asks: the node that serves, at its socket; where none does, the home opened here.

Invariant: while a node answers nothing of it is loaded here, so that a command costs what asking costs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.node.control import NodeDown, Report, ask, unheard
from deploy.node.home import Home

CONTROL_VARIABLE = "VAGUEMESTRE_CONTROL"


async def command(
    home: Path, config: Path | None, name: str, arguments: Mapping[str, Any], report: Report = unheard
) -> Any:
    """Ask the running node, or open the home and do it here. Raises what `failures.KNOWN` lists."""
    place = Home(home, config and config.absolute())
    # An administrator who does not own the home reaches the node at its second socket.
    named = os.environ.get(CONTROL_VARIABLE, "")
    try:
        return await ask(Path(named) if named else place.control_socket, name, arguments, report)
    except NodeDown:
        from deploy.node.console import done_here

        return await done_here(place, name, arguments, report)
