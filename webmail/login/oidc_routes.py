"""`/api/`: identity providers. Thin: `oidc` and `oidc_device` decide.

Invariants: after a provider's answer a browser is sent to an address of this page and no other, whatever the answer
says; a failure shows a slug and a reference, never a word of the provider's.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mail_server.accounts.oidc.interface import TokenRefused
from webmail.login import bodies
from webmail.login.front import MAX_STRANGERS_BODY, Front, answer, body, read, router
from webmail.login.oidc import LIFETIME, ProviderLogins
from webmail.login.oidc_device import DeviceLogins
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn
from webmail.spaces.answers import SessionAnswers

_PATH = "/api/login/oidc"
_LONGEST_QUERY = 8 * 1024
_NO_STORE = {"cache-control": "no-store"}


def provider_routes(
    front: Front, logins: ProviderLogins, devices: DeviceLogins, answers: SessionAnswers
) -> APIRouter:
    routes = router()

    @routes.get("/login/oidc/{provider}/start")
    async def start(request: Request, provider: str) -> Response:
        asked = _query(request)
        try:
            # A link of the page or of a letter may begin a login; a picture or a frame of another page may not.
            if request.headers.get("sec-fetch-dest", "document") != "document":
                raise Problem("foreign-request")
            session = front.session(request) if asked.get("stepUp") == "1" else None
            visitor = front.visitor(request, session)
            sent = await logins.start(provider, visitor, shared=asked.get("shared") == "1", session=session)
        except Problem as problem:
            return _failed(problem)
        response = Response(status_code=303, headers={"location": sent.url, **_NO_STORE})
        _set(response, front, request, sent.cookie)
        return response

    @routes.get("/login/oidc/{provider}/return")
    async def back(request: Request, provider: str) -> Response:
        cookie = request.cookies.get(_name(front, request), "")
        try:
            drawn = await logins.back(provider, _query(request), cookie, front.visitor(request))
        except Problem as problem:
            return _unset(_failed(problem), front, request)
        where = "/confirme" if drawn.raised else "/"  # a proof is given in a tab of its own
        response = Response(status_code=303, headers={"location": where, **_NO_STORE})
        return front.give(_unset(response, front, request), request, drawn)

    @routes.post("/login/ciba/{provider}/start")
    async def device_start(request: Request, provider: str) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.Who, MAX_STRANGERS_BODY)
        waiting = await devices.start(provider, given.user, front.visitor(request))
        return answer(
            {
                "id": waiting.id,
                "code": waiting.code,
                "interval": waiting.interval,
                "expires": waiting.expires,
            }
        )

    @routes.post("/login/ciba/{provider}")
    async def device(request: Request, provider: str) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.CibaAnswer, MAX_STRANGERS_BODY)
        found = await devices.poll(provider, given.id, given.shared, front.visitor(request))
        if isinstance(found, Drawn):
            return front.give(answer(await answers.of(found.session)), request, found)
        return JSONResponse({"pending": True, "interval": found}, 202, _NO_STORE)

    @routes.post("/oidc/{provider}/backchannel-logout")
    async def logged_out(request: Request, provider: str) -> Response:
        """From the provider itself: no cookie, no origin; the token's signature says who asks."""
        sent = parse_qsl((await read(request, MAX_STRANGERS_BODY)).decode("utf-8", "replace"))
        tokens = [value for name, value in sent if name == "logout_token"]
        try:
            if len(tokens) != 1:
                raise TokenRefused("malformed")
            await logins.logged_out(provider, tokens[0], front.visitor(request))
        except TokenRefused as wrong:
            # Back-Channel Logout 1.0 §2.8; 503 has it tried again.
            status = 503 if wrong.temporary else 400
            return JSONResponse({"error": "invalid_request"}, status, _NO_STORE)
        return Response(status_code=200, headers=_NO_STORE)

    return routes


def _query(request: Request) -> dict[str, str]:
    """Each name once: an answer that says something twice says nothing (RFC 6749 §3.1)."""
    query = request.url.query
    if len(query) > _LONGEST_QUERY:
        return {}
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in found:
            return {}
        found[name] = value
    return found


def _failed(problem: Problem) -> Response:
    where = f"/connexion?{urlencode({'refus': problem.reason, 'ref': problem.reference})}"
    return Response(status_code=303, headers={"location": where, **_NO_STORE})


def _name(front: Front, request: Request) -> str:
    return "__Secure-vaguemestre-oidc" if front.secure(request) else "vaguemestre-oidc"


def _set(response: Response, front: Front, request: Request, value: str) -> None:
    response.set_cookie(
        _name(front, request),
        value,
        max_age=LIFETIME // 1000,
        path=_PATH,
        secure=front.secure(request),
        httponly=True,
        # Strict cookies stay at home when the browser comes back from the provider.
        samesite="lax",
    )


def _unset(response: Response, front: Front, request: Request) -> Response:
    response.delete_cookie(
        _name(front, request), path=_PATH, secure=front.secure(request), httponly=True, samesite="lax"
    )
    return response
