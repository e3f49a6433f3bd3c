"""What `doctor` says of the egress gate: whether it can open what waits, how old its key is, where its keystore lies.

Invariant: no key is loaded and none is made by looking.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home

_SUBJECT = "egress gate"
_OLD_DAYS = 366
_DAY = 86_400_000


def keystore_finding(settings: Config, home: Path) -> Finding:
    """The file, before anybody is asked."""
    keystore = Home(home).egress_keystore
    if not keystore.exists():
        wanted = settings.outbound.enabled and (
            settings.policies.trust_list or settings.policies.trust_list_url
        )
        words = (
            "No egress key yet: it is made when the node serves." if wanted else "Not needed: nothing leaves."
        )
        return Finding(_SUBJECT, "good", words)
    if keystore.is_symlink():
        return Finding(
            _SUBJECT, "failed", f"{keystore} is a link: the keystore belongs into the home itself."
        )
    if keystore.stat().st_mode & 0o077:
        return Finding(_SUBJECT, "failed", f"Others may read {keystore}: chmod 600 it.")
    if (copies := stray_copies(home)) is not None:
        return Finding(
            _SUBJECT,
            "failed",
            f"{copies} is a copy of the egress keystore inside the home: what is destroyed would live on there.",
        )
    return Finding(_SUBJECT, "good", "Its keystore is closed to others, and in one place.")


def stray_copies(home: Path) -> Path | None:
    """A second egress keystore under the home: a copy, or a backup that was made by other means."""
    own = Home(home).egress_keystore
    for path in home.rglob(f"*{own.name}*"):
        if path != own and path.is_file():
            return path
    return None


async def running_gate(home: Path) -> Finding:
    try:
        found: dict[str, Any] = await ask(Home(home).control_socket, "egress_show", {})
    except (NodeDown, CommandFailed):
        return Finding(_SUBJECT, "warning", "It could not be asked whether the gate runs.")
    return gate_finding(found)


def gate_finding(found: dict[str, Any]) -> Finding:
    if not found["needed"]:
        return Finding(_SUBJECT, "good", "Not needed: nothing leaves.")
    if not found["alive"]:
        return Finding(
            _SUBJECT,
            "failed",
            "Its process does not run: letters to operators without certificates wait. The log says why.",
        )
    keys = found["keys"]
    age = (found["now"] - keys[-1]["made"]) // _DAY
    if age > _OLD_DAYS:
        return Finding(
            _SUBJECT, "warning", f"Its key is {age} days old: `vaguemestre egress rotate` makes another."
        )
    waiting = sum(one["letters"] for one in keys)
    return Finding(_SUBJECT, "good", f"Runs; key of {age} day(s), {waiting} letter(s) wait for it.")
