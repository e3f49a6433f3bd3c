"""`vaguemestre dkim show|rotate` and `vaguemestre account forward`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from deploy.node import whence
from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    ask_node,
    fail,
    screen,
    show,
)

dkim = typer.Typer(no_args_is_help=True, help="Keys that sign letters to other operators (DKIM, ARC).")


@dkim.command("show")
def dkim_show(
    domain: Annotated[str, typer.Argument(help="One domain; left out: every domain of this node.")] = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the lines that the DNS zones must have now. Keys are made where there are none yet."""
    rows: list[dict[str, Any]] = ask_node(home, config, "dkim_show", domain=domain)
    _print(rows, as_json)


@dkim.command("rotate")
def dkim_rotate(
    domain: Annotated[str, typer.Argument(help="One domain; left out: every domain of this node.")] = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make new keys: put the printed lines into the zones, the old ones stay until `dkim show` leaves them out."""
    rows: list[dict[str, Any]] = ask_node(home, config, "dkim_rotate", domain=domain, network=whence.told())
    _print(rows, as_json)


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


def forward(
    address: str,
    target: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="The program's address. Left out: only show it.")
    ] = None,
    nowhere: Annotated[bool, typer.Option("--none", help="Send nothing on any more.")] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an organisation's structured letters (IHE_XDM.zip, XDM/1.0/DDM) on to a program, here or elsewhere."""
    if nowhere and target is not None:
        raise fail("Either an address or --none.")
    result = ask_node(
        home,
        config,
        "account_forward",
        address=address,
        target="none" if nowhere else target,
        network=whence.told(),
    )
    if result["forward"] is None:
        words = f"{address} sends nothing on."
    else:
        words = f"{address} sends structured letters on to {result['forward']}."
        if result["stopped"]:
            words += f" Stopped at the moment: {result['stopped']}."
    show(result, as_json, words)


def add_forward(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    account.command("forward")(forward)
