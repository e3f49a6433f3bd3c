"""Key server lookups: HKP as GnuPG asks (draft-shaw-openpgp-hkp, draft-ietf-openpgp-hkp) and VKS as Thunderbird does.

Invariants: one address, fingerprint or key id is looked up whole, and nothing is found by a part of it; nothing can be
listed, nothing submitted; unknown, hidden and patients get one and the same answer; a revoked certificate is given with
its revocation; who takes many is slowed, then refused, and told of (`directory.harvest`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Protocol

from fastapi import APIRouter, Request, Response

from directory.harvest import Harvest, TooMuch
from directory.openpgp.armor import armor
from directory.publication.answers import found, looked_up_at, not_found, too_many, words
from directory.publication.guesses import Guesses
from directory.publication.index import described, for_people, machine_readable

_ARMORED = "application/pgp-keys"
_BINARY = "application/pgp"  # draft-ietf-openpgp-hkp-01 §7.1
_TEXT = "text/plain; charset=utf-8"
_DOOR = "hkp"
_KEY = re.compile(r"(?:0x)?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{16})")
_FINGERPRINT, _KEY_ID = 40, 16
_LONGEST = 320  # an address
_NO_SUBMISSION = (
    "Certificates are not submitted here: the holder of an address publishes theirs with their operator."
)


class Shown(Protocol):
    """What may be shown to anybody."""

    def certificate(self, address: str) -> bytes | None:
        """None for an address that is unknown, hidden, or a patient's."""
        ...

    def by_key(self, key: str) -> tuple[str, bytes] | None:
        """Address and certificate, by fingerprint or key id, of a subkey too. May take a moment: asked in a thread."""
        ...


class KeyServer:
    def __init__(
        self,
        shown: Shown,
        harvest: Harvest,
        place_of: Callable[[str], str],
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        guesses: Guesses | None = None,
    ) -> None:
        """`place_of`: what an IP address is counted as. `guesses`: who asks for many addresses in vain."""
        self._guesses = guesses
        self._shown = shown
        self._harvest = harvest
        self._place_of = place_of
        self._clock = clock

    async def find(self, request: Request, search: str) -> bytes | None:
        """Raises TooMuch."""
        asker = f"net:{self._place_of(request.client.host) if request.client else 'unknown'}"
        self._harvest.require(asker, door=_DOOR)
        if self._guesses is not None:
            self._guesses.require(request, _DOOR)
        looked_up = await self._look_up(search)
        if looked_up is None:
            await self._missed(request, search)
            return None
        if self._guesses is not None:
            await self._guesses.hit(request)
        address, certificate = looked_up
        await asyncio.sleep(self._harvest.shown(asker, [address], door=_DOOR))
        return certificate

    async def _missed(self, request: Request, search: str) -> None:
        """A key that is not here tells nothing of who is: programs ask every key server for all they have."""
        if self._guesses is not None and _KEY.fullmatch(search) is None and (address := _address(search)):
            local, _, domain = address.rpartition("@")
            await self._guesses.missed(request, domain, local, _DOOR)

    async def _look_up(self, search: str) -> tuple[str, bytes] | None:
        if (key := _KEY.fullmatch(search)) is not None:
            return await asyncio.to_thread(self._shown.by_key, key[1].upper())
        address = _address(search)
        certificate = self._shown.certificate(address) if address else None
        return None if certificate is None else (address, certificate)

    def now(self) -> int:
        return self._clock() // 1000


def key_server(server: KeyServer) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root."""
    router = APIRouter(include_in_schema=False)

    async def lookup(request: Request) -> Response:
        asked = request.query_params
        search, op = asked.get("search", ""), asked.get("op", "")
        options = set(asked.get("options", "").split(","))
        if op not in ("get", "index", "vindex"):
            return words("Only op=get, op=index and op=vindex are known here.", 501 if op else 400)
        if not search:
            return words("Say in search= whom you look for: an address, or 0x and a fingerprint.", 400)
        return await _answered(server, request, search, op, options)

    async def by_vfingerprint(version: str, key: str, request: Request) -> Response:
        fits = version.lstrip("0") == "4" and len(key) == _FINGERPRINT
        return await _answered(server, request, key if fits else "", "binary")

    async def by_key_id(key: str, request: Request) -> Response:
        return await _answered(server, request, key if len(key) == _KEY_ID else "", "binary")

    async def by_identity(identity: str, request: Request) -> Response:
        return await _answered(server, request, identity if "@" in identity else "", "binary")

    async def vks_by_fingerprint(key: str, request: Request) -> Response:
        return await _answered(server, request, key if len(key) == _FINGERPRINT else "", "get")

    async def vks_by_key_id(key: str, request: Request) -> Response:
        return await _answered(server, request, key if len(key) == _KEY_ID else "", "get")

    async def vks_by_email(address: str, request: Request) -> Response:
        return await _answered(server, request, address if "@" in address else "", "get")

    async def submit() -> Response:
        return words(_NO_SUBMISSION, 501)

    looked_up_at(router, "/pks/lookup", lookup)
    looked_up_at(router, "/pks/v2/certs/by-vfingerprint/{version}/{key}", by_vfingerprint)
    looked_up_at(router, "/pks/v2/certs/by-keyid/{key}", by_key_id)
    looked_up_at(router, "/pks/v2/certs/by-identity/{identity}", by_identity)
    looked_up_at(router, "/pks/v2/canonical/{identity}", by_identity)
    looked_up_at(router, "/vks/v1/by-fingerprint/{key}", vks_by_fingerprint)
    looked_up_at(router, "/vks/v1/by-keyid/{key}", vks_by_key_id)
    looked_up_at(router, "/vks/v1/by-email/{address}", vks_by_email)
    for place in ("/pks/add", "/pks/v2/certs", "/vks/v1/upload", "/vks/v1/request-verify"):
        router.add_api_route(place, submit, methods=["POST"])
    router.add_api_route("/pks/v2/canonical/{identity}", submit, methods=["PUT"])
    return router


async def _answered(
    server: KeyServer, request: Request, search: str, form: str, options: set[str] | None = None
) -> Response:
    """`form`: "get" armored, "binary", "index" and "vindex" a description."""
    try:
        certificate = await server.find(request, search) if search else None
    except TooMuch as refused:
        return too_many(refused)
    if certificate is None:
        return not_found()
    if form == "binary":
        return found(request, certificate, _BINARY)
    # In a thread: of a large certificate it takes a tenth of a second, as often as anybody asks.
    if form == "get":
        return found(request, await asyncio.to_thread(armor, certificate, "PUBLIC KEY BLOCK"), _ARMORED)
    about = await asyncio.to_thread(described, certificate)
    if about is None:
        return not_found()
    write = machine_readable if options and "mr" in options else for_people
    return found(request, write(about, server.now()).encode(), _TEXT)


def _address(search: str) -> str:
    """The address of `x@y`, `<x@y>` or `=x@y`, which are the same here; "" for anything else, names above all."""
    told = search.strip().removeprefix("=")
    if told.startswith("<") and told.endswith(">"):
        told = told[1:-1]
    local, at, domain = told.rpartition("@")
    fits = at and local and domain and len(told) <= _LONGEST and not any(each.isspace() for each in told)
    return told.lower() if fits else ""
