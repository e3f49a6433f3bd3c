"""`vaguemestre account notice-address`: the ordinary address at which a holder is told, without content."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
)


@at_terminal
def notice_address(
    terminal: Terminal,
    address: str,
    notice: Annotated[
        str | None, typer.Argument(help="An ordinary address, or none. Left out: only show it, cut short.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the notices: fr or en.")] = "fr",
) -> None:
    """Where a holder is told that their mailbox will be closed. Patients set theirs on the page."""
    result = terminal.ask("account_notice_address", address=address, notice=notice, language=language)
    if not result["notices"]:
        words = "This node sends no notices: set `smarthost` in [notices]."
    elif result["shown"] is None:
        words = f"{address} is told nothing: no ordinary address is known."
    else:
        state = (
            "mail to it comes back"
            if result["refused"]
            else "proven"
            if result["confirmed"]
            else "not proven yet"
        )
        words = f"{address} is told at {result['shown']} ({state})."
    terminal.show(result, words)


def add_notices(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    account.command("notice-address")(notice_address)
