"""The agenda of the page from its screens' questions to what the server is sent, recalls and wakes: its own tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

VECTORS = Path(__file__).parent / "vectors"


@pytest.mark.parametrize("name", ["agenda_letters", "agenda_rules"])
def test_the_agenda_s_own_tests_pass(programs: tuple[Path, Path], name: str) -> None:
    node, folder = programs
    command = [str(node), str(folder / f"{name}.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\nnot ok " not in done.stdout, done.stdout[-6000:]
    assert "\nok 13 " in done.stdout  # it came to its end
