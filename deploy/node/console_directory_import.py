"""The console's command that imports a national file, in a process of its own.

Invariants: the process has nothing of the node but the listings' database; it ends with the command; our own accounts
of who is struck off, or back, follow before the answer; the trace has counts, never who.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from deploy.node.composition import Node, now
from deploy.node.control import CommandFailed, Report
from deploy.node.directory_standing import held_here
from policies.interface import Event

_log = logging.getLogger("vaguemestre.directory")
_LINE = 64 * 1024 * 1024  # the result may name many who are struck off
_FROM_OUTSIDE = (
    "PATH",
    "LANG",
    "LC_ALL",
    "HOME",
    "TZ",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "PGPASSFILE",
    "PGSSLROOTCERT",
)
_FEW = 1000


class NotImported(CommandFailed):
    """`reason` is a slug, for the trace; the text is for the administrator."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class DirectoryImportCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def directory_import(
        self, report: Report, path: str, source: str = "", dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        if source not in ("", "mssante", "activity"):
            raise CommandFailed("Sources are mssante and activity.")
        settings, home = self._node.config.directory, self._node.home.path
        asked = {
            "database": str(settings.listings_place(home)),
            "path": path,
            "reports": str(settings.import_reports or home / "imports"),
            "source": source,
            "largest_fall": settings.largest_fall,
            "dry_run": dry_run,
            "force": force,
        }
        try:
            result = await _worked(asked, report)
        except NotImported as failure:
            if not dry_run:
                _log.warning("a national file was not imported: %s", failure)
                self._tell("refused", {"reason": failure.reason})
            raise
        if not dry_run:
            self._note(result)
            await self._node.own_listings.sync(force=force)
        for name in ("struck_off", "reinstated", "held"):
            result[f"{name}_count"] = len(result[name])
            result[name] = result[name][:_FEW]
        result["struck_off_here"] = list(await self._node.struck_off.standing())
        result["held_back_here"] = list(self._node.struck_off.held_back)
        result["held_here"] = await asyncio.to_thread(held_here, self._node)
        return result

    def _note(self, result: dict[str, Any]) -> None:
        names = ("added", "changed", "removed", "wrong")
        detail = {name: str(result[name]) for name in names}
        detail |= {name: str(len(result[name])) for name in ("struck_off", "held")}
        detail["kind"] = str(result["source"])
        _log.info(
            "national file imported: %s", ", ".join(f"{name} {count}" for name, count in detail.items())
        )
        self._tell("done", detail)

    def _tell(self, outcome: str, detail: dict[str, str]) -> None:
        self._node.trace.note([Event("directory-import", now(), self._by, outcome=outcome, detail=detail)])


async def _worked(asked: dict[str, Any], report: Report) -> dict[str, Any]:
    """Run it to its end. Raises NotImported with its sentence."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "directory.imports",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # a traceback may hold a line of the file
        limit=_LINE,
        env={name: os.environ[name] for name in _FROM_OUTSIDE if name in os.environ} | _ours(),
        start_new_session=True,
    )
    assert process.stdin is not None  # both are pipes
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
            process.stdin.close()
        answer: dict[str, Any] = {}
        while line := await process.stdout.readline():
            answer = json.loads(line)
            if "progress" in answer:
                report(*answer["progress"])
        await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if "result" in answer:
        return answer["result"]
    if "refused" in answer:
        raise NotImported(answer["refused"], answer["sentence"])
    raise NotImported("ended", "The import ended before its end; started again, it goes on.")


def _ours() -> dict[str, str]:
    """Where this program's own packages are, for a process of its own."""
    root = Path(__file__).resolve().parents[2]
    return {} if "PYTHONPATH" in os.environ else {"PYTHONPATH": str(root)}
