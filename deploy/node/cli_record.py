"""`vaguemestre report check FILE…`: documents held to the official rules, before anything is sent.

Exit codes: 0 every document is valid; 2 one of them is not; 1 the rules cannot be used.
Invariants: findings may quote a document: they are printed for who asked, and nowhere else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    fail,
    progress,
    screen,
)

if TYPE_CHECKING:
    from mail_server.payloads.record.validation import Verdict

_INVALID = 2


@at_terminal
def check(
    terminal: Terminal,
    files: Annotated[list[Path], typer.Argument(help="CDA (XML) or FHIR (JSON) documents.")],
    xsd: Annotated[Path | None, typer.Option(help="Official schema (CDA_extended.xsd).")] = None,
    schematron: Annotated[Path | None, typer.Option(help="Official schematron, or its stylesheet.")] = None,
) -> None:
    """Check documents against our readers, and the XSD and schematron of the settings or of the options."""
    from mail_server.payloads.record.schematron import RulesUnusable
    from mail_server.payloads.record.validation import Rules

    configured = _configured(terminal)
    verdicts: dict[str, Verdict] = {}
    try:
        rules = Rules(xsd or configured[0], schematron or configured[1])
        with progress(terminal.as_json) as told:
            for at, file in enumerate(files, 1):
                verdicts[str(file)] = rules.check(file.read_bytes())
                told("documents", at, len(files))
    except (RulesUnusable, OSError) as failure:
        raise fail(str(failure)) from None
    if terminal.as_json:
        typer.echo(json.dumps({name: _as_json(one) for name, one in verdicts.items()}, ensure_ascii=False))
    else:
        for name, verdict in verdicts.items():
            _print(name, verdict)
    if not all(one.valid for one in verdicts.values()):
        raise typer.Exit(_INVALID)


def _configured(terminal: Terminal) -> tuple[Path | None, Path | None]:
    """Where the node's configuration points; a hospital's machine may have none."""
    from deploy.node.config import ConfigError, load

    file = terminal.config or terminal.home / "vaguemestre.toml"
    if not file.is_file():
        return None, None
    try:
        settings = load(file).record
    except ConfigError as failure:
        raise fail(str(failure)) from None
    return settings.xsd, settings.schematron


def _as_json(verdict: Verdict) -> dict[str, object]:
    findings = [
        {"source": one.source, "level": one.level, "place": one.place, "message": one.message}
        for one in verdict.findings
    ]
    return {"form": verdict.form, "valid": verdict.valid, "checked": verdict.checked, "findings": findings}


def _print(name: str, verdict: Verdict) -> None:
    held = ", ".join(verdict.checked)
    style = "green" if verdict.valid else "red"
    word = "valid" if verdict.valid else "not valid"
    screen.print(f"{name}: {word} ({verdict.form}; {held})", style=style, markup=False, highlight=False)
    for one in verdict.findings:
        screen.print(
            f"  {one.level} [{one.source}] {one.place}: {one.message}", markup=False, highlight=False
        )
