"""A mail program that a script beside this file drives: deeds go in and what came of them comes out, a line each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Driven:
    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self.out = out
        self._process = process
        self._told()  # its version: it is there

    def do(self, deed: str, **told: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"deed": deed, **told}) + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"failed": "it has ended"}')
        assert "failed" not in told, told
        return told

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(180)  # Thunderbird may be slow to end


@contextmanager
def driven(script: Path, demo: dict[str, Any], address: str, out: Path, *, seconds: int) -> Generator[Driven]:
    """`demo`: as demo.json has it. `seconds`: that each deed may take."""
    out.mkdir(parents=True, exist_ok=True)
    told = out / "demo.json"
    told.write_text(json.dumps(demo))
    command = [sys.executable, str(script), "--demo-json", str(told), "--out", str(out)]
    command += ["--address", address, "--seconds", str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Driven(process, out)
        finally:
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()
