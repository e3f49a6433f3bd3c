"""Where a request carried by a page's cookie comes from: the page itself, or somewhere else in the browser.

A cookie goes along with whatever a browser sends, so it proves who the browser is, never who asked. These are
pure functions of the request's headers; both HTTP doors of the page (`/jmap`, `/api`) use them.

Invariants: what cannot be told is refused; `Origin`, where there is one, decides alone (`Sec-Fetch-Site` never
outweighs it); an answer is a stable slug for the trace and the tests, with nothing of the request in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

MARK = "x-vaguemestre"  # a header no form and no foreign page can set without asking first (CORS preflight)

HEADER_MISSING = "header-missing"
FOREIGN_ORIGIN = "foreign-origin"
ORIGIN_UNKNOWN = "origin-unknown"
TWO_PROOFS = "two-proofs"

_DEFAULT_PORTS = {"http": 80, "https": 443}


def refusal_of(
    headers: Mapping[str, str],
    *,
    own_origins: frozenset[str] | None,
    host: str,
    scheme: str,
    header_needed: bool,
) -> str | None:
    """Why a request by cookie is refused; None when it came from the page's own scripts.

    `headers` has lower-case names, or looks them up case-blind as Starlette's do. `own_origins` are the
    page's, as configured; None: the one the request was sent to (`scheme` and `host`, the Host header).
    `header_needed` is False only where a browser lets no header be set (EventSource) or nothing changes.
    """
    if header_needed and headers.get(MARK) != "1":
        return HEADER_MISSING
    origin = headers.get("origin")
    if origin is not None:
        own = own_origins if own_origins is not None else frozenset({f"{scheme}://{host}"})
        known = normal_origin(origin)
        if known is None or known not in {normal_origin(each) for each in own}:
            return FOREIGN_ORIGIN
        return None
    site = headers.get("sec-fetch-site")
    if site is None:
        return ORIGIN_UNKNOWN  # every browser the page runs in sends one of the two
    return None if site == "same-origin" else FOREIGN_ORIGIN


def two_proofs(headers: Mapping[str, str], *, by_cookie: bool) -> bool:
    """Whether a request says who it is in two ways: nobody may choose which of them counts."""
    return by_cookie and "authorization" in headers


def normal_origin(origin: str) -> str | None:
    """An origin spelt one way (RFC 6454 §6.1): lower case, no default port. None for `null` and for no origin."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"
