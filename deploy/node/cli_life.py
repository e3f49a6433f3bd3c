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
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    ask_node,
    fail,
    screen,
    show,
    table,
)

limits = typer.Typer(no_args_is_help=True, help="How much one account, place or operator may take.")
operator = typer.Typer(no_args_is_help=True, help="This operator, and the others it exchanges with.")
ReasonOption = Annotated[str, typer.Option(help="Why, in a sentence for administrators: it is traced.")]


def suspend(
    address: str,
    reason: ReasonOption = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """No more logins, no more letters, at once; what lies there stays."""
    result = ask_node(home, config, "account_suspend", address=address, reason=reason, network=whence.told())
    show(result, as_json, f"{address} is suspended.")


def reinstate(
    address: str,
    reason: ReasonOption = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a suspension."""
    result = ask_node(
        home, config, "account_reinstate", address=address, reason=reason, network=whence.told()
    )
    show(result, as_json, f"{address} is open again.")


def practice(
    address: str,
    state: Annotated[str, typer.Argument(help="lost or regained.")],
    reason: ReasonOption = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A professional was struck off, or may practise again: logins, letters and publication follow at once."""
    if state not in ("lost", "regained"):
        raise fail("Say lost or regained.")
    result = ask_node(
        home,
        config,
        "account_practice",
        address=address,
        practising=state == "regained",
        reason=reason,
        network=whence.told(),
    )
    words = (
        "may practise again." if state == "regained" else "has no way in any more, and letters are refused."
    )
    show(result, as_json, f"{address} {words}")


def contact(
    address: str,
    choice: Annotated[str, typer.Argument(help="replies_only, opted_in (organisations) or open.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which patients may write first to a professional or an organisation."""
    result = ask_node(home, config, "account_contact", address=address, contact=choice, network=whence.told())
    show(result, as_json, f"{address}: {result['contact']}.")


def sector(
    address: str,
    code: Annotated[str, typer.Argument(help="A code of TRE_R02, such as SA33; '' takes it away.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The sector of an organisation."""
    result = ask_node(home, config, "account_sector", address=address, sector=code, network=whence.told())
    show(result, as_json, f"{address}: {result['sector'] or 'no sector'}.")


def close(
    address: str,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close an account for good: no logins, no letters, its address is never given again. Its letters stay sealed."""
    if not yes and not sys.stdin.isatty():
        raise fail("Nothing was closed: nobody is there to be asked. Add --yes.")
    if not yes and not typer.confirm(f"Close {address} for good? Nothing opens it again.", err=True):
        raise fail("Nothing was closed.")
    result = ask_node(home, config, "account_close", address=address, reason=reason, network=whence.told())
    show(result, as_json, f"{address} is closed for good.")


def unused(
    now: Annotated[
        bool, typer.Option("--now", help="Tell and close today's, as the node does daily.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mailboxes nobody came to for too long: who was told, and when each will be closed."""
    done: dict[str, Any] = ask_node(home, config, "account_unused_sweep") if now else {}
    rows = ask_node(home, config, "account_unused")
    if as_json:
        show({"done": done, "unused": rows} if now else rows, True, "")
        return
    for what, addresses in done.items():
        for address in addresses:
            screen.print(f"{what}: {address}", markup=False, highlight=False)
    columns = {
        "address": "Address", "kind": "Kind", "last": "Last login", "told": "Told", "closes": "Closes",
    }  # fmt: skip
    table(rows, columns, "Every mailbox is used.")


@limits.command("show")
def limits_show(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Every limit: what it allows, what the one nearest to it has taken, what was refused since the start."""
    rows = ask_node(home, config, "limits_show")
    if as_json:
        show(rows, True, "")
        return
    columns = {
        "limit": "Limit ([limits])", "most": "Allows", "fullest": "Fullest now", "taken": "Taken", "refused": "Refused",
    }  # fmt: skip
    shown = [row | {"most": row["most"] or "-"} for row in rows]
    table(shown, columns, "No limit.")


@operator.command("statistics")
def statistics(
    month: Annotated[str, typer.Option(help="YYYY-MM.")],
    csv: Annotated[Path | None, typer.Option(help="Write them to this file; - for the screen.")] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The month's figures: mailboxes by kind, connections, messages in and out, refusals. The same at each reading."""
    rows = ask_node(home, config, "operator_statistics", month=month)
    if as_json:
        show(rows, True, "")
    elif csv is None or str(csv) == "-":
        typer.echo(as_csv(rows), nl=False)
    else:
        csv.write_text(as_csv(rows), encoding="utf-8", newline="")
        show(rows, False, f"{len(rows)} figures of {month} are in {csv}.")


def add_life(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    for command in (suspend, reinstate, practice, contact, sector, close, unused):
        account.command(command.__name__)(command)
