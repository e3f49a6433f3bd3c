"""Requests and answers of `/api/`: whose cookie, from where, how large; errors as slugs.

Invariants: a request that changes something comes from the page's own scripts (provenance) and proves who it is in
one way; a body is read up to a limit and parsed here, so that nothing of it reaches an error text; every answer
is `no-store`; a fault tells nothing but that there was one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect

from directory.room import NoRoom
from mail_server.accounts.provenance import normal_origin, refusal_of, two_proofs
from mail_server.store.interface import StoreError
from webmail.login import agents
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn, PageSession, Renew, SessionKind

log = logging.getLogger("vaguemestre.page")

MAX_BODY = 1024 * 1024
BODY_SECONDS = 30.0  # over a telephone, 1 MiB takes less
MAX_STRANGERS_BODY = 16 * 1024  # of a request by nobody in particular: thousands of them may come at once
M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """What a request may say, and nothing else. Neither it nor its errors are ever shown: they hold what was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []


def _binary(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("base64 text") from None


Binary = Annotated[bytes, BeforeValidator(_binary)]


class _Route(APIRoute):
    """Turns what a handler raises into an answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                return refused(problem)
            except (StoreError, NoRoom) as failure:
                log.error("a request could not be stored: %s", type(failure).__name__)
                return refused(Problem("busy"))
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as fault:  # its text may hold what was sent
                frame = traceback.extract_tb(fault.__traceback__)[-1]
                place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
                problem = Problem("failure")
                log.error(
                    "a request failed: %s at %s (ref %s)", type(fault).__name__, place, problem.reference
                )
                return refused(problem)

        return guarded


def router() -> APIRouter:
    return APIRouter(prefix="/api", route_class=_Route)


def refused(problem: Problem) -> Response:
    headers = {"cache-control": "no-store"}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    return JSONResponse(problem.as_json(), problem.status, headers)


def answer(data: Mapping[str, Any]) -> Response:
    return JSONResponse(dict(data), headers={"cache-control": "no-store"})


def nothing() -> Response:
    return Response(status_code=204, headers={"cache-control": "no-store"})


def text(data: bytes | None) -> str | None:
    """Binary, as JSON carries it."""
    return None if data is None else base64.b64encode(data).decode()


async def body(request: Request, model: type[M], most: int = MAX_BODY) -> M:
    """Raises Problem bad-request, too-large, too-slow."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise Problem("too-large")
    received = await read(request, most)
    try:
        return model.model_validate_json(received or b"{}")
    except (ValidationError, ValueError, RecursionError):
        raise Problem("bad-request") from None


async def read(request: Request, most: int) -> bytes:
    """A whole body, with a bound and a clock: who drips holds a connection, never for long."""
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                received += piece
                if len(received) > most:
                    raise Problem("too-large")
    except TimeoutError:
        raise Problem("too-slow") from None
    return bytes(received)


class Front:
    """Who asks."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._public = normal_origin(ground.settings.public_url) if ground.settings.public_url else None

    # -- whence

    def origin(self, request: Request) -> str:
        """The page's own origin, as browsers spell it."""
        host = request.headers.get("host", "")
        return self._public or normal_origin(f"{request.url.scheme}://{host}") or "http://localhost"

    def check_origin(self, request: Request) -> None:
        """For what changes something. Raises Problem foreign-request."""
        reason = refusal_of(
            request.headers,
            own_origins=None if self._public is None else frozenset({self._public}),
            host=request.headers.get("host", ""),
            scheme=request.url.scheme,
            header_needed=True,
        )
        if reason is None and two_proofs(request.headers, by_cookie=self._cookie(request) is not None):
            reason = "two-proofs"
        if reason is not None:
            raise Problem("foreign-request", detail=reason)

    def visitor(self, request: Request, session: PageSession | None = None) -> Visitor:
        network = request.client.host if request.client is not None else ""
        label = agents.label(request.headers.get("user-agent", ""))
        return Visitor(network, label, self.origin(request), session)

    # -- who

    def session(self, request: Request, *, kind: SessionKind = SessionKind.FULL) -> PageSession:
        """To read. Raises Problem no-session."""
        cookie = self._cookie(request)
        found = self._ground.sessions.find(cookie) if cookie else None
        if found is None or found.kind is not kind:
            raise Problem("no-session")
        return found

    def acting(
        self,
        request: Request,
        *,
        kind: SessionKind = SessionKind.FULL,
        renewing: Renew = Renew.NOTHING,
    ) -> tuple[PageSession, Visitor]:
        """To change something; what the session must renew first stands in the way, unless it is this.

        Raises Problem no-session, foreign-request, renew-first, totp-required.
        """
        self.check_origin(request)
        session = self.session(request, kind=kind)
        if session.renew and not session.renew & renewing:
            raise Problem("renew-first" if session.must_renew else "totp-required")
        return session, self.visitor(request, session)

    def leaving(self, request: Request) -> tuple[PageSession, Visitor] | None:
        """To log out: any session will do."""
        self.check_origin(request)
        cookie = self._cookie(request)
        found = self._ground.sessions.find(cookie) if cookie else None
        return None if found is None else (found, self.visitor(request, found))

    # -- cookies

    def give(self, response: Response, request: Request, drawn: Drawn | None) -> Response:
        """The session's new cookie, with the answer."""
        if drawn is None:
            return response
        session = drawn.session
        lasts = session.kind is SessionKind.FULL and not session.shared
        response.set_cookie(
            self._name(request),
            drawn.cookie,
            # A session cookie on a shared device: it ends with the browser.
            max_age=(session.expires - self._ground.clock()) // 1000 if lasts else None,
            path="/",
            secure=self.secure(request),
            httponly=True,
            samesite="strict",
        )
        return response

    def take_back(self, response: Response, request: Request) -> Response:
        response.delete_cookie(
            self._name(request), path="/", secure=self.secure(request), httponly=True, samesite="strict"
        )
        response.headers["clear-site-data"] = '"cache", "storage"'
        return response

    def _cookie(self, request: Request) -> str | None:
        return request.cookies.get(self._name(request)) or None

    def _name(self, request: Request) -> str:
        return "__Host-vaguemestre" if self.secure(request) else "vaguemestre"

    def secure(self, request: Request) -> bool:
        return self.origin(request).startswith("https:")
