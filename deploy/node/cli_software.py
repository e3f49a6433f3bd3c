"""`vaguemestre account software`: which account the practice's software has."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node import whence
from deploy.node.terminal import (
    Terminal,
    at_terminal,
)


@at_terminal
def software(
    terminal: Terminal,
    address: str,
    account: Annotated[
        str | None, typer.Argument(help="The software's address (APP), or none. Left out: only show it.")
    ] = None,
) -> None:
    """Name the practice's software for a mailbox. Its holder alone switches copies on, on the page."""
    result = terminal.ask("account_software", address=address, software=account, network=whence.told())
    if result["software"] is None:
        words = f"{address} has no practice software."
    else:
        made, not_made = "are made, as its holder chose", "are not made: its holder has not switched them on"
        words = f"{address}: {result['software']}. Copies {made if result['copies'] else not_made}."
    terminal.show(result, words)


def add_software(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    account.command("software")(software)
