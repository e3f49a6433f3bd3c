"""`vaguemestre account national-id`: which professional an account is, for identity providers."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
)


@at_terminal
def national_id(
    terminal: Terminal,
    address: str,
    identifier: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="8 and the 11 digits of the RPPS number, or 0 and the ADELI number; '' unbinds.",
        ),
    ] = None,
) -> None:
    """Show or bind the national identifier that a provider's login must vouch for."""
    found = terminal.ask("account_national_id", address=address, national_id=identifier)
    terminal.show(found, f"{found['address']}: {found['national_id'] or 'no national identifier'}")
