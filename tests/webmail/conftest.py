"""A page of four files, sealed as a real one is, and a way to ask for it without a socket."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from webmail.help import HelpInfo
from webmail.page import page_routes
from webmail.ui import build
from webmail.ui.integrity import seal

INDEX = """<!doctype html>
<html lang="fr">
  <head>
    <meta charset="utf-8" />
    <script type="module" crossorigin src="/assets/index-a1.js"></script>
    <link rel="modulepreload" crossorigin href="/assets/frame-b2.js">
    <link rel="stylesheet" crossorigin href="/assets/style-c3.css">
  </head>
  <body><noscript><a href="/aide">Aide</a></noscript><div id="app"></div></body>
</html>
"""

Ask = Callable[..., Awaitable[httpx.Response]]
UI = Path(build.__file__).parent


@pytest.fixture(scope="session")
def programs() -> Iterator[tuple[Path, Path]]:
    """Node, and the folder of the page's modules built for it."""
    found = build.node_here()
    if found is None or not (UI / "node_modules" / "vite").exists():
        pytest.skip("Node.js 20.19 or later, with the page's packages, is not installed")
    folder = Path(tempfile.mkdtemp(prefix="vm-page-"))
    vite = [str(found.node), "node_modules/vite/bin/vite.js", "build", "--config", "tests/vite.config.ts"]
    done = subprocess.run(
        [*vite, "--outDir", str(folder), "--emptyOutDir"], cwd=UI, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield found.node, folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lay() -> Callable[[Path], None]:
    """Lays the files of a page in a folder, as the bundler leaves them."""
    return _lay


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built page in a folder of its own."""
    static = tmp_path / "static"
    assets = static / "assets"
    _lay(static)
    seal(static, "5" * 64)
    packed = gzip.compress((assets / "index-a1.js").read_bytes(), mtime=0)
    (assets / "index-a1.js.gz").write_bytes(packed)
    (assets / "index-a1.js.br").write_bytes(b"stands for brotli")
    return static


def _lay(static: Path) -> None:
    assets = static / "assets"
    assets.mkdir(parents=True)
    (static / "index.html").write_text(INDEX)
    (assets / "index-a1.js").write_text("import './frame-b2.js'; import('./screen-d4.js');" + " " * 500)
    (assets / "frame-b2.js").write_text("export const frame = 1;")
    (assets / "screen-d4.js").write_text("export const screen = 1;")
    (assets / "style-c3.css").write_text("a { color: red }")
    (static / "modules.json").write_text(
        '["assets/frame-b2.js", "assets/index-a1.js", "assets/screen-d4.js"]'
    )
    (assets / "worker-e5.js").write_text("onmessage = () => {};")
    (assets / "licences.txt").write_text("whose code this is")


@pytest.fixture
def ask(built: Path) -> Ask:
    """GET a path of the application that serves the built page."""

    async def get(path: str, *, method: str = "GET", static: Path = built, **headers: str) -> httpx.Response:
        app = FastAPI(openapi_url=None, redirect_slashes=False)
        app.include_router(page_routes(HelpInfo("GRADES", "h.example", contact="04 00 00 00 00"), static))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://page.example") as client:
            client.headers.clear()
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=given)

    return get
