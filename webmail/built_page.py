"""The page as it was built, and the headers without which it is not served.

Shared by who serves it (`page.py`), who checks it from afar (`verify_page.py`) and who seals it at the build
(`ui/integrity.py`). Only the standard library. Invariants: the policy allows no script but ours, the one inline thing
being the import map, by its hash; what was built is read once and never changes while it is served.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"
MANIFEST = "manifest.sha256.json"
INDEX = "index.html"
PACKED = {"br": ".br", "gzip": ".gz"}  # by the name of HTTP, best first

# The one sheet of the frames that show HTML letters: they inherit the page's policy (ui/src/lib/html.ts).
LETTER_SHEET = "sha256-eOJWk6hhv1mejYeL5lidJSpBXjEWoGlPdc7vo3y6d9Y="

TRUSTED_TYPES = ("svelte-trusted-html", "dompurify", "app-workers", "mail-body")


class Unreadable(Exception):
    """What should be the built page cannot be read."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of the page by its address, with its SHA-256 in hex; and what the page was built from."""

    sources: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """One file as it is served: plain, and smaller for who accepts that."""

    path: str
    plain: bytes
    sha256: str
    packed: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class BuiltPage:
    manifest: Manifest
    manifest_bytes: bytes
    files: Mapping[str, BuiltFile]

    @property
    def index(self) -> BuiltFile:
        return self.files["/"]


def read_manifest(data: bytes) -> Manifest:
    """Raises Unreadable on anything that is not a manifest."""
    try:
        told = json.loads(data)
        sources, files = told["sources"], told["files"]
    except (ValueError, KeyError, TypeError) as fault:
        raise Unreadable("the manifest cannot be read") from fault
    if not isinstance(sources, str) or not isinstance(files, dict):
        raise Unreadable("the manifest cannot be read")
    listed = {str(path): str(digest) for path, digest in files.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if "/" not in listed or not all(_plausible(path, digest) for path, digest in listed.items()):
        raise Unreadable("the manifest names files that no page has")
    return Manifest(sources, listed)


def read_built_page(static: Path = STATIC) -> BuiltPage | None:
    """The built page; None when none was built here. Raises Unreadable when it is not whole."""
    try:
        data = (static / MANIFEST).read_bytes()
    except OSError:
        return None
    manifest = read_manifest(data)
    files = {path: _read(static, path, digest) for path, digest in manifest.files.items()}
    return BuiltPage(manifest, data, files)


def import_map(page: str) -> str | None:
    """The import map inside a page, exactly as it stands: what its hash in `script-src` is made of."""
    found = re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    return found[1] if found else None


def sri(data: bytes) -> str:
    """A hash as `integrity` attributes, import maps and policies write it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(data).digest()).decode()


def page_headers(index: bytes) -> dict[str, str]:
    """What goes with index.html. The policy of scripts names the import map of this very page."""
    mapped = import_map(index.decode("utf-8"))
    if mapped is None:
        raise Unreadable("index.html has no import map")
    return {
        "content-security-policy": _policy(
            f"'self' 'wasm-unsafe-eval' '{sri(mapped.encode())}'", styles=f"'self' '{LETTER_SHEET}'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "integrity-policy": "blocked-destinations=(script)",
        "permissions-policy": (
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=(), "
            "publickey-credentials-create=(self), publickey-credentials-get=(self)"
        ),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


def asset_headers() -> dict[str, str]:
    """What goes with every other file. A worker takes its policy from the file it starts from."""
    return {
        "content-security-policy": _policy("'self' 'wasm-unsafe-eval'"),
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _policy(scripts: str, styles: str = "'self'") -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "worker-src 'self'",
            "frame-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            f"trusted-types {' '.join(TRUSTED_TYPES)}",
        )
    )


def _plausible(path: str, digest: str) -> bool:
    safe = re.fullmatch(r"/|(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", path)
    return bool(safe and ".." not in path and re.fullmatch(r"[0-9a-f]{64}", digest))


def _read(static: Path, path: str, digest: str) -> BuiltFile:
    file = static / (path.lstrip("/") or INDEX)
    try:
        plain = file.read_bytes()
        packed = {
            name: smaller.read_bytes()
            for name, ending in PACKED.items()
            if (smaller := file.with_name(file.name + ending)).is_file()
        }
    except OSError as fault:
        raise Unreadable(f"{file.name} is missing from the built page") from fault
    if hashlib.sha256(plain).hexdigest() != digest:
        raise Unreadable(f"{file.name} is not what was built")
    return BuiltFile(path, plain, digest, packed)
