"""`vaguemestre trust-list`: which operators this node knows, how old that is, and what waits for a decision."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    count,
    screen,
    table,
)

trust_list = typer.Typer(no_args_is_help=True, help="The list of operators that may exchange letters.")

_AGES = {
    "young": "in force",
    "old": "OLD: operators never met before are refused",
    "dead": "TOO OLD, or none: every operator is refused",
}
WhatArgument = Annotated[
    str, typer.Argument(help="A domain, or the name of a certificate (CN=...). Left out: all that is held.")
]
_SHOWN = 3


@trust_list.command("show")
@at_terminal
def trust_list_show(terminal: Terminal) -> None:
    """The list in force: whence, how old, how large; our own domains in it; lists of revocation."""
    found = terminal.ask("trust_list_show")
    terminal.show(found, _shown(found))
    if not terminal.as_json and found["revocation"]:
        columns = {
            "source": "Revocation",
            "entries": "Revoked",
            "until": "Until",
            "read": "Read",
            "problem": "Problem",
        }
        table(found["revocation"], columns, "")


def _shown(found: dict[str, Any]) -> str:
    if found["source"] is None:
        return "No trust list is configured: no other operator is known."
    lines = [
        f"{found['source']}",
        f"  {found['rows']} rows, {found['domains']} domains, generated {found['generated'] or 'never'}",
    ]
    if found["fetched"]:
        age = "never confirmed" if found["age_hours"] is None else f"confirmed {found['age_hours']} h ago"
        lines.append(f"  {age}: {_AGES[found['age']]}")
    if found["last_refusal"]:
        lines.append(f"  the last attempt at a newer one failed: {found['last_refusal']}")
    lines.append(f"  {count(found['held'], 'change')} held, {found['refused']} refused by hand")
    for ours in found["ours"]:
        standing = "ours" if ours["by_us"] else "under ANOTHER name" if ours["listed"] else "NOT LISTED"
        lines.append(f"  our domain {ours['domain']}: {standing}")
    if not found["revocation"] and found["ocsp"] == "off":
        lines.append("  revocation is not checked: set revocation_lists or ocsp in [policies]")
    return "\n".join(lines)


@trust_list.command("fetch")
@at_terminal
def trust_list_fetch(
    terminal: Terminal,
    accept_smaller: Annotated[
        bool, typer.Option("--accept-smaller", help="The list may have lost more than the bound allows.")
    ] = False,
) -> None:
    """Ask for a newer list, and newer lists of revocation, now."""
    if terminal.as_json:
        found = terminal.ask("trust_list_fetch", smaller=accept_smaller)
    else:
        with screen.status("Asking..."):
            found = terminal.ask("trust_list_fetch", smaller=accept_smaller)
    terminal.show(found, _fetched(found))
    if not found["applied"]:
        raise typer.Exit(1)


def _fetched(found: dict[str, Any]) -> str:
    lines = list(found["revocation_problems"])
    if not found["applied"]:
        return "\n".join([*lines, f"{found['sentence']} The list in force stays as it was."])
    lines.append(f"The list is up to date: {found['rows']} rows.")
    for words, domains in (("New", found["domains_added"]), ("Gone", found["domains_removed"])):
        if domains:
            lines.append(f"{words}: {_some(domains)}.")
    if found["names_added"] or found["names_removed"]:
        lines.append(f"{found['names_added']} grants added, {found['names_removed']} taken away.")
    if found["held"]:
        lines.append(f"{count(found['held'], 'change')} held: see `vaguemestre trust-list pending`.")
    return "\n".join(lines)


@trust_list.command("pending")
@at_terminal
def trust_list_pending(terminal: Terminal) -> None:
    """Changes that wait: new certificates of known domains, and whatever touches our own domains."""
    rows = terminal.ask("trust_list_pending")
    if terminal.as_json:
        terminal.show(rows)
        return
    shown = [
        row | {"where": _some(row["domains"]), "counts_from": row["counts_from"] or "refused"} for row in rows
    ]
    columns = {
        "change": "Change",
        "dn": "Certificate",
        "count": "Domains",
        "where": "Which",
        "counts_from": "Counts from",
    }
    table(shown, columns, "Nothing is held.")


@trust_list.command("apply")
@at_terminal
def trust_list_apply(terminal: Terminal, what: WhatArgument = "") -> None:
    """Let what is held count now."""
    found = terminal.ask("trust_list_apply", what=what)
    terminal.show(found, f"{count(found['count'], 'change')} applied: {_named(found)}.")


@trust_list.command("refuse")
@at_terminal
def trust_list_refuse(terminal: Terminal, what: WhatArgument = "") -> None:
    """Keep what is held from ever counting by itself."""
    found = terminal.ask("trust_list_refuse", what=what)
    terminal.show(found, f"{count(found['count'], 'change')} refused: {_named(found)}.")


def _named(found: dict[str, Any]) -> str:
    return _some([domain for group in found["changes"] for domain in group["domains"]])


def _some(domains: list[str]) -> str:
    more = len(domains) - _SHOWN
    return ", ".join(domains[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
