"""Finds what opening letters calls in OpenPGP.js, and writes `webmail/ui/reading.json`.

`python -m tests.browser.reading_list`: run it when the library's version changes (the build says so), or when letters
of a new kind should open without the whole library. What is not listed is not lost: `webmail/ui/src/worker/reading.ts`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.browser.conftest import browsing
from webmail.ui import build

HERE = Path(__file__).parent
LETTERS = HERE.parent / "webmail" / "vectors" / "letters.json"
LIBRARY = build.UI / "node_modules" / "openpgp" / "dist" / "lightweight"
ORIGIN = "http://localhost:9"  # answered by the routes below, never by the network
NAMES = """
import { runnerImport } from "vite";
import { readFileSync } from "node:fs";
const { module } = await runnerImport("./reading.ts");
process.stdout.write(JSON.stringify(module.list(JSON.parse(readFileSync(0, "utf8"))), null, 1));
"""


def functions_that_ran() -> list[dict[str, int]]:
    """Places of functions of the measured copy, as the browser's profiler counts them."""
    with browsing() as browser:
        page = browser.new_page()
        page.route(
            f"{ORIGIN}/", lambda route: route.fulfill(body="<title>-</title>", content_type="text/html")
        )
        page.route(
            f"{ORIGIN}/*/*.mjs",
            lambda route: route.fulfill(
                path=LIBRARY / route.request.url.rpartition("/")[2], content_type="text/javascript"
            ),
        )
        page.goto(f"{ORIGIN}/")
        profiler: Any = page.context.new_cdp_session(page)
        profiler.send("Profiler.enable")
        profiler.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": False})
        page.add_script_tag(path=HERE / "reading_list.js")
        page.evaluate("letters => play(letters)", json.loads(LETTERS.read_text()))
        scripts: list[dict[str, Any]] = profiler.send("Profiler.takePreciseCoverage")["result"]
    (measured,) = (one for one in scripts if one["url"] == f"{ORIGIN}/measured/openpgp.mjs")
    first = [function["ranges"][0] for function in measured["functions"]]
    return [one for one in first if one["count"] > 0]


def main() -> None:
    node = build.node_here()
    if node is None:
        raise SystemExit("Node.js 20.19 or later is not installed")
    done = subprocess.run(
        [str(node.node), "--input-type=module", "-e", NAMES],
        input=json.dumps(functions_that_ran()),
        cwd=build.UI,
        capture_output=True,
        text=True,
        check=True,
    )
    (build.UI / "reading.json").write_text(done.stdout + "\n", "utf-8")


if __name__ == "__main__":
    main()
