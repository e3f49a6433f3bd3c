"""`vaguemestre account profile`: show or change what is told of a mailbox."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    fail,
)


@at_terminal
def profile(
    terminal: Terminal,
    address: str,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="FIELD=VALUE, repeated. PER: title, given_name, family_name, entity. ORG and APP: description, "
            "service, responsible, id_nat_struct. CAB: description, id_pp. All: rank, red_list.",
        ),
    ] = None,
) -> None:
    """Show what is told of a mailbox, or change it. Address and kind never change."""
    given: dict[str, str] = {}
    for one in field or ():
        name, equals, value = one.partition("=")
        if not equals:
            raise fail(f"Write FIELD=VALUE, not {one[:60]!r}.")
        given[name.strip()] = value
    found = terminal.ask("account_profile", address=address, fields=given)
    lines = [f"{name}: {_shown(value)}" for name, value in found.items()]
    terminal.show(found, "\n".join(lines))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value) or "-"
