"""`vaguemestre dkim show|rotate` and `vaguemestre account forward`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from deploy.node import whence
from deploy.node.terminal import (
    Terminal,
    at_terminal,
    fail,
    screen,
    show,
)

dkim = typer.Typer(no_args_is_help=True, help="Keys that sign letters to other operators (DKIM, ARC).")


@dkim.command("show")
@at_terminal
def dkim_show(
    terminal: Terminal,
    domain: Annotated[str, typer.Argument(help="One domain; left out: every domain of this node.")] = "",
) -> None:
    """Print the lines that the DNS zones must have now. Keys are made where there are none yet."""
    rows: list[dict[str, Any]] = terminal.ask("dkim_show", domain=domain)
    _print(rows, terminal.as_json)


@dkim.command("rotate")
@at_terminal
def dkim_rotate(
    terminal: Terminal,
    domain: Annotated[str, typer.Argument(help="One domain; left out: every domain of this node.")] = "",
) -> None:
    """Make new keys: put the printed lines into the zones, the old ones stay until `dkim show` leaves them out."""
    rows: list[dict[str, Any]] = terminal.ask("dkim_rotate", domain=domain, network=whence.told())
    _print(rows, terminal.as_json)


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show(rows, as_json, "")
        return
    for row in rows:
        screen.print(
            f"; {row['standing']}, signs from {_time(row['used_from'])}", markup=False, highlight=False
        )
        screen.print(row["line"], markup=False, highlight=False)


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


@at_terminal
def forward(
    terminal: Terminal,
    address: str,
    target: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="The program's address. Left out: only show it.")
    ] = None,
    nowhere: Annotated[bool, typer.Option("--none", help="Send nothing on any more.")] = False,
) -> None:
    """Send an organisation's structured letters (IHE_XDM.zip, XDM/1.0/DDM) on to a program, here or elsewhere."""
    if nowhere and target is not None:
        raise fail("Either an address or --none.")
    result = terminal.ask(
        "account_forward", address=address, target="none" if nowhere else target, network=whence.told()
    )
    if result["forward"] is None:
        words = f"{address} sends nothing on."
    else:
        words = f"{address} sends structured letters on to {result['forward']}."
        if result["stopped"]:
            words += f" Stopped at the moment: {result['stopped']}."
    terminal.show(result, words)


def add_forward(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    account.command("forward")(forward)
