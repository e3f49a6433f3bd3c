"""`vaguemestre directory key`: who may ask this node's directory by FHIR, and who may publish in it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    table,
)

_COLUMNS = {"id": "Id", "label": "For", "may": "May", "created": "Made", "until": "Until"}

key = typer.Typer(
    no_args_is_help=True, help="Keys of programs that ask the directory by FHIR (ESANTE-API-KEY)."
)


@key.command("add")
@at_terminal
def add(
    terminal: Terminal,
    label: Annotated[str, typer.Argument(help="Whose it is.")],
    read: Annotated[bool, typer.Option("--read/--no-read", help="It may search and read.")] = True,
    publish_for: Annotated[
        str, typer.Option(help="Name of the operator that publishes its mailboxes with it.")
    ] = "",
    domain: Annotated[
        list[str] | None, typer.Option(help="A domain whose addresses it publishes (repeat for several).")
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="How long it lasts; left out: until it is revoked.")
    ] = None,
) -> None:
    """Make a key. It is shown once, here: only its hash is kept."""
    rights = [*(["read"] if read else []), *(["publish"] if publish_for or domain else [])]
    made = terminal.ask(
        "directory_key_add",
        label=label,
        rights=rights,
        publisher=publish_for,
        domains=domain or [],
        days=days,
    )
    terminal.show(made, f"Key {made['id']} for {made['label']}: {made['key']}")


@key.command("list")
@at_terminal
def listed(terminal: Terminal) -> None:
    """Every key there is or was, without the keys themselves."""
    rows = terminal.ask("directory_key_list")
    if terminal.as_json:
        terminal.show(rows)
        return
    shown = [row | {"may": _may(row), "until": _until(row)} for row in rows]
    table(shown, _COLUMNS, "No key was made yet.")


@key.command("revoke")
@at_terminal
def revoke(
    terminal: Terminal,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `directory key list` shows it.")],
) -> None:
    """Close it: from now on it opens nothing."""
    revoked = terminal.ask("directory_key_revoke", key=key_id)
    terminal.show(revoked, f"Key {revoked['id']} ({revoked['label']}) opens nothing any more.")


def _may(row: dict[str, Any]) -> str:
    if not row["publisher"]:
        return ", ".join(row["rights"])
    return f"{', '.join(row['rights'])} for {row['publisher']} ({', '.join(row['domains'])})"


def _until(row: dict[str, Any]) -> str:
    if row["revoked"]:
        return f"revoked {row['revoked']}"
    if not row["in_force"]:
        return f"expired {row['expires']}"
    return row["expires"] or "it is revoked"
