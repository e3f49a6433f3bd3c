"""HTTP and HTTPS in the node's own loop: routers given by the packages, behind strict headers.

Invariants: the process's signals stay the node's; a port that cannot be opened raises `OSError` from `start`,
and nothing is left open; every answer carries the security headers, and an answer to a fault tells nothing
but its status; a peer that does not finish a request's head in time is cut; requests leave no log line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import traceback
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mail_server.accounts.networks import is_this_machine

log = logging.getLogger("vaguemestre.http")

HEAD_SECONDS = 15.0  # TLS is done by then; a request's head fits in one packet
IDLE_SECONDS = 20
STOP_SECONDS = 5
MAX_CONNECTIONS = 8192  # a page that is open holds one, which waits for letters
MAX_HEAD_BYTES = 32 * 1024

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_STRICT_TRANSPORT = "max-age=31536000"


# ----------------------------------------------------------------------------------------------- application


class _Outermost:
    """Adds to each answer the headers its route did not set, and keeps faults of routes out of the log's text.

    Plain ASGI: it holds nothing back.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https" and not _this_machine(scope):
                    headers.setdefault("strict-transport-security", _STRICT_TRANSPORT)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as fault:  # the 500 was sent already; the fault's own text may hold content
            log.error("a route failed: %s at %s", type(fault).__name__, _place(fault))


def _place(fault: Exception) -> str:
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"


def _this_machine(scope: Scope) -> bool:
    """Whether it was asked as localhost: a browser that kept HSTS for it would lose the demo's other port."""
    host = dict(scope["headers"]).get(b"host", b"").lower()
    return host.partition(b":")[0] == b"localhost"


def application(routers: Iterable[APIRouter]) -> ASGIApp:
    """The node's application: these routers at the root, and nothing else (no API pages, no redirects)."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refusal)
    # FastAPI makes the routes of a router when first asked for one: thousands of objects, on the loop.
    nowhere: Scope = {"type": "http", "method": "GET", "path": "", "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(nowhere)
    return _Outermost(app)


async def _refusal(request: Request, error: Exception) -> Response:
    fault = cast(HTTPException, error)
    words = f"{fault.status_code} {HTTPStatus(fault.status_code).phrase}\n"
    headers = {"cache-control": "no-store", **(fault.headers or {})}  # what is not there now may be later
    return Response(words, fault.status_code, headers, "text/plain")


# ---------------------------------------------------------------------------------------------------- server


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen. `tls` None: plain HTTP, for this machine only. Port 0: any free one."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if self.tls is None and not is_this_machine(self.host):
            raise ValueError(f"plain HTTP is for this machine only, not for {self.host}")


class WebServer:
    """An application on one listener. `start`, `stop`; `port` once started."""

    def __init__(self, app: ASGIApp, listener: Listener) -> None:
        self._listener = listener
        self._server = _EmbeddedServer(_config(app, listener.tls))
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Open the port and serve. Raises OSError when it cannot be opened."""
        listening = _bind(self._listener.host, self._listener.port)
        self.port = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="web-server")
        while not self._server.started:
            if self._task.done():
                listening.close()
                await self._task
                raise OSError("the HTTP server ended before it began")
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Take no more connections; let open requests finish for a few seconds."""
        if self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None


class _EmbeddedServer(uvicorn.Server):
    """uvicorn beside others in one loop: SIGTERM and SIGHUP are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a clock and a bound on a request's head, which uvicorn leaves open."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # `request.state.client_certificate`: DER, verified by TLS; no server of this kind tells it otherwise.
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app_state = {**self.app_state, "client_certificate": shown}
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        waiting = self._head_timer
        super().data_received(data)
        # A head and the beginning of its body may come together: only what did not end the head counts.
        if waiting is not None and self._head_timer is waiting:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self.transport.abort()
            return
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _config(app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    # uvicorn tells at INFO and WARNING what peers do.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=_GuardedProtocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    config.load()
    config.ssl = tls
    return config


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.setblocking(False)
    except OSError as failure:
        listening.close()
        # Named as asyncio names it: an administrator is to know which port is meant.
        raise OSError(failure.errno, f"{failure.strerror} {(host, port)}") from None
    return listening


def mounted(routers: Sequence[APIRouter], listeners: Sequence[Listener]) -> list[WebServer]:
    """One application on several listeners."""
    app = application(routers)
    return [WebServer(app, listener) for listener in listeners]
