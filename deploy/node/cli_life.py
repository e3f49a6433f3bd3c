"""`vaguemestre account suspend|reinstate|practice|contact|sector|close|unused`, `limits show`, `operator statistics`.

Invariant: what cannot be undone asks first; each command tells the node from which network address its user came.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.node import whence
from deploy.node.statistics import as_csv
from deploy.node.terminal import (
    Terminal,
    at_terminal,
    fail,
    screen,
    show,
    table,
)

limits = typer.Typer(no_args_is_help=True, help="How much one account, place or operator may take.")
operator = typer.Typer(no_args_is_help=True, help="This operator, and the others it exchanges with.")
ReasonOption = Annotated[str, typer.Option(help="Why, in a sentence for administrators: it is traced.")]


@at_terminal
def suspend(terminal: Terminal, address: str, reason: ReasonOption = "") -> None:
    """No more logins, no more letters, at once; what lies there stays."""
    result = terminal.ask("account_suspend", address=address, reason=reason, network=whence.told())
    terminal.show(result, f"{address} is suspended.")


@at_terminal
def reinstate(terminal: Terminal, address: str, reason: ReasonOption = "") -> None:
    """End a suspension."""
    result = terminal.ask("account_reinstate", address=address, reason=reason, network=whence.told())
    terminal.show(result, f"{address} is open again.")


@at_terminal
def practice(
    terminal: Terminal,
    address: str,
    state: Annotated[str, typer.Argument(help="lost or regained.")],
    reason: ReasonOption = "",
) -> None:
    """A professional was struck off, or may practise again: logins, letters and publication follow at once."""
    if state not in ("lost", "regained"):
        raise fail("Say lost or regained.")
    result = terminal.ask(
        "account_practice",
        address=address,
        practising=state == "regained",
        reason=reason,
        network=whence.told(),
    )
    words = (
        "may practise again." if state == "regained" else "has no way in any more, and letters are refused."
    )
    terminal.show(result, f"{address} {words}")


@at_terminal
def contact(
    terminal: Terminal,
    address: str,
    choice: Annotated[str, typer.Argument(help="replies_only, opted_in (organisations) or open.")],
) -> None:
    """Which patients may write first to a professional or an organisation."""
    result = terminal.ask("account_contact", address=address, contact=choice, network=whence.told())
    terminal.show(result, f"{address}: {result['contact']}.")


@at_terminal
def sector(
    terminal: Terminal,
    address: str,
    code: Annotated[str, typer.Argument(help="A code of TRE_R02, such as SA33; '' takes it away.")],
) -> None:
    """The sector of an organisation."""
    result = terminal.ask("account_sector", address=address, sector=code, network=whence.told())
    terminal.show(result, f"{address}: {result['sector'] or 'no sector'}.")


@at_terminal
def close(
    terminal: Terminal,
    address: str,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Close an account for good: no logins, no letters, its address is never given again. Its letters stay sealed."""
    if not yes and not sys.stdin.isatty():
        raise fail("Nothing was closed: nobody is there to be asked. Add --yes.")
    if not yes and not typer.confirm(f"Close {address} for good? Nothing opens it again.", err=True):
        raise fail("Nothing was closed.")
    result = terminal.ask("account_close", address=address, reason=reason, network=whence.told())
    terminal.show(result, f"{address} is closed for good.")


@at_terminal
def unused(
    terminal: Terminal,
    now: Annotated[
        bool, typer.Option("--now", help="Tell and close today's, as the node does daily.")
    ] = False,
) -> None:
    """Mailboxes nobody came to for too long: who was told, and when each will be closed."""
    done: dict[str, Any] = terminal.ask("account_unused_sweep") if now else {}
    rows = terminal.ask("account_unused")
    if terminal.as_json:
        terminal.show({"done": done, "unused": rows} if now else rows)
        return
    for what, addresses in done.items():
        for address in addresses:
            screen.print(f"{what}: {address}", markup=False, highlight=False)
    columns = {
        "address": "Address", "kind": "Kind", "last": "Last login", "made": "Made", "told": "Told", "closes": "Closes",
    }  # fmt: skip
    rows = [row | {"last": row["last"] or "never"} for row in rows]
    table(rows, columns, "Every mailbox is used.")


@limits.command("show")
@at_terminal
def limits_show(terminal: Terminal) -> None:
    """Every limit: what it allows, what the one nearest to it has taken, what was refused since the start."""
    rows = terminal.ask("limits_show")
    if terminal.as_json:
        terminal.show(rows)
        return
    columns = {
        "limit": "Limit ([limits])", "most": "Allows", "fullest": "Fullest now", "taken": "Taken", "refused": "Refused",
    }  # fmt: skip
    shown = [row | {"most": row["most"] or "-"} for row in rows]
    table(shown, columns, "No limit.")


@operator.command("statistics")
@at_terminal
def statistics(
    terminal: Terminal,
    month: Annotated[str, typer.Option(help="YYYY-MM.")],
    csv: Annotated[Path | None, typer.Option(help="Write them to this file; - for the screen.")] = None,
) -> None:
    """The month's figures: mailboxes by kind, connections, messages in and out, refusals. The same at each reading."""
    rows = terminal.ask("operator_statistics", month=month)
    if terminal.as_json:
        terminal.show(rows)
    elif csv is None or str(csv) == "-":
        typer.echo(as_csv(rows), nl=False)
    else:
        csv.write_text(as_csv(rows), encoding="utf-8", newline="")
        show(rows, False, f"{len(rows)} figures of {month} are in {csv}.")


def add_life(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    for command in (suspend, reinstate, practice, contact, sector, close, unused):
        account.command(command.__name__)(command)
