"""`vaguemestre space`: patients' spaces, and the codes that open them.

Invariant: a code is shown once, when it is made; making another ends the one before.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    errors,
)

space = typer.Typer(no_args_is_help=True, help="Patients' spaces: made here, opened by their holders.")


@space.command("add")
@at_terminal
def space_add(
    terminal: Terminal,
    ins: Annotated[
        str,
        typer.Option(
            help="The 15 digits of the INS (matricule and its key); - asks for them, so that no shell keeps them."
        ),
    ],
    family_name: Annotated[str, typer.Option(help="Birth name.")],
    given_names: Annotated[str, typer.Option(help="Given names, as in the civil register.")],
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD.")],
    sex: Annotated[str, typer.Option(help="F, M, or I (not known).")],
    birth_place: Annotated[str, typer.Option(help="INSEE code of the place of birth.")] = "",
) -> None:
    """Make a patient's space. Letters may come at once: they wait, sealed, for its holder."""
    result = terminal.ask(
        "space_add",
        matricule=_typed(ins),
        family_name=family_name,
        given_names=given_names,
        birth_date=birth_date,
        sex=sex.upper(),
        birth_place=birth_place,
    )
    words = f"The space is made. Professionals write to {result['shown']}; logs and the trace say {result['address']}."
    terminal.show(result, f"{words}\n{_code_words(result)}")
    for doubt in result["doubts"]:
        errors.print(
            f"Look again: {doubt} An activation asks for the date as given here.",
            style="yellow",
            markup=False,
            highlight=False,
        )


@space.command("code")
@at_terminal
def space_code(
    terminal: Terminal,
    address: Annotated[
        str, typer.Argument(help="The space: its 15 digits (- asks for them), or either of its addresses.")
    ],
) -> None:
    """A fresh activation code: the first was lost or blocked, or its holder lost every way in."""
    result = terminal.ask("enrolment_code", address=_typed(address))
    terminal.show(result, _code_words(result))


@space.command("list")
@at_terminal
def space_list(terminal: Terminal) -> None:
    """Every space by its opaque address: opened or not, and how many letters wait."""
    rows = terminal.ask("space_list")
    terminal.table(
        rows,
        {
            "address": "Address",
            "activated": "Opened",
            "waiting": "Letters that wait",
            "suspended": "Suspended",
        },
        "No spaces yet: `vaguemestre space add`.",
    )


@space.command("dispensing")
@at_terminal
def space_dispensing(
    terminal: Terminal,
    patient: Annotated[
        str, typer.Argument(help="The space: its 15 digits (- asks for them), or either of its addresses.")
    ],
    pharmacy: Annotated[str, typer.Argument(help="The pharmacy's address (ORG).")],
    date: Annotated[str, typer.Option(help="The day of the dispensing, YYYY-MM-DD.")],
) -> None:
    """Proof that a pharmacy dispensed to a patient: they may write to it first for a year, where it accepts that."""
    result = terminal.ask("space_dispensing", patient=_typed(patient), pharmacy=pharmacy, date=date)
    terminal.show(result, f"Noted: {result['pharmacy']}, {result['date']}. It counts for a year.")


@at_terminal
def page_code(terminal: Terminal, address: str) -> None:
    """A code with which a professional opens the page for the first time, or again after losing every way in."""
    result = terminal.ask("enrolment_code", address=address)
    terminal.show(result, _code_words(result))


def _typed(number: str) -> str:
    return typer.prompt("The 15 digits", err=True) if number == "-" else number


def _code_words(result: dict[str, Any]) -> str:
    patient = result["kind"] == "PATIENT"
    proof = (
        "the birth date and the last five of the 15 digits" if patient else f"the address {result['address']}"
    )
    where = result["link"] or "the page, whose doors are closed by configuration"
    return (
        f"Code, shown this once: {result['code']}\n"
        f"It is typed at {where} with {proof}, until {result['expires']}.\n"
        "A code made before it serves no more."
    )
