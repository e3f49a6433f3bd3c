"""`vaguemestre directory`: professionals, organisations and their addresses, as this node knows them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    screen,
    table,
)

directory = typer.Typer(no_args_is_help=True, help="Professionals, organisations and their addresses.")

_COLUMNS = {"name": "Name", "practice": "Profession", "place": "Place", "address": "Address"}
_CERTIFICATES = {
    "family": "Family",
    "fingerprint": "Certificate",
    "published": "Published",
    "not_after": "Until",
    "revoked": "Revoked",
    "replaced": "Replaced",
    "held_by": "Held by",
}
_MAILBOXES = {"address": "Address", "kind": "Kind", "where": "Where", "rank": "Rank"}
_SITUATIONS = {"speciality": "Speciality", "mode": "Mode", "organisation": "Organisation", "place": "Place"}


@directory.command("search")
@at_terminal
def directory_search(
    terminal: Terminal,
    words: Annotated[
        list[str], typer.Argument(help="Names, profession, place, organisation, part of an address.")
    ],
    kind: Annotated[
        list[str] | None,
        typer.Option(help="PER, ORG, APP or CAB (repeat for several); leaves the others out."),
    ] = None,
    profession: Annotated[str, typer.Option(help="A code of the national table, or words.")] = "",
    department: Annotated[str, typer.Option(help="Its number, or its name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """Whom the directory shows. Exit code 1 when nobody is found."""
    found = terminal.ask(
        "directory_search",
        words=" ".join(words),
        kinds=kind or [],
        profession=profession,
        department=department,
        limit=limit,
    )
    if terminal.as_json:
        terminal.show(found)
    else:
        for typed, taken in found["corrected"]:
            screen.print(f"Nobody for {typed}; this is for {taken}.", markup=False, highlight=False)
        table([_line(card) for card in found["found"]], _COLUMNS, "Nobody is found.")
        if found["more"]:
            screen.print("There are more.", markup=False, highlight=False)
    if not found["found"]:
        raise typer.Exit(1)


def _line(card: dict[str, Any]) -> dict[str, Any]:
    practice = card["speciality"] or card["profession"] or card["organisation"]
    return {
        "name": card["name"],
        "practice": practice,
        "place": f"{card['postcode']} {card['commune']}".strip(),
        "address": card["address"],
    }


@directory.command("show")
@at_terminal
def directory_show(
    terminal: Terminal,
    what: Annotated[
        str, typer.Argument(help="An address, or the identifier of a person or an organisation.")
    ],
) -> None:
    """All that is shown of a mailbox (and its certificates), a person, an organisation."""
    found = terminal.ask("directory_show", what=what)
    if terminal.as_json:
        terminal.show(found)
    elif "mailbox" in found:
        _show_mailbox(found["mailbox"])
    elif "person" in found:
        _facts(found["person"])
        _rows(found["situations"], _SITUATIONS)
        _rows([_where(one) for one in found["mailboxes"]], _MAILBOXES)
    else:
        _facts(found["organisation"])
        _rows([_where(one) for one in found["mailboxes"]], _MAILBOXES)


def _show_mailbox(mailbox: dict[str, Any]) -> None:
    holders = [
        " ".join(part for part in (one["title"], one["given"], one["family"], one["national_id"]) if part)
        for one in mailbox["holders"]
    ]
    _facts(mailbox | {"holders": ", ".join(holders), "certificates": ""})
    _rows(mailbox["certificates"], _CERTIFICATES)


def _facts(of: dict[str, Any]) -> None:
    for name, value in of.items():
        if value:
            told = "yes" if value is True else value
            screen.print(f"{name.replace('_', ' '):<16} {told}", markup=False, highlight=False)


def _rows(rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    if rows:
        screen.print()
        table(rows, columns, "")


def _where(mailbox: dict[str, Any]) -> dict[str, Any]:
    return mailbox | {"where": mailbox["service"] or mailbox["description"] or mailbox["organisation"]}
