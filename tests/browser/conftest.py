"""A real browser: Debian's Chromium, driven by Playwright, before the page as it is served.

Fixtures that hold a browser live for one module: Playwright's own loop must be gone before tests that have another.
Tests that use them are plain functions, never `async`.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import uvicorn
from starlette.types import ASGIApp

from deploy.node.https import application
from webmail.help import HelpInfo
from webmail.page import page_routes
from webmail.ui import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.browser.served import Served

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
HERE = Path(__file__).parent

PATIENCE = 120_000  # milliseconds for what must come: on a busy machine it takes its time
Visit = Callable[..., "Page"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a story plays the whole of it: on a busy machine that takes minutes, and none of them hangs."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(1800))


@contextlib.contextmanager
def serving(app: ASGIApp) -> Generator[str]:
    """The origin of an application served from a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextlib.contextmanager
def browsing(*more: str) -> Generator[Browser]:
    """Debian's Chromium. `make test` installs it, and Playwright's driver comes with its Python package."""
    if not shutil.which(CHROMIUM):
        pytest.skip("chromium is not installed")
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more])
        try:
            yield browser
        finally:
            browser.close()


def visitors_own(browser: Browser, **given: Any) -> BrowserContext:
    """A visitor with storage and settings of their own: French, on a telephone, and patient."""
    telephone: dict[str, Any] = {"locale": "fr-FR", "viewport": {"width": 390, "height": 844}}
    opened = browser.new_context(**{**telephone, **given})
    opened.set_default_timeout(PATIENCE)
    return opened


def midday() -> str:
    """A zone in which it is the early afternoon: nothing of "today" is over, and no midnight falls into a test."""
    hours = 13 - datetime.now(UTC).hour
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"  # the signs of these zones are turned around


@pytest.fixture(scope="session")
def node() -> build.Node:
    """A Node.js with the tests' own tools (axe-core, Lighthouse)."""
    found = build.node_here()
    if found is None:
        pytest.skip("Node.js 20.19 or later is not installed")
    try:
        build.install(found, lambda _: None)
        build.install(found, lambda _: None, HERE)
    except build.BuildFailed:
        pytest.skip("what the tests of the page need from npm is not installed")
    return found


@pytest.fixture(scope="session")
def page_of_fakes(node: build.Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built as it is shipped but for invented people in the place of server and worker."""
    into = tmp_path_factory.mktemp("page") / "fake"
    build.assemble(node, into, mode="fake")
    return into


@pytest.fixture(scope="session")
def shipped_page(node: build.Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is shipped."""
    into = tmp_path_factory.mktemp("page") / "shipped"
    build.assemble(node, into)
    return into


@pytest.fixture(scope="session")
def origin(page_of_fakes: Path) -> Iterator[str]:
    """Where the page with its invented people is served, behind the node's own headers."""
    info = HelpInfo("GRADES des Trois Vallées", "mail.vallees.example", contact="04 00 00 00 00")
    with serving(application([page_routes(info, page_of_fakes)])) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Generator[BrowserContext]:
    """A visitor of their own."""
    opened = visitors_own(browser, viewport={"width": 390, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def visit(context: BrowserContext, origin: str) -> Generator[Visit]:
    """Open a screen in a state (`tests/browser/fake/scene.ts`). Anything said on the console is a fault."""
    from tests.browser.probes import settle, watch

    said: list[str] = []

    def go(path: str, scene: str = "", width: int = 390, scheme: Literal["light", "dark"] = "light") -> Page:
        page = context.new_page()
        watch(page)
        page.on("console", lambda told: said.append(told.text) if told.type in {"error", "warning"} else None)
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        joint = "&" if "?" in path else "?"
        page.goto(f"{origin}{path}{joint}scene={scene}")
        page.locator("h1").first.wait_for()
        settle(page)
        return page

    yield go
    assert said == []


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A whole operator behind the page, with its people, for one module."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from tests.browser.served import served_operator

    with served_operator() as found:
        yield found
