"""The page's reader of CDA and FHIR documents, held to the server's: the same values of the same octets."""

from __future__ import annotations

import subprocess
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"


def test_the_page_reads_each_document_as_the_server_does(programs: tuple[Path, Path]) -> None:
    node, folder = programs
    command = [str(node), str(folder / "cda.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# tests 0\n" not in done.stdout
