"""`vaguemestre account member|delegate|readers|seen`: who reads an account that is not theirs.

Invariant: what is shown says until when and with which rights (letters of RFC 4314).
"""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    ask_node,
    show,
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
def member_add(
    shared: str,
    person: str,
    rights: RightsOption = None,
    until: UntilOption = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a person read a shared account, from the next letter on."""
    result = ask_node(home, config, "member_add", shared=shared, person=person, rights=rights, until=until)
    show(result, as_json, f"{person} reads {shared} from the next letter on{_ending(result['until'])}.")


@member.command("remove")
def member_remove(
    shared: str,
    person: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of a shared account, at once."""
    result = ask_node(home, config, "member_remove", shared=shared, person=person)
    show(result, as_json, f"{person} no longer sees {shared}. Copies already pulled stay with them.")


@delegate.command("add")
def delegate_add(
    address: str,
    person: str,
    rights: RightsOption = None,
    until: UntilOption = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a person read somebody's account beside them, as themselves, from the next letter on."""
    result = ask_node(
        home, config, "delegate_add", address=address, person=person, rights=rights, until=until
    )
    show(result, as_json, f"{person} reads {address} from the next letter on{_ending(result['until'])}.")


@delegate.command("remove")
def delegate_remove(
    address: str,
    person: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a delegation, at once."""
    result = ask_node(home, config, "delegate_remove", address=address, person=person)
    show(result, as_json, f"{person} no longer sees {address}. Copies already pulled stay with them.")


def readers(
    address: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who reads an account beside its holder, with which rights and until when."""
    result = ask_node(home, config, "readers_show", address=address)
    if as_json:
        show(result, True, "")
    else:
        columns = {
            "person": "Person", "role": "Role", "rights": "Rights", "since": "Since", "until": "Last day",
            "in_force": "In force",
        }  # fmt: skip
        table(result["readers"], columns, f"Nobody else reads {address}.")


def seen(
    address: str,
    mode: Annotated[str, typer.Argument(help="per-person or common.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Whether each reader has their own read marks and subscriptions in an account."""
    result = ask_node(home, config, "seen_set", address=address, mode=mode)
    whose = "each reader's own" if mode == "per-person" else "the same for all readers"
    show(result, as_json, f"What is marked as read in {address} is {whose}.")


def _ending(until: str | None) -> str:
    return "" if until is None else f", until the end of {until}"
