"""Lighthouse's score of accessibility on the main screens: all of it."""

from __future__ import annotations

import json
import socket
import subprocess

from tests.browser.conftest import HERE, browsing
from webmail.ui.build import Node

SCREENS = (
    "/connexion?scene=out",
    "/activer?scene=out",
    "/messages?scene=",
    "/conversation/T1",
    "/ecrire",
    "/reglages",
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


def test_the_main_screens_have_the_whole_score(node: Node, origin: str) -> None:
    port = free_port()
    with browsing(f"--remote-debugging-port={port}"):
        told = subprocess.run(
            [str(node.node), "lighthouse.mjs", str(port), *(f"{origin}{path}" for path in SCREENS)],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
    assert told.returncode == 0, told.stderr
    scores = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(score["url"].removeprefix(origin), score["faults"], score["error"]) for score in scores] == [
        (path, [], "") for path in SCREENS
    ]
    assert {score["score"] for score in scores} == {1}
