"""`vaguemestre egress show|rotate`, `vaguemestre key peer`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    screen,
    table,
)

egress = typer.Typer(
    no_args_is_help=True, help="The key to which letters wait sealed that leave readable by other operators."
)


@egress.command("show")
@at_terminal
def egress_show(terminal: Terminal) -> None:
    """Whether the gate's process runs, its keys, and how many letters wait for each."""
    found = terminal.ask("egress_show")
    if terminal.as_json:
        terminal.show(found)
        return
    columns = {
        "fingerprint": "Fingerprint", "state": "State", "made_day": "Made", "replaced": "Replaced",
        "letters": "Letters",
    }  # fmt: skip
    table(found["keys"], columns, "No key yet: the first is made when the node serves.")
    words = "runs" if found["alive"] else "does not run"
    screen.print(f"The gate's process {words}.", markup=False, highlight=False)


@egress.command("rotate")
@at_terminal
def egress_rotate(terminal: Terminal) -> None:
    """Make a new key now. The one before opens what waits, and is destroyed when nothing does any more."""
    made = terminal.ask("egress_rotate")
    words = f"Letters that leave are sealed to {made['fingerprint']} from now on."
    if made["kept"]:
        words += f"\nKept until no letter names it, a day at least: {', '.join(made['kept'])}."
    terminal.show(made, words)


@at_terminal
def key_peer(
    terminal: Terminal,
    address: str,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask their operator now.")] = False,
) -> None:
    """The certificate that another operator publishes for an address, as it is known here."""
    found = terminal.ask("key_peer", address=address, refresh=refresh)
    words = {
        "unknown": "Nothing is known of it: their operator was not asked, or did not answer.",
        "none": "Their operator publishes no certificate that can be used"
        + (f" ({found['reason']})." if found["reason"] else "."),
        "revoked": "The certificate is revoked and has no successor: letters are refused.",
        "valid": f"{found['fingerprint']}, held by the {found['held_by']}.",
    }[found["state"]]
    if found["answered"]:
        words += f" Their operator said so on {found['answered']}."
    terminal.show(found, words)
