"""What every command of `vaguemestre` shares: its options, how it asks the node, how it shows what it did.

Invariants: errors are one clear sentence on the error stream and exit code 1, never a trace; `--json` alone writes
JSON, and nothing else then goes to the output.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import sys
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console as Screen
from rich.text import Text

T = TypeVar("T")

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of the node's data.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (default: vaguemestre.toml in the home).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
DEFAULT_HOME = Path("var")

# Long lines are the terminal's to wrap: a path or a fingerprint stays whole for who copies it.
screen = Screen(soft_wrap=True)
errors = Screen(stderr=True, soft_wrap=True)


def fail(sentence: str, code: int = 1) -> typer.Exit:
    errors.print(sentence, style="red", markup=False, highlight=False)
    return typer.Exit(code)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command; known failures become one sentence."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as failure:
        from deploy.node.failures import (  # loads half of the node, for nothing where all goes well
            KNOWN,
            sentence,
        )

        if isinstance(failure, (*KNOWN, OSError)):
            raise fail(sentence(failure)) from None
        raise


def ask_node(home: Path, config: Path | None, name: str, **arguments: Any) -> Any:
    from deploy.node.asking import command

    return run(command(home.absolute(), config, name, arguments))


@contextlib.contextmanager
def progress(as_json: bool) -> Generator[Callable[[str, int, int], None]]:
    """Bars on the error stream while long work goes on, for a person who watches: gone when it ends."""
    if as_json or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import Progress, TaskID

    with Progress(console=errors, transient=True) as bars:
        stages: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield report


def ask_node_at_length(home: Path, config: Path | None, as_json: bool, name: str, **arguments: Any) -> Any:
    from deploy.node.asking import command

    with progress(as_json) as report:
        return run(command(home.absolute(), config, name, arguments, report))


def show(result: Any, as_json: bool, words: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    elif words:
        screen.print(words, markup=False, highlight=False)


def table(rows: list[dict[str, Any]], columns: dict[str, str], nothing: str) -> None:
    if not rows:
        screen.print(nothing, markup=False, highlight=False)
        return
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns.values(), *cells, strict=True)]
    for number, line in enumerate([list(columns.values()), *cells]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        screen.print(Text(text.rstrip(), style="" if number else "bold"))


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())  # pyright: ignore[reportUnknownVariableType]
    return str(value)


def content(path: Path) -> bytes:
    """A file named on the command line."""
    from deploy.node.failures import sentence

    try:
        return path.read_bytes()
    except OSError as failure:
        raise fail(sentence(failure)) from None


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command was typed: which node it is for, and whether a person or a machine reads the answer.

    Its fields are the options that such a command has after its own.
    """

    home: HomeOption = DEFAULT_HOME
    config: ConfigOption = None
    as_json: JsonOption = False

    def ask(self, name: str, **arguments: Any) -> Any:
        return ask_node(self.home, self.config, name, **arguments)

    def ask_at_length(self, name: str, **arguments: Any) -> Any:
        """With bars, while it goes on."""
        return ask_node_at_length(self.home, self.config, self.as_json, name, **arguments)

    def show(self, result: Any, words: str = "") -> None:
        show(result, self.as_json, words)

    def table(self, rows: list[dict[str, Any]], columns: dict[str, str], nothing: str) -> None:
        """A machine is given all that is in the rows."""
        if self.as_json:
            self.show(rows)
        else:
            table(rows, columns, nothing)


def at_terminal(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes its terminal first, as typer reads it: its own parameters, then the terminal's options."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    options = list(inspect.signature(Terminal, eval_str=True).parameters.values())

    @functools.wraps(command)
    def typed(**given: Any) -> None:
        terminal = Terminal(**{option.name: given.pop(option.name) for option in options})
        command(terminal, **given)

    parameters = [*own, *options]
    typed.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    typed.__annotations__ = {one.name: one.annotation for one in parameters}
    return typed
