"""Serves the page: index.html at each of its addresses, its files, help, and where accessibility stands.

Invariants: what is served is what was built, byte for byte, so that anyone may compare it with its manifest (nothing
of the configuration is put into it); index.html never goes without its policy; files named by their content are kept
by browsers for good, all else is asked again; when no page was built here, a plain page says so, and help is there.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request, Response

from webmail.accessibility import accessibility_pages
from webmail.built_page import (
    MANIFEST,
    STATIC,
    BuiltFile,
    BuiltPage,
    Unreadable,
    asset_headers,
    page_headers,
    read_built_page,
)
from webmail.help import HelpInfo, help_pages

log = logging.getLogger("vaguemestre.page")

# The addresses of the page's own router (ui/src/router.ts).
ADDRESSES = (
    "/",
    "/activer",
    "/connexion",
    "/secours",
    "/deverrouiller",
    "/refus",
    "/confirme",
    "/messages",
    "/messages/{role}",
    "/conversation/{thread}",
    "/ecrire",
    "/recherche",
    "/dossier",
    "/dossier/{part}",
    "/dossier/{part}/{id}",
    "/agenda",
    "/agenda/{part}",
    "/agenda/{part}/{id}",
    "/reglages",
    "/reglages/{section}",
)

_METHODS = ["GET", "HEAD"]
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_UNNAMED = ("/assets/licences.txt", "/assets/sceau.svg")  # not named by their content


def page_routes(info: HelpInfo, static: Path = STATIC) -> APIRouter:
    """Routes of the page, its help and its accessibility statement, to include at the root."""
    router = APIRouter(include_in_schema=False)
    router.include_router(help_pages(info))
    router.include_router(accessibility_pages(info))
    try:
        page = read_built_page(static)
    except Unreadable as fault:
        log.error("the page is not served: %s", fault)
        page = None
    if page is None:
        _say_it_is_missing(router)
    else:
        _serve_page(router, page)
    return router


def _serve_page(router: APIRouter, page: BuiltPage) -> None:
    headers = page_headers(page.index.plain)
    for path in ADDRESSES:
        _serve(router, path, page.index, ".html", _ASK_AGAIN, headers)
    for path, file in page.files.items():
        if path != "/":
            kept = _FOR_GOOD if path.startswith("/assets/") and path not in _UNNAMED else _ASK_AGAIN
            _serve(router, path, file, Path(path).suffix, kept, asset_headers())
    digest = hashlib.sha256(page.manifest_bytes).hexdigest()
    manifest = BuiltFile(f"/{MANIFEST}", page.manifest_bytes, digest, {})
    _serve(router, manifest.path, manifest, ".json", _ASK_AGAIN, asset_headers())


def _serve(
    router: APIRouter, path: str, file: BuiltFile, suffix: str, kept: str, more: dict[str, str]
) -> None:
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0] or "application/octet-stream"
    common = {**more, "cache-control": kept, "content-type": media_type, "vary": "accept-encoding"}
    variants: dict[str, tuple[dict[str, str], bytes]] = {}
    for name, body in {**file.packed, "identity": file.plain}.items():
        coding = {} if name == "identity" else {"content-encoding": name}
        variants[name] = ({**common, **coding, "etag": f'"{file.sha256[:32]}-{name}"'}, body)

    @router.api_route(path, methods=_METHODS)
    async def answer(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        accepted = accepted_codings(request.headers.get("accept-encoding", ""))
        headers, body = next(
            (variants[name] for name in file.packed if name in accepted), variants["identity"]
        )
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)


def accepted_codings(header: str) -> frozenset[str]:
    """The codings an Accept-Encoding names without refusing them (RFC 9110 §12.5.3); `*` counts for none of ours."""
    accepted: set[str] = set()
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        _, _, value = weight.partition("=")
        try:
            refused = bool(weight.strip()) and float(value) <= 0
        except ValueError:
            refused = True
        if not refused:
            accepted.add(name.strip())
    return frozenset(accepted)


def _say_it_is_missing(router: APIRouter) -> None:
    body = resources.files("webmail").joinpath("pages", "not_built.html").read_bytes()
    headers = {"content-type": _TYPES[".html"], "cache-control": "no-store"}

    async def missing() -> Response:
        return Response(body, 503, headers)

    for path in ADDRESSES:
        router.add_api_route(path, missing, methods=_METHODS)
