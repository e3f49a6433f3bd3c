"""What can be sent to an address, asked before a letter is written: `/.well-known/vaguemestre/capability?address=`.

Answers are JSON: address, profiles (`["openpgp-v4-seipd1"]`), largest (octets), payloads (`["ihe-xdm", …]`).
Invariants: only addresses that are shown to anybody; all others get one and the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from directory.model import Capability
from directory.publication.answers import found, looked_up_at, not_found

PATH = "/.well-known/vaguemestre/capability"

# What seals to an address.
OPENPGP = "openpgp-v4-seipd1"
SMIME = "smime-cms"


def capabilities(capability_of: Callable[[str], Capability | None]) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root. `capability_of`: None for who is not shown."""
    router = APIRouter(include_in_schema=False)

    async def capability(request: Request) -> Response:
        address = request.query_params.get("address", "").strip().lower()
        known = capability_of(address) if address else None
        return not_found() if known is None else found(request, _told(address, known), "application/json")

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
