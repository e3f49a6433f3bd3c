"""What makes a byte changed in the page show: hashes in index.html, and a manifest of every file.

Runs on a finished `vite build`. Invariants: every module of the page, static or lazy, has its hash in the import map,
and what index.html names has it in its `integrity` attribute (no browser checks a worker's modules, or a style sheet
that comes with a later screen: `verify-page` does); the manifest names every file that is served, by its address, and
the sources it was built from; the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from webmail.built_page import INDEX, MANIFEST, PACKED, sri

_SCRIPT = re.compile(r'<script type="module"(?: crossorigin)? src="(?P<path>/assets/[^"]+)"></script>')
_LINK = re.compile(
    r'<link rel="(?P<rel>modulepreload|stylesheet)"(?: crossorigin)? href="(?P<path>/assets/[^"]+)">'
)

MODULES = "modules.json"  # written by ui/modules.ts


class Unsealed(Exception):
    """The built page is not what was expected, so it would be served without its hashes."""


def seal(built: Path, sources: str) -> None:
    """Put hashes into the built page and write its manifest. `sources`: hash of what it was built from."""
    index = built / INDEX
    page = index.read_text("utf-8")
    modules = _modules(built)
    page, scripts = _SCRIPT.subn(
        lambda found: (
            f'<script type="module" src="{found["path"]}" integrity="{modules[found["path"]]}"></script>'
        ),
        page,
    )
    page = _LINK.sub(lambda found: _link(built, found["rel"], found["path"]), page)
    if scripts != 1 or page.count("<script") != 1 or "<style" in page:
        raise Unsealed("index.html must hold exactly one script, and no style of its own")
    # The map must stand before whatever loads a module.
    imports = json.dumps({"integrity": modules}, separators=(",", ":"))
    first = min(page.index(tag) for tag in ("<script", '<link rel="modulepreload"') if tag in page)
    page = f'{page[:first]}<script type="importmap">{imports}</script>\n    {page[first:]}'
    index.write_text(page, "utf-8")
    _write_manifest(built, sources)


def _modules(built: Path) -> dict[str, str]:
    """Hash of each module of the page, as the bundler told them."""
    listed = built / MODULES
    try:
        names: list[str] = json.loads(listed.read_text("utf-8"))
        hashes = {f"/{name}": sri((built / name).read_bytes()) for name in names}
    except (OSError, ValueError) as fault:
        raise Unsealed("the bundler did not tell which modules it made") from fault
    listed.unlink()
    return hashes


def address(name: str) -> str:
    """Where a file of the built page is served: index.html at `/`."""
    return "/" if name == INDEX else f"/{name}"


def _link(built: Path, rel: str, path: str) -> str:
    integrity = sri((built / path.lstrip("/")).read_bytes())
    return f'<link rel="{rel}" href="{path}" integrity="{integrity}">'


def _write_manifest(built: Path, sources: str) -> None:
    files = {
        address(file.relative_to(built).as_posix()): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(built.rglob("*"))
        if file.is_file() and file.name != MANIFEST and file.suffix not in PACKED.values()
    }
    manifest = {"algorithm": "sha256", "sources": sources, "files": files}
    (built / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8")
