"""Is the page that a server gives the one that was published? Fetches it, as anyone may from anywhere, and compares.

What it is worth: it shows a page altered for everyone. A server that wants to deceive one visitor alone can tell
this look from a browser's; only the same look from many places, now and then, makes that costly.
Invariants: everything the other side sends is bounded and never raises; nothing is said to be well that was not
compared; plain HTTP is for this machine only; redirections are not followed.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path

from webmail.built_page import (
    MANIFEST,
    STATIC,
    Manifest,
    Unreadable,
    asset_headers,
    import_map,
    page_headers,
    read_manifest,
    sri,
)
from webmail.page import ADDRESSES

MAX_OCTETS = 20 * 1024 * 1024
SECONDS = 20.0


class Fault(Enum):
    """In what way something served is not what was published."""

    UNREACHABLE = "cannot be fetched"
    OTHER_CONTENT = "is not the published file"
    UNKNOWN_FILE = "is not part of the published page"
    HEADER = "comes without a header that protects the reader"
    INTEGRITY = "does not protect what it loads by its hash"
    TYPE = "comes with another type"


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    fault: Fault
    detail: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.path} {self.fault.value}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Verdict:
    url: str
    sources: str  # of the published page it was compared with
    files: int  # how many were compared
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not self.differences


class NotVerifiable(Exception):
    """Nothing could be compared; says why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, tuple[str, ...]]  # names in lower case
    body: bytes


Fetch = Callable[[str], Fetched]  # raises OSError


def published_manifest(file: Path | None = None) -> Manifest:
    """The manifest to compare with: a file's, else the installed page's. Raises NotVerifiable."""
    try:
        return read_manifest((file or STATIC / MANIFEST).read_bytes())
    except OSError:
        if file is None:
            raise NotVerifiable("No page is built here to compare with: give --manifest.") from None
        raise NotVerifiable(f"{file} cannot be read.") from None
    except Unreadable as fault:
        raise NotVerifiable(f"{file or MANIFEST}: {fault}.") from None


def verify_page(url: str, published: Manifest, *, ca: Path | None = None) -> Verdict:
    """Compare what `url` serves with what was published. Raises NotVerifiable when the address is not one to ask."""
    origin = _origin(url)
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as fault:
        raise NotVerifiable(f"{ca} holds no authority that can be read.") from fault
    return compare(origin, published, _fetcher(origin, context))


def compare(origin: str, published: Manifest, fetch: Fetch) -> Verdict:
    """The comparison itself, over any way of fetching."""
    found: list[Difference] = []
    bodies: dict[str, bytes] = {}
    for path in published.files:
        if path != "/":
            found += _compare_file(path, published.files[path], fetch, asset_headers(), bodies)
    for path in (re.sub(r"\{\w+\}", "1", pattern) for pattern in ADDRESSES):
        found += _compare_index(path, published, fetch, bodies)
    found += _compare_manifest(published, fetch)
    return Verdict(origin, published.sources, len(published.files), tuple(found))


def _compare_file(
    path: str, digest: str, fetch: Fetch, headers: Mapping[str, str], bodies: dict[str, bytes]
) -> list[Difference]:
    answer = _ask(path, fetch)
    if isinstance(answer, Difference):
        return [answer]
    bodies[path] = answer.body
    found = [] if _sha256(answer.body) == digest else [Difference(path, Fault.OTHER_CONTENT)]
    if path.endswith(".js") and not _one(answer, "content-type").startswith("text/javascript"):
        found.append(Difference(path, Fault.TYPE, _one(answer, "content-type") or "none"))
    return found + _missing(path, answer, headers)


def _compare_index(
    path: str, published: Manifest, fetch: Fetch, bodies: Mapping[str, bytes]
) -> list[Difference]:
    answer = _ask(path, fetch)
    if isinstance(answer, Difference):
        return [answer]
    found: list[Difference] = []
    if _sha256(answer.body) != published.files["/"]:
        found.append(Difference(path, Fault.OTHER_CONTENT))
        found += _unprotected(path, answer.body, bodies)
    try:
        wanted = page_headers(answer.body)
    except (Unreadable, UnicodeDecodeError):
        return [*found, Difference(path, Fault.INTEGRITY, "no import map")]
    return found + _missing(path, answer, wanted)


