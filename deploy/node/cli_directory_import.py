"""`vaguemestre directory import`: take in the national directory's files, as often as they come."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    count,
    errors,
    run,
    show,
)

_SHOWN = 20
_INTERRUPTED = 130
_LEFT = "A node that serves goes on with this file. Without one the import stands still: started again, it goes on."
_STAGES = {"reading": "Looking for what is new", "importing": "Importing"}


@at_terminal
def directory_import(
    terminal: Terminal,
    files: Annotated[list[Path], typer.Argument(help="National files, plain or zip, in any order.")],
    source: Annotated[
        str, typer.Option(help="mssante or activity; found out by the header if left out.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it takes away more than directory.largest_fall.")
    ] = False,
) -> None:
    """Import the MSSanté extraction and PS_LibreAcces_Personne_activite: what changed since the last time."""
    from deploy.node.asking import command

    results: list[dict[str, Any]] = []
    for path in files:
        arguments = {"path": str(path.absolute()), "source": source, "dry_run": dry_run, "force": force}
        asked = (terminal.home.absolute(), terminal.config, "directory_import", arguments)
        try:
            with _progress(terminal.as_json, path.name) as report:
                results.append(run(command(*asked, report)))
        except typer.Exit as ended:
            if ended.exit_code == _INTERRUPTED:
                errors.print(_LEFT, markup=False, highlight=False)
            raise
        show(None, False, "" if terminal.as_json else _told(path, results[-1]))
    if terminal.as_json:
        terminal.show(results)


def _told(path: Path, result: dict[str, Any]) -> str:
    would = "would be " if result["dry_run"] else ""
    what = ", ".join(f"{result[name]} {would}{name}" for name in ("added", "changed", "removed"))
    took = f"{path.name}: {count(result['lines'], 'line')} in {result['seconds']:.1f} s."
    lines = [f"{took} {what}, {result['unchanged']} as before."]
    if result["struck_off_count"] or result["reinstated_count"]:
        lines.append(
            f"{count(result['struck_off_count'], 'professional')} struck off, {result['reinstated_count']} back."
        )
    if out := result["struck_off_here"]:
        lines.append(f"Out here, gone from the national directory: {', '.join(out)}.")
    if held := result["held_back_here"]:
        lines.append(
            f"{count(len(held), 'account')} of ours would be out, too many to be believed: none is."
            " If the file is right, import it again with --force."
        )
    if many := result["held_count"]:
        some = "; ".join(_held(one) for one in result["held"][:_SHOWN])
        more = f"; and {many - _SHOWN} more" if many > _SHOWN else ""
        lines.append(f"{many} kept as before, since a wrong line may be theirs: {some}{more}.")
    if ours := result["held_here"]:
        lines.append(f"Accounts of ours among these: {', '.join(ours)}.")
    if result["refused"]:
        lines.append(
            f"{count(result['refused'], 'address')} left alone: ours, or published by their operator."
        )
    if result["wrong"] or result["repeated"]:
        lines.append(
            f"{count(result['wrong'], 'line')} wrong, {result['repeated']} repeated: {result['wrong_report']}"
        )
    if result["changes_report"]:
        lines.append(f"What changed: {result['changes_report']}")
    return "\n".join(lines)


def _held(one: dict[str, Any]) -> str:
    why = one["sentence"].rstrip(".")
    where = f"line {one['line']}: {why}" if one["line"] else why
    return f"{one['which']} ({where})"


@contextlib.contextmanager
def _progress(as_json: bool, name: str) -> Generator[Callable[[str, int, int], None]]:
    """Bars with how much a second and how long still, for a person who watches."""
    if as_json or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bars:
        stages: dict[str, tuple[TaskID, float]] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage == "rows":  # done: lines so far
                for task, begun in stages.values():
                    bars.update(task, rate=f"{done / max(time.monotonic() - begun, 0.001):,.0f} rows/s")
                return
            if stage not in stages:
                words = f"{name}: {_STAGES.get(stage, stage)}"
                stages[stage] = (bars.add_task(words, total=total, rate=""), time.monotonic())
            bars.update(stages[stage][0], completed=done, total=total)

        yield report
