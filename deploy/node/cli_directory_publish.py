"""`vaguemestre directory publish|withdraw|publications|report|autoconfig`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.node import whence
from deploy.node.terminal import (
    Terminal,
    at_terminal,
    fail,
    screen,
    table,
)

_COLUMNS = {
    "address": "Address",
    "kind": "Kind",
    "state": "State",
    "since": "Since",
    "next": "Asked again",
    "words": "Why",
}
_ELSEWHERE = {
    "address": "Address",
    "publisher": "Operator",
    "of": "Names",
    "told": "Told",
    "objected": "Objects",
}
_LIFTED = "may be published here again by its operator: the objection is lifted."
_WRONG = {"address": "Address", "kind": "Kind", "wrong": "What is wrong"}
_SENTENCES = {
    "published": "The national directory tells of it.",
    "pending": "The national directory is told within a minute.",
    "refused": "The national directory refuses it: {words}",
    "absent": "The national directory does not tell of it.",
    "nowhere": "No national directory is configured (publication.national_directory).",
}


@at_terminal
def publish(
    terminal: Terminal,
    address: Annotated[
        str, typer.Argument(help="A mailbox of ours, or of another operator that one of ours objected to.")
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="All our mailboxes: what was refused is asked again.")
    ] = False,
) -> None:
    """Let a mailbox be found, here and at the national directory; what was refused is asked again."""
    told = terminal.ask("directory_publish", address=address, every=every, network=whence.told())
    if every:
        terminal.show(
            told,
            f"{len(told)} mailboxes are brought up to date: `directory publications` shows how they stand.",
        )
    else:
        words = f"is listed. {_sentence(told[0])}" if told[0]["state"] != "lifted" else _LIFTED
        terminal.show(told[0], f"{told[0]['address']} {words}")


@at_terminal
def withdraw(
    terminal: Terminal,
    address: Annotated[str, typer.Argument(help="A mailbox of ours.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence for administrators: it is traced.")] = "",
) -> None:
    """Let nobody find a mailbox any more, here nor at the national directory. Letters to it still arrive."""
    told = terminal.ask("directory_withdraw", address=address, reason=reason, network=whence.told())
    if told["state"] == "objected":
        words = "is listed here no more, and cannot be published here again for"
        terminal.show(told, f"{told['address']} {words} {', '.join(told['of'])}.")
        return
    words = {**_SENTENCES, "pending": "The national directory is told within a minute to forget it."}
    sentence = words[told["state"]].format(words=told["words"])
    terminal.show(told, f"{told['address']} is shown to nobody any more. {sentence}")


@at_terminal
def publications(terminal: Terminal) -> None:
    """How each of our mailboxes stands at the national directory."""
    told = terminal.ask("directory_publications")
    terminal.show(told)
    if terminal.as_json:
        return
    screen.print(told["national_directory"] or _SENTENCES["nowhere"], markup=False, highlight=False)
    if told["key_refused"]:
        screen.print(told["key_refused"], style="red", markup=False, highlight=False)
    table(told["mailboxes"], _COLUMNS, "There is no mailbox yet.")
    if told["elsewhere"]:
        words = "Published by other operators under the names of professionals of ours (`directory withdraw` objects):"
        screen.print(words, markup=False, highlight=False)
        table(told["elsewhere"], _ELSEWHERE, "")


@at_terminal
def report(
    terminal: Terminal,
    file: Annotated[Path | None, typer.Argument(help="CSV file to write; none: on the screen.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="PER, ORG, APP or CAB (repeat for several).")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only what is to be mended.")] = False,
) -> None:
    """Our mailboxes: whose, how they stand, until when their certificates serve, and what is wrong with them."""
    rows: list[dict[str, Any]] = terminal.ask("directory_report", kinds=kind or [], wrong=wrong)
    if file is not None:
        from deploy.node.directory_report import as_csv

        try:
            # Who is on the red list, and when they came last: nobody else on this machine reads it.
            file.touch(mode=0o600)
            file.write_text(as_csv(rows), encoding="utf-8", newline="")
        except OSError as failure:
            raise fail(f"{file} cannot be written: {failure.strerror}.") from None
        terminal.show(rows, f"{len(rows)} {'line is' if len(rows) == 1 else 'lines are'} in {file}.")
    elif terminal.as_json:
        terminal.show(rows)
    elif wrong:
        table(rows, _WRONG, "Nothing is wrong.")
    else:
        table(
            rows,
            {"address": "Address", "kind": "Kind", "state": "State", "shown": "Shown", "wrong": "Wrong"},
            "",
        )


@at_terminal
def autoconfig(
    terminal: Terminal,
    domain: Annotated[str, typer.Argument(help="A domain of mailboxes of this node.")],
    srv: Annotated[bool, typer.Option("--srv", help="The zone's lines alone.")] = False,
) -> None:
    """The lines that the domain's zone needs, so that mail programs find their settings by themselves."""
    told = terminal.ask("directory_autoconfig", domain=domain)
    words = str(told["zone"]).rstrip("\n")
    if not srv and told["addresses"]:
        words += "".join(f"\n; {name}: {where}" for name, where in told["addresses"].items())
    terminal.show(told, words)


def _sentence(told: dict[str, Any]) -> str:
    return _SENTENCES[told["state"]].format(words=told["words"])


def add_publication(directory: typer.Typer) -> None:
    """Under `vaguemestre directory`."""
    for command in (publish, withdraw, publications, report, autoconfig):
        directory.command(command.__name__)(command)
