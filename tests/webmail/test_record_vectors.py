"""The page's manifests and histories of documents, held against the server's: one set of letters, two programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"


def test_the_page_draws_manifests_and_tells_histories_as_the_server_does(programs: tuple[Path, Path]) -> None:
    node, folder = programs
    command = [str(node), str(folder / "manifest.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# tests 0\n" not in done.stdout
