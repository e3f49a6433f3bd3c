"""How the morning letters stand: what should have been told by now and was not."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.node.composition import Node

SHOWN: Mapping[str, str] = {
    "reports_untold": "Letters whose morning letter is due and was not sent.",
    "reports_untold_seconds": "Age of the oldest of them.",
    "reports_refused_untold": "Refused letters that the next morning letter will tell of.",
}


async def shown(node: Node) -> Mapping[str, float]:
    standing = await node.correspondence.mornings.standing()
    age = 0.0 if standing.oldest is None else max(0.0, (standing.now - standing.oldest) / 1000)
    return {
        "reports_untold": float(standing.untold),
        "reports_untold_seconds": age,
        "reports_refused_untold": float(standing.refused),
    }
