"""Web Key Directory over HTTP: where mail programs look up a professional's certificate.

Draft draft-koch-openpgp-webkey-service, direct and advanced methods. Invariants: only addresses that
`is_public` says may be shown; whether an address that is not shown exists cannot be told from one that does
not; answers are binary certificates that hold the asked user id alone; nothing here can be listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastapi import APIRouter, Request, Response

_ROOT = "/.well-known/openpgpkey"
# The draft wants any page's script to be able to read it; an hour is the longest a key change may go unseen.
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=3600",
    "X-Content-Type-Options": "nosniff",
}
_METHODS = ["GET", "HEAD"]


class Published(Protocol):
    """What publication needs of the directory (`service.DirectoryService`)."""

    def published(self, address: str) -> bytes | None: ...
    def address_by_wkd_hash(self, domain: str, name: str) -> str | None: ...
    def has_domain(self, domain: str) -> bool: ...


def web_key_directory(directory: Published, is_public: Callable[[str], bool]) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root."""
    router = APIRouter(include_in_schema=False)

    def certificate(domain: str, name: str) -> Response:
        address = directory.address_by_wkd_hash(domain, name)
        if address is None or not is_public(address):
            return _not_found()
        data = directory.published(address)
        if data is None:
            return _not_found()
        return Response(data, media_type="application/octet-stream", headers=_HEADERS)

    def policy(domain: str) -> Response:
        # An empty policy file says that the directory is there (draft §4.5); nothing is submitted by mail.
        if not directory.has_domain(domain):
            return _not_found()
        return Response(b"", media_type="text/plain", headers=_HEADERS)

    @router.api_route(f"{_ROOT}/hu/{{name}}", methods=_METHODS)
    async def direct(name: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return certificate(_host(request), name)

    @router.api_route(f"{_ROOT}/policy", methods=_METHODS)
    async def direct_policy(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return policy(_host(request))

    @router.api_route(f"{_ROOT}/{{domain}}/hu/{{name}}", methods=_METHODS)
    async def advanced(domain: str, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return certificate(domain, name)

    @router.api_route(f"{_ROOT}/{{domain}}/policy", methods=_METHODS)
    async def advanced_policy(domain: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return policy(domain)

    return router


def _host(request: Request) -> str:
    """The domain asked for, without its port. A name may end with the root's dot."""
    host = request.headers.get("host", "")
    return host.rpartition(":")[0].rstrip(".") if ":" in host else host.rstrip(".")


def _not_found() -> Response:
    return Response(status_code=404, media_type="text/plain", headers=_HEADERS)
