"""Web Key Directory over HTTP: where mail programs look up a professional's certificate.

Draft draft-koch-openpgp-webkey-service, direct and advanced methods. Invariants: only addresses that
`is_public` says may be shown; whether an address that is not shown exists cannot be told from one that does
not; who asks for many in vain is slowed, then refused (`guesses`); answers are binary certificates that hold
the asked user id alone; nothing here can be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from fastapi import APIRouter, Request, Response

from directory.certificates.memory import wkd_hash
from directory.harvest import TooMuch
from directory.publication.answers import found, looked_up_at, not_found, too_many
from directory.publication.capability import LARGEST_FIELD
from directory.publication.guesses import Guesses

_DOOR = "wkd"
_NOT_FOUND = 404
_ROOT = "/.well-known/openpgpkey"


class Published(Protocol):
    """What publication needs of the directory (`service.DirectoryService`)."""

    def published(self, address: str) -> bytes | None: ...
    def address_by_wkd_hash(self, domain: str, name: str) -> str | None: ...
    def has_domain(self, domain: str) -> bool: ...


def web_key_directory(
    directory: Published,
    is_public: Callable[[str], bool],
    policy_lines: Callable[[str], Sequence[str]] = lambda _domain: (),
    *,
    largest: int = 0,
    guesses: Guesses | None = None,
) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root.

    `policy_lines`: what the policy file of a domain says beside being there. `largest`: octets of a letter that
    these addresses take; 0: nothing is said of it. `guesses`: who asks for many in vain; None: nobody is counted.
    """
    router = APIRouter(include_in_schema=False)
    more = {LARGEST_FIELD: str(largest)} if largest else {}

    async def certificate(domain: str, name: str, request: Request) -> Response:
        if guesses is None:
            return looked_up(domain, name, request)
        try:
            guesses.require(request, _DOOR)
            answer = looked_up(domain, name, request)
            if answer.status_code == _NOT_FOUND:
                await guesses.missed(request, domain, name, _DOOR)
            else:
                await guesses.hit(request)
        except TooMuch as refused:
            return too_many(refused)
        return answer

    def looked_up(domain: str, name: str, request: Request) -> Response:
        # The local part, where it is told, must be the one whose hash is asked for (draft §3.1).
        if any(wkd_hash(told) != name.lower() for told in request.query_params.getlist("l")):
            return not_found()
        address = directory.address_by_wkd_hash(domain, name)
        if address is None or not is_public(address):
            return not_found()
        data = directory.published(address)
        if data is None:
            return not_found()
        return found(request, data, "application/octet-stream", more=more)

    def policy(domain: str, request: Request) -> Response:
        # A policy file, be it empty, says that the directory is there (draft §4.5).
        if not directory.has_domain(domain):
            return not_found()
        text = "".join(f"{line}\n" for line in policy_lines(domain.lower()))
        return found(request, text.encode("ascii"), "text/plain")

    async def direct(name: str, request: Request) -> Response:
        return await certificate(_host(request), name, request)

    async def direct_policy(request: Request) -> Response:
        return policy(_host(request), request)

    async def advanced(domain: str, name: str, request: Request) -> Response:
        return await certificate(domain, name, request)

    async def advanced_policy(domain: str, request: Request) -> Response:
        return policy(domain, request)

    looked_up_at(router, f"{_ROOT}/hu/{{name}}", direct)
    looked_up_at(router, f"{_ROOT}/policy", direct_policy)
    looked_up_at(router, f"{_ROOT}/{{domain}}/hu/{{name}}", advanced)
    looked_up_at(router, f"{_ROOT}/{{domain}}/policy", advanced_policy)
    return router


def _host(request: Request) -> str:
    """The domain asked for, without its port. A name may end with the root's dot."""
    host = request.headers.get("host", "")
    return host.rpartition(":")[0].rstrip(".") if ":" in host else host.rstrip(".")
