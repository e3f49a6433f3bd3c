"""How mail programs find their settings over HTTP: Mozilla's autoconfig, Outlook's autodiscover, Apple's profile.

The domain is the one of the address that is asked for, else the one whose name was called (`autoconfig.<domain>`, the
domain itself). Invariants: nobody logs in for it, and nothing is looked up: an address that exists is answered as one
that does not; a domain that is not ours is 404; what comes in is bounded; addresses reach no log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from directory.autoconfig import apple, mozilla, outlook
from directory.autoconfig.services import Services, domain_of

_METHODS = ["GET", "HEAD"]
# What a node of another port or name tells tomorrow must not be what a proxy kept of today.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_XML = "text/xml; charset=utf-8"
_SIGNED_AT_ONCE = 2
_BODY_SECONDS = 15.0
_PREFIXES = ("autoconfig.", "autodiscover.")


def autoconfiguration(services: Services, sign: Callable[[], apple.Sign | None]) -> APIRouter:
    """Routes to include in the node's HTTPS application, at its root. `sign`: what signs profiles now."""
    router = APIRouter(include_in_schema=False)
    _mozilla(router, services)
    _outlook(router, services)
    _apple(router, services, sign)
    return router


def _mozilla(router: APIRouter, services: Services) -> None:
    @router.api_route("/.well-known/autoconfig/mail/config-v1.1.xml", methods=_METHODS)
    @router.api_route("/.well-known/mail-v1.xml", methods=_METHODS)
    @router.api_route("/mail/config-v1.1.xml", methods=_METHODS)
    async def client_config(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        address = request.query_params.get("emailaddress", "")
        domain = domain_of(address) if address else _named(request, services)
        if not services.mail or not services.serves(domain):
            return _nothing()
        return Response(mozilla.client_config(services, domain), media_type=_XML, headers=_HEADERS)


def _outlook(router: APIRouter, services: Services) -> None:
    @router.post("/autodiscover/autodiscover.xml")
    @router.post("/Autodiscover/Autodiscover.xml")
    @router.post("/AutoDiscover/AutoDiscover.xml")
    async def discover(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            wanted = outlook.asked(await _body(request))
        except outlook.RequestRefused:
            return Response(outlook.refused("Invalid Request"), 400, _HEADERS, _XML)
        if not services.mail or not services.serves(domain_of(wanted.address)):
            return _nothing()
        told = outlook.answer(services, wanted)
        if told is None:
            return _nothing()
        return Response(told, media_type=_XML, headers=_HEADERS)

    @router.get("/autodiscover/autodiscover.json")
    @router.get("/autodiscover/autodiscover.json/v1.0/{address}")
    async def discover_json(request: Request, address: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {name.lower(): value for name, value in request.query_params.items()}
        domain = domain_of(address or given.get("email", ""))
        if not services.mail or not services.page or not services.serves(domain):
            return _nothing()
        protocol = given.get("protocol", "")
        if protocol.lower() != "autodiscoverv1":
            return Response(
                b'{"ErrorCode":"InvalidProtocol","ErrorMessage":"Only AutodiscoverV1 is here: IMAP and SMTP."}',
                400,
                _HEADERS,
                "application/json",
            )
        where = f'{{"Protocol":"AutodiscoverV1","Url":"{services.page}/autodiscover/autodiscover.xml"}}'
        return Response(where.encode(), headers=_HEADERS, media_type="application/json")


def _apple(router: APIRouter, services: Services, sign: Callable[[], apple.Sign | None]) -> None:
    turns = asyncio.Semaphore(_SIGNED_AT_ONCE)

    @router.api_route("/apple.mobileconfig", methods=_METHODS)
    async def mobileconfig(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        address = request.query_params.get("emailaddress", "").strip()
        if not services.mail or not services.serves(domain_of(address)):
            return _nothing()
        async with turns:  # a signature costs a millisecond of a thread that others wait for
            made = await asyncio.to_thread(_profile, services, address, sign)
        headers = {**_HEADERS, "Content-Disposition": 'attachment; filename="messagerie.mobileconfig"'}
        return Response(made, media_type=apple.MEDIA_TYPE, headers=headers)


def _profile(services: Services, address: str, sign: Callable[[], apple.Sign | None]) -> bytes:
    made = apple.profile(services, address)
    signed = sign()
    return made if signed is None else signed(made)


def _named(request: Request, services: Services) -> str:
    """The domain whose name was called, without its port; a name may end with the root's dot."""
    host = request.headers.get("host", "").lower()
    host = (host.rpartition(":")[0] if ":" in host else host).rstrip(".")
    for prefix in _PREFIXES:
        if host.startswith(prefix) and services.serves(host.removeprefix(prefix)):
            return host.removeprefix(prefix)
    if (
        not services.serves(host)
        and host in (services.host, services.page_host)
        and len(services.domains) == 1
    ):
        return services.domains[0]
    return host


async def _body(request: Request) -> bytes:
    """Raises RequestRefused for what is too much, or comes too slowly."""
    received = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                received += piece
                if len(received) > outlook.LARGEST:
                    raise outlook.RequestRefused
    except (TimeoutError, ClientDisconnect):
        raise outlook.RequestRefused from None
    return bytes(received)


def _nothing() -> Response:
    return Response(status_code=404, media_type="text/plain", headers=_HEADERS)
