"""How every lookup of a certificate answers: readable by any page's script, kept for a minute, cheap to ask again.

Invariants: what is not shown cannot be told from what does not exist: one answer, the same octets; a revocation is
seen within a minute by whoever asks again (RFC 9111 §5.2.2.1), at the price of a 304 where nothing changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request, Response

from directory.harvest import TooMuch

SECONDS = 60
_METHODS = ["GET", "HEAD"]
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cache-Control": f"public, max-age={SECONDS}",
    "X-Content-Type-Options": "nosniff",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    # Not among those a page may always send (Fetch §2.2.2); all but the first are Thunderbird's.
    "Access-Control-Allow-Headers": "If-None-Match, Authorization, Content-Type, X-OpenPGP-Padding",
    "Access-Control-Max-Age": "86400",
    "Allow": "GET, HEAD, OPTIONS",
}


def found(
    request: Request,
    data: bytes,
    media_type: str,
    disposition: str = "",
    *,
    cached: bool = True,
    more: Mapping[str, str] | None = None,
) -> Response:
    """What was asked for, or 304 where the asker has it already (RFC 9110 §13.1.2)."""
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = HEADERS | {"ETag": tag} | dict(more or {})
    if not cached:
        headers["Cache-Control"] = "no-store"
    elif _has(request, tag):
        return Response(status_code=304, headers=headers)
    if disposition:
        headers["Content-Disposition"] = f'attachment; filename="{disposition}"'
    return Response(data, media_type=media_type, headers=headers)


def not_found() -> Response:
    return Response(status_code=404, media_type="text/plain", headers=HEADERS)


def words(sentence: str, status: int, **headers: str) -> Response:
    """A refusal that a person may read."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        f"{sentence}\n", status, HEADERS | {"Cache-Control": "no-store"} | told, "text/plain; charset=utf-8"
    )


def too_many(refused: TooMuch) -> Response:
    return words("Too many lookups from here for now.", 429, Retry_After=str(refused.retry_after))


def looked_up_at(router: APIRouter, path: str, answer: Callable[..., Awaitable[Response]]) -> None:
    """GET and HEAD, and the question that a browser puts before them."""
    router.add_api_route(path, answer, methods=_METHODS)
    router.add_api_route(path, _preflight, methods=["OPTIONS"])


async def _preflight() -> Response:
    return Response(status_code=204, headers=HEADERS | _PREFLIGHT)


def _has(request: Request, tag: str) -> bool:
    for line in request.headers.getlist("if-none-match"):
        known = [one.strip().removeprefix("W/") for one in line.split(",")]
        if tag in known or "*" in known:
            return True
    return False
