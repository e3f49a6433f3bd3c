"""`vaguemestre queue list|show|retry|cancel|hold|release`: letters on their way to other operators.

Invariant: what cannot be undone asks first, unless it is for a machine (`--yes`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    count,
    fail,
    screen,
    show,
    table,
)

queue = typer.Typer(no_args_is_help=True, help="Letters on their way to other operators.")
NumbersArgument = Annotated[
    list[int] | None, typer.Argument(help="Numbers of letters, as `queue list` shows.")
]
DomainOption = Annotated[str, typer.Option(help="All letters for this domain.")]
AccountOption = Annotated[str, typer.Option(help="All letters of this account (its address).")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@queue.command("list")
@at_terminal
def queue_list(
    terminal: Terminal,
    domain: DomainOption = "",
    account: AccountOption = "",
    state: Annotated[str, typer.Option(help="open, waiting, leased, held or done.")] = "open",
    done: Annotated[bool, typer.Option("--done", help="The same as --state done.")] = False,
    by_domain: Annotated[
        bool, typer.Option("--by-domain", help="How each domain stands, in place of letters.")
    ] = False,
    after: Annotated[int, typer.Option(help="Only letters numbered above this one.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many, 1000 at once.")] = 100,
) -> None:
    """What waits, for which domain, since when and why. No addresses: see `queue show --addresses`."""
    if by_domain:
        _list_domains(terminal)
        return
    found = terminal.ask(
        "queue_list", domain=domain, account=account, state="done" if done else state, after=after, limit=limit,
    )  # fmt: skip
    if terminal.as_json:
        terminal.show(found)
        return
    columns = {
        "id": "Letter",
        "domain": "Domain",
        "state": "State",
        "readable": "Leaves",
        "accepted_at": "Since (UTC)",
        "due": "Due (UTC)",
        "attempts": "Tried",
        "waiting": "Waiting",
        "settled": "Settled",
        "reason": "Why",
    }
    chosen = domain or account or after or done or state != "open"
    table(found["letters"], columns, "No such letter." if chosen else "Nothing waits.")
    if (more := found["total"] - len(found["letters"])) > 0 and found["next"] is not None:
        screen.print(f"{count(found['total'], 'letter')} in all; go on with --after {found['next']}.")
    elif more > 0 and not after:
        screen.print(f"{count(found['total'], 'letter')} in all.")


def _list_domains(terminal: Terminal) -> None:
    rows = terminal.ask("queue_domains")
    columns = {
        "domain": "Domain",
        "waiting": "Letters",
        "oldest": "Since (UTC)",
        "failures": "Failures",
        "retry_at": "Tried again (UTC)",
        "reason": "Why",
        "blocked": "Blocked",
        "held": "Held",
        "held_by": "By",
        "held_reason": "Because",
    }
    terminal.table(rows, columns, "Nothing waits.")


@queue.command("show")
@at_terminal
def queue_show(
    terminal: Terminal,
    number: Annotated[int, typer.Argument(help="The letter's number.")],
    addresses: Annotated[
        bool,
        typer.Option(
            "--addresses", help="With addresses and the other side's words: needs the power spaces, traced."
        ),
    ] = False,
) -> None:
    """One letter: what became of each recipient, and why."""
    found = terminal.ask("queue_addresses" if addresses else "queue_show", number=number)
    if terminal.as_json:
        terminal.show(found)
        return
    what = f"Letter {found['id']} ({found['reference']}) for {found['domain']}"
    due = f" Due {found['due']}." if found["due"] else ""
    lines = [
        f"{what}: {found['state']}, {found['readable']}, {found['size']} octets.",
        f"Accepted {found['accepted_at']}, tried {count(found['attempts'], 'time')}.{due}",
        f"Expires {found['expires']} (UTC).",
    ]
    if found["mail_from"] is not None:
        lines.append(f"From <{found['mail_from']}>.")
    show(found, False, "\n".join(lines))
    columns = {
        "place": "No",
        "address": "Address",
        "state": "State",
        "attempts": "Tried",
        "at": "Last (UTC)",
        "phase": "At",
        "reason": "Why",
        "code": "Reply",
        "enhanced": "",
        "host": "Server",
        "said": "Said",
        "possibly_twice": "Possibly twice",
    }
    if not addresses:
        del columns["address"], columns["said"]
    table(found["recipients"], columns, "No recipients.")


@queue.command("retry")
@at_terminal
def queue_retry(
    terminal: Terminal,
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
) -> None:
    """Try them now, and not when they would be due."""
    found = terminal.ask_at_length(
        "queue_retry", numbers=numbers or [], domain=domain, account=account, everything=everything,
    )  # fmt: skip
    terminal.show(found, f"{count(found['letters'], 'letter')} due now.")


@queue.command("cancel")
@at_terminal
def queue_cancel(
    terminal: Terminal,
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
    yes: YesOption = False,
) -> None:
    """They leave no more; their senders are told. What an account sent before it was closed leaves unless cancelled."""
    if not (yes or terminal.as_json) and not typer.confirm("They will never leave. Cancel them?"):
        raise fail("Nothing was cancelled.")
    found = terminal.ask_at_length("queue_cancel", numbers=numbers or [], domain=domain, account=account)
    words = f"{count(found['letters'], 'letter')} cancelled."
    if found["finishing"]:
        words += f" {count(found['finishing'], 'letter')} were being handed over: not tried again."
    terminal.show(found, words)


@queue.command("hold")
@at_terminal
def queue_hold(
    terminal: Terminal,
    numbers: NumbersArgument = None,
    domain: Annotated[str, typer.Option(help="The whole domain, also what is laid for it later.")] = "",
    account: AccountOption = "",
    reason: Annotated[str, typer.Option(help="Why, for other administrators.")] = "",
) -> None:
    """Keep them back until `queue release`. They expire all the same: nothing is lost without being told."""
    found = terminal.ask_at_length(
        "queue_hold", numbers=numbers or [], domain=domain, account=account, reason=reason,
    )  # fmt: skip
    terminal.show(found, _hold_words(found))


@queue.command("release")
@at_terminal
def queue_release(
    terminal: Terminal,
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
) -> None:
    """Let go what was held."""
    found = terminal.ask_at_length("queue_release", numbers=numbers or [], domain=domain, account=account)
    terminal.show(found, _hold_words(found))


def _hold_words(found: dict[str, Any]) -> str:
    what = "held" if found["held"] else "released"
    if "domain" in found:
        return f"{found['domain']} is {what}{'' if found['changed'] else ' already'}."
    return f"{count(found['letters'], 'letter')} {what}."
