"""What `doctor` says of morning letters: a ledger that is not told is a hospital that believes all went well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home

_PATIENCE = 2 * 3_600_000  # ms past the hour of the letter


async def running_reports(home: Path) -> Finding:
    try:
        found: dict[str, Any] = await ask(Home(home).control_socket, "reports_standing", {})
    except (NodeDown, CommandFailed):
        return Finding("morning letters", "warning", "It could not be asked whether reports were told of.")
    return standing_finding(found)


def standing_finding(found: dict[str, Any]) -> Finding:
    oldest = found["oldest"]
    if not found["untold"] or oldest is None:
        return Finding(
            "morning letters", "good", "Every letter handed in by a system was told of in its morning."
        )
    hours = (found["now"] - oldest) // 3_600_000
    if found["now"] - found["due"] < _PATIENCE:
        return Finding("morning letters", "good", f"{found['untold']} letters are being told of now.")
    return Finding(
        "morning letters",
        "failed",
        f"{found['untold']} letters, the oldest of {hours} hours ago, were told to nobody: is the account suspended "
        "or full, is there space? The log says why the morning letter waits.",
    )
