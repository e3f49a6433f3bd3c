"""`vaguemestre account outbound`, `vaguemestre space oppose`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node import whence
from deploy.node.terminal import (
    Terminal,
    at_terminal,
)

_TOLD = {
    "readable": "is told of letters that left readable by the other operator",
    "always": "is told of every letter that left",
    "asked": "is told of letters that ask for it",
}


@at_terminal
def outbound(
    terminal: Terminal,
    address: str,
    sealed_only: Annotated[
        str | None,
        typer.Option(
            help="on: letters to other operators leave sealed to their addressee, or not at all; off."
        ),
    ] = None,
    results: Annotated[
        str | None, typer.Option(help="Of which letters its holder is told: readable, always, asked.")
    ] = None,
) -> None:
    """What an account asks of its letters to other operators. Without an option: only show it."""
    result = terminal.ask(
        "account_outbound", address=address, sealed_only=sealed_only, results=results, network=whence.told()
    )
    how = "sealed or not at all" if result["sealed_only"] else "sealed where a certificate is known"
    terminal.show(result, f"{address}: letters leave {how}; {_TOLD[result['results']]}.")


@at_terminal
def oppose(
    terminal: Terminal,
    patient: Annotated[str, typer.Argument(help="The space's address, or the patient's number.")],
    end: Annotated[bool, typer.Option("--end", help="Letters are welcome again.")] = False,
) -> None:
    """Note that a patient opposes letters: whoever writes is answered as for an address that nobody has."""
    result = terminal.ask("space_oppose", patient=patient, end=end, network=whence.told())
    words = "takes no letters" if result["opposed"] else "takes letters again"
    terminal.show(result, f"{result['address']} {words}.")


def add_outbound(account: typer.Typer, space: typer.Typer) -> None:
    """Under `vaguemestre account` and `vaguemestre space`."""
    account.command("outbound")(outbound)
    space.command("oppose")(oppose)
