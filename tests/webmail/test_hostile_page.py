"""What strangers put into letters stops nothing in the page, opens nothing, and brings out nothing kept back."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_record_and_the_agenda_hold_against_what_strangers_write(programs: tuple[Path, Path]) -> None:
    node, folder = programs
    command = [str(node), str(folder / "hostile.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# tests 0\n" not in done.stdout
