"""Lighthouse's score of accessibility on the main screens: all of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import HERE, browsing
from webmail.ui.build import Node

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREENS = (
    "/connexion?scene=out",
    "/activer?scene=out",
    "/messages?scene=",
    "/conversation/T1",
    "/ecrire",
    "/reglages",
)


def port_of(browser: Browser) -> int:
    """The port that the browser itself has taken for its debuggers. It tells how it was started to automation alone."""
    debugger: Any = browser.new_browser_cdp_session()
    given: list[str] = debugger.send("Browser.getBrowserCommandLine")["arguments"]
    (folder,) = (each.partition("=")[2] for each in given if each.startswith("--user-data-dir="))
    return int((Path(folder) / "DevToolsActivePort").read_text().split()[0])


def test_the_main_screens_have_the_whole_score(node: Node, origin: str) -> None:
    with browsing("--remote-debugging-port=0", "--enable-automation") as browser:
        told = subprocess.run(
            [
                str(node.node),
                "lighthouse.mjs",
                str(port_of(browser)),
                *(f"{origin}{path}" for path in SCREENS),
            ],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
    assert told.returncode == 0, told.stderr
    scores = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(score["url"].removeprefix(origin), score["faults"], score["error"]) for score in scores] == [
        (path, [], "") for path in SCREENS
    ]
    assert {score["score"] for score in scores} == {1}
