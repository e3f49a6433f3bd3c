"""`vaguemestre account member|delegate|readers|seen`: who reads an account that is not theirs.

Invariant: what is shown says until when and with which rights (letters of RFC 4314).
"""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    table,
)

member = typer.Typer(no_args_is_help=True, help="Members of a shared account (ORG, CAB).")
delegate = typer.Typer(no_args_is_help=True, help="Delegates of a person (PER): secretary, locum.")
RightsOption = Annotated[
    str | None,
    typer.Option(help="Letters of RFC 4314: l r s w i p k x t e a. Reading and answering if left out."),
]
UntilOption = Annotated[str | None, typer.Option(help="The last day, YYYY-MM-DD. No end if left out.")]


def add_readers(account: typer.Typer) -> None:
    """Under `vaguemestre account`."""
    account.add_typer(member, name="member")
    account.add_typer(delegate, name="delegate")
    account.command("readers")(readers)
    account.command("seen")(seen)


@member.command("add")
@at_terminal
def member_add(
    terminal: Terminal, shared: str, person: str, rights: RightsOption = None, until: UntilOption = None
) -> None:
    """Let a person read a shared account, from the next letter on."""
    result = terminal.ask("member_add", shared=shared, person=person, rights=rights, until=until)
    terminal.show(result, f"{person} reads {shared} from the next letter on{_ending(result['until'])}.")


@member.command("remove")
@at_terminal
def member_remove(terminal: Terminal, shared: str, person: str) -> None:
    """Take a person out of a shared account, at once."""
    result = terminal.ask("member_remove", shared=shared, person=person)
    terminal.show(result, f"{person} no longer sees {shared}. Copies already pulled stay with them.")


@delegate.command("add")
@at_terminal
def delegate_add(
    terminal: Terminal, address: str, person: str, rights: RightsOption = None, until: UntilOption = None
) -> None:
    """Let a person read somebody's account beside them, as themselves, from the next letter on."""
    result = terminal.ask("delegate_add", address=address, person=person, rights=rights, until=until)
    terminal.show(result, f"{person} reads {address} from the next letter on{_ending(result['until'])}.")


@delegate.command("remove")
@at_terminal
def delegate_remove(terminal: Terminal, address: str, person: str) -> None:
    """End a delegation, at once."""
    result = terminal.ask("delegate_remove", address=address, person=person)
    terminal.show(result, f"{person} no longer sees {address}. Copies already pulled stay with them.")


@at_terminal
def readers(terminal: Terminal, address: str) -> None:
    """Who reads an account beside its holder, with which rights and until when."""
    result = terminal.ask("readers_show", address=address)
    if terminal.as_json:
        terminal.show(result)
    else:
        columns = {
            "person": "Person", "role": "Role", "rights": "Rights", "since": "Since", "until": "Last day",
            "in_force": "In force",
        }  # fmt: skip
        table(result["readers"], columns, f"Nobody else reads {address}.")


@at_terminal
def seen(
    terminal: Terminal, address: str, mode: Annotated[str, typer.Argument(help="per-person or common.")]
) -> None:
    """Whether each reader has their own read marks and subscriptions in an account."""
    result = terminal.ask("seen_set", address=address, mode=mode)
    whose = "each reader's own" if mode == "per-person" else "the same for all readers"
    terminal.show(result, f"What is marked as read in {address} is {whose}.")


def _ending(until: str | None) -> str:
    return "" if until is None else f", until the end of {until}"
