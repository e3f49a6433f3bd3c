"""`vaguemestre directory publish|withdraw|publications|report|autoconfig`."""

from __future__ import annotations

from pathlib import Path
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
_WRONG = {"address": "Address", "kind": "Kind", "wrong": "What is wrong"}
_SENTENCES = {
    "published": "The national directory tells of it.",
    "pending": "The national directory is told within a minute.",
    "refused": "The national directory refuses it: {words}",
    "absent": "The national directory does not tell of it.",
    "nowhere": "No national directory is configured (publication.national_directory).",
}


def publish(
    address: Annotated[str, typer.Argument(help="A mailbox of ours.")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="All our mailboxes: what was refused is asked again.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a mailbox be found, here and at the national directory; what was refused is asked again."""
    told = ask_node(home, config, "directory_publish", address=address, every=every, network=whence.told())
    if every:
        show(
            told,
            as_json,
            f"{len(told)} mailboxes are brought up to date: `directory publications` shows how they stand.",
        )
    else:
        show(told[0], as_json, f"{told[0]['address']} is listed. {_sentence(told[0])}")


def withdraw(
    address: Annotated[str, typer.Argument(help="A mailbox of ours.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence for administrators: it is traced.")] = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nobody find a mailbox any more, here nor at the national directory. Letters to it still arrive."""
    told = ask_node(home, config, "directory_withdraw", address=address, reason=reason, network=whence.told())
    words = {**_SENTENCES, "pending": "The national directory is told within a minute to forget it."}
    sentence = words[told["state"]].format(words=told["words"])
    show(told, as_json, f"{told['address']} is shown to nobody any more. {sentence}")


def publications(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """How each of our mailboxes stands at the national directory."""
    told = ask_node(home, config, "directory_publications")
    show(told, as_json, "")
    if as_json:
        return
    screen.print(told["national_directory"] or _SENTENCES["nowhere"], markup=False, highlight=False)
    if told["key_refused"]:
        screen.print(told["key_refused"], style="red", markup=False, highlight=False)
    table(told["mailboxes"], _COLUMNS, "There is no mailbox yet.")


def report(
    file: Annotated[Path | None, typer.Argument(help="CSV file to write; none: on the screen.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="PER, ORG, APP or CAB (repeat for several).")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only what is to be mended.")] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Our mailboxes: whose, how they stand, until when their certificates serve, and what is wrong with them."""
    rows: list[dict[str, Any]] = ask_node(home, config, "directory_report", kinds=kind or [], wrong=wrong)
    if file is not None:
        from deploy.node.directory_report import as_csv

        try:
            file.write_text(as_csv(rows), encoding="utf-8", newline="")
        except OSError as failure:
            raise fail(f"{file} cannot be written: {failure.strerror}.") from None
        show(rows, as_json, f"{len(rows)} {'line is' if len(rows) == 1 else 'lines are'} in {file}.")
    elif as_json:
        show(rows, True, "")
    elif wrong:
        table(rows, _WRONG, "Nothing is wrong.")
    else:
        table(
            rows,
            {"address": "Address", "kind": "Kind", "state": "State", "shown": "Shown", "wrong": "Wrong"},
            "",
        )


def autoconfig(
    domain: Annotated[str, typer.Argument(help="A domain of mailboxes of this node.")],
    srv: Annotated[bool, typer.Option("--srv", help="The zone's lines alone.")] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The lines that the domain's zone needs, so that mail programs find their settings by themselves."""
    told = ask_node(home, config, "directory_autoconfig", domain=domain)
    words = str(told["zone"]).rstrip("\n")
    if not srv and told["addresses"]:
        words += "".join(f"\n; {name}: {where}" for name, where in told["addresses"].items())
    show(told, as_json, words)


def _sentence(told: dict[str, Any]) -> str:
    return _SENTENCES[told["state"]].format(words=told["words"])


def add_publication(directory: typer.Typer) -> None:
    """Under `vaguemestre directory`."""
    for command in (publish, withdraw, publications, report, autoconfig):
        directory.command(command.__name__)(command)
