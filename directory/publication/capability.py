"""What can be sent to an address, asked before a letter is written: `/.well-known/vaguemestre/capability?address=`.

Answers are JSON: address, profiles (`["openpgp-v4-seipd1"]`), largest (octets), payloads (`["ihe-xdm", …]`).
Invariants: only addresses that are shown to anybody; all others get one and the same answer; who asks for many is
slowed, then refused, as at the key server (`directory.harvest`): names that people guess tell who is here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from directory.harvest import Harvest, TooMuch
from directory.model import Capability
from directory.publication.answers import found, looked_up_at, not_found, too_many
from directory.publication.guesses import Guesses

PATH = "/.well-known/vaguemestre/capability"

# What seals to an address.
OPENPGP = "openpgp-v4-seipd1"
SMIME = "smime-cms"

# With a certificate goes, in this field, the `largest` of its address: who fetches it needs not ask twice.
LARGEST_FIELD = "Vaguemestre-Largest"

_DOOR = "capability"


def capabilities(
    capability_of: Callable[[str], Capability | None],
    harvest: Harvest,
    place_of: Callable[[str], str],
    guesses: Guesses | None = None,
) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root. `capability_of`: None for who is not shown.
    `place_of`: what an IP address is counted as. `guesses`: who asks for many in vain."""
    router = APIRouter(include_in_schema=False)

    async def capability(request: Request) -> Response:
        address = request.query_params.get("address", "").strip().lower()
        asker = f"net:{place_of(request.client.host) if request.client else 'unknown'}"
        try:
            harvest.require(asker, door=_DOOR)
            if guesses is not None:
                guesses.require(request, _DOOR)
            known = capability_of(address) if address else None
            if known is None:
                local, at, domain = address.rpartition("@")
                if guesses is not None and at:
                    await guesses.missed(request, domain, local, _DOOR)
                return not_found()
            if guesses is not None:
                await guesses.hit(request)
            await asyncio.sleep(harvest.shown(asker, [address], door=_DOOR))
        except TooMuch as refused:
            return too_many(refused)
        return found(request, _told(address, known), "application/json")

    looked_up_at(router, PATH, capability)
    return router


def _told(address: str, known: Capability) -> bytes:
    told = {
        "address": address,
        "profiles": list(known.profiles),
        "largest": known.largest,
        "payloads": list(known.payloads),
    }
    return json.dumps(told, ensure_ascii=False).encode()
