"""The help page: how to set a mail program, what each state of a letter means, what the operator can see.

French at `/aide`, English at `/help`. Invariants: no script, nothing from another host; what the configuration gives is
escaped; each page is made once, when the node starts; it tells nothing about who has an account here.
"""

from __future__ import annotations

import hashlib
import html
import string
from dataclasses import dataclass
from importlib import resources

from fastapi import APIRouter, Request, Response

_METHODS = ["GET", "HEAD"]


@dataclass(frozen=True, slots=True)
class HelpInfo:
    """What the page tells of this node. A port that is None or 0 is closed, and is not shown."""

    operator: str
    host: str
    imaps: int | None = 993
    imap: int | None = 143
    submissions: int | None = 465
    submission: int | None = 587
    ldaps: int | None = None
    ldap: int | None = None
    base: str = ""  # where the address book begins (base DN)
    contact: str = ""  # a telephone number or an address; "" shows nothing


@dataclass(frozen=True, slots=True)
class _Words:
    """What the filled-in parts say, by language."""

    page: str
    server: str
    port: str
    security: str
    implicit: str
    otherwise: str
    closed: str
    base: str
    contact: str


_FRENCH = _Words(
    page="aide.html",
    server="Serveur",
    port="Port",
    security="Sécurité",
    implicit="TLS, dit aussi SSL/TLS",
    otherwise="Si votre logiciel ne le propose pas\u00a0: port <strong>{port}</strong>, sécurité STARTTLS.",
    closed="Ce service n’est pas ouvert ici.",
    base="Racine",
    contact="Votre interlocuteur\u00a0: ",
)
_ENGLISH = _Words(
    page="help.html",
    server="Server",
    port="Port",
    security="Security",
    implicit="TLS, also called SSL/TLS",
    otherwise="If your program does not offer it: port <strong>{port}</strong>, security STARTTLS.",
    closed="This service is not open here.",
    base="Base DN",
    contact="Your contact: ",
)


def help_pages(info: HelpInfo) -> APIRouter:
    """Routes of the help pages and their style sheet, to include at the root."""
    router = APIRouter(include_in_schema=False)
    serve_text(router, "/aide", _render(info, _FRENCH), "fr")
    serve_text(router, "/help", _render(info, _ENGLISH), "en")
    _serve(router, "/aide.css", _file("aide.css"), "text/css; charset=utf-8")
    _serve(router, "/sceau.svg", _file("sceau.svg"), "image/svg+xml")

    @router.api_route("/en", methods=_METHODS)
    async def former_address() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(status_code=308, headers={"location": "/help"})

    return router


def serve_text(router: APIRouter, path: str, page: bytes, language: str) -> None:
    """One page of text, in one language, made once."""
    _serve(router, path, page, "text/html; charset=utf-8", language=language)


def _serve(router: APIRouter, path: str, body: bytes, media_type: str, language: str | None = None) -> None:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"etag": etag, "cache-control": "no-cache", "content-type": media_type}
    if language:
        headers["content-language"] = language

    @router.api_route(path, methods=_METHODS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)


def _render(info: HelpInfo, words: _Words) -> bytes:
    page = string.Template(_file(words.page).decode())
    text = page.substitute(
        operator=html.escape(info.operator),
        host=html.escape(info.host),
        reading=_service(words, info.host, info.imaps, info.imap),
        sending=_service(words, info.host, info.submissions, info.submission),
        finding=_service(words, info.host, info.ldaps, info.ldap, (words.base, html.escape(info.base))),
        contact=f"<p>{words.contact}<strong>{html.escape(info.contact)}</strong></p>" if info.contact else "",
    )
    return text.encode()


def _service(
    words: _Words, host: str, implicit: int | None, starttls: int | None, *more: tuple[str, str]
) -> str:
    """One service as a list: the best open port, then the other one as a sentence."""
    if not implicit and not starttls:
        return f"<p>{words.closed}</p>"
    rows = (
        (words.server, html.escape(host)),
        (words.port, str(implicit or starttls)),
        (words.security, words.implicit if implicit else "STARTTLS"),
        *more,
    )
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    other = f"<p>{words.otherwise.format(port=starttls)}</p>" if implicit and starttls else ""
    return f'<dl class="settings">{listed}</dl>{other}'


def _file(name: str) -> bytes:
    return resources.files("webmail").joinpath("pages", name).read_bytes()