def _unprotected(path: str, index: bytes, bodies: Mapping[str, bytes]) -> list[Difference]:
    """What an unknown index.html does with hashes: each script it may load must be one of ours, named by its hash."""
    text = index.decode("utf-8", "replace")
    try:
        mapped: object = json.loads(import_map(text) or "{}").get("integrity", {})
    except (ValueError, AttributeError):
        mapped = None
    if not isinstance(mapped, dict):
        return [Difference(path, Fault.INTEGRITY, "its import map cannot be read")]
    found = [
        Difference(path, Fault.INTEGRITY, name)
        for name, body in bodies.items()
        if name.endswith(".js") and mapped.get(name) != sri(body)  # pyright: ignore[reportUnknownMemberType]
    ]
    seen = _Scripts(text)
    return found + [Difference(path, Fault.INTEGRITY, source) for source in seen.bare]


class _Scripts(HTMLParser):
    """Scripts and style sheets of a page that carry no hash."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.bare: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = tag == "script" or (tag == "link" and given.get("rel") in {"stylesheet", "modulepreload"})
        if loads and given.get("type") != "importmap" and not given.get("integrity"):
            self.bare.append(given.get("src") or given.get("href") or f"inline {tag}")


def _compare_manifest(published: Manifest, fetch: Fetch) -> list[Difference]:
    answer = _ask(f"/{MANIFEST}", fetch)
    if isinstance(answer, Difference):
        return [answer]
    try:
        served = read_manifest(answer.body)
    except Unreadable:
        return [Difference(f"/{MANIFEST}", Fault.OTHER_CONTENT, "it cannot be read")]
    if served.files == published.files:
        return []
    unknown = sorted(served.files.keys() - published.files.keys())
    changed = [Difference(path, Fault.UNKNOWN_FILE) for path in unknown[:20]]
    return [Difference(f"/{MANIFEST}", Fault.OTHER_CONTENT), *changed]


def _missing(path: str, answer: Fetched, wanted: Mapping[str, str]) -> list[Difference]:
    # A server in front may add a policy of its own: two policies only forbid more.
    return [
        Difference(path, Fault.HEADER, name)
        for name, value in wanted.items()
        if value not in answer.headers.get(name, ())
    ]


def _ask(path: str, fetch: Fetch) -> Fetched | Difference:
    try:
        answer = fetch(path)
    except (OSError, ValueError, http.client.HTTPException, zlib.error, EOFError) as fault:
        return Difference(path, Fault.UNREACHABLE, type(fault).__name__)
    if answer.status != 200:
        return Difference(path, Fault.UNREACHABLE, str(answer.status))
    return answer


def _one(answer: Fetched, name: str) -> str:
    return (answer.headers.get(name) or ("",))[0]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------------------------------------- asking


def _origin(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"https://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotVerifiable("That is not an address of a page.") from None
    if not host or not re.fullmatch(r"[A-Za-z0-9.:_-]+", host):
        raise NotVerifiable("That is not an address of a page.")
    local = host in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise NotVerifiable(
            "Only https is compared (http on this machine alone): anyone on the way could lie."
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _fetcher(origin: str, context: ssl.SSLContext) -> Fetch:
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}), _NoRedirect()
    )

    def fetch(path: str) -> Fetched:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            origin + path, headers={"Accept-Encoding": "gzip", "User-Agent": "Mozilla/5.0"}
        )
        try:
            with opener.open(request, timeout=SECONDS) as answer:
                return _read(answer.status, answer.headers, answer.read(MAX_OCTETS + 1))
        except urllib.error.HTTPError as refused:
            with refused:
                return Fetched(refused.code, {}, b"")

    return fetch


def _read(status: int, headers: http.client.HTTPMessage, body: bytes) -> Fetched:
    if headers.get("content-encoding") == "gzip":
        body = _gunzip(body)
    if len(body) > MAX_OCTETS:
        raise ValueError("too long")
    names = {name.lower() for name in headers}
    return Fetched(status, {name: tuple(headers.get_all(name) or ()) for name in names}, body)


def _gunzip(body: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as unpacked:
        return unpacked.read(MAX_OCTETS + 1)
