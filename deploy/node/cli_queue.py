"""`vaguemestre queue list|show|retry|cancel|hold|release`: letters on their way to other operators.

Invariant: what cannot be undone asks first, unless it is for a machine (`--yes`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    ask_node,
    ask_node_at_length,
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
def queue_list(
    domain: DomainOption = "",
    account: AccountOption = "",
    state: Annotated[str, typer.Option(help="open, waiting, leased, held or done.")] = "open",
    done: Annotated[bool, typer.Option("--done", help="The same as --state done.")] = False,
    by_domain: Annotated[
        bool, typer.Option("--by-domain", help="How each domain stands, in place of letters.")
    ] = False,
    after: Annotated[int, typer.Option(help="Only letters numbered above this one.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many, 1000 at once.")] = 100,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What waits, for which domain, since when and why. No addresses: see `queue show --addresses`."""
    if by_domain:
        _list_domains(home, config, as_json)
        return
    found = ask_node(
        home, config, "queue_list",
        domain=domain, account=account, state="done" if done else state, after=after, limit=limit,
    )  # fmt: skip
    if as_json:
        show(found, True, "")
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


def _list_domains(home: Any, config: Any, as_json: bool) -> None:
    rows = ask_node(home, config, "queue_domains")
    if as_json:
        show(rows, True, "")
        return
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
    table(rows, columns, "Nothing waits.")


@queue.command("show")
def queue_show(
    number: Annotated[int, typer.Argument(help="The letter's number.")],
    addresses: Annotated[
        bool,
        typer.Option(
            "--addresses", help="With addresses and the other side's words: needs the power spaces, traced."
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One letter: what became of each recipient, and why."""
    found = ask_node(home, config, "queue_addresses" if addresses else "queue_show", number=number)
    if as_json:
        show(found, True, "")
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
def queue_retry(
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try them now, and not when they would be due."""
    found = ask_node_at_length(
        home, config, as_json, "queue_retry",
        numbers=numbers or [], domain=domain, account=account, everything=everything,
    )  # fmt: skip
    show(found, as_json, f"{count(found['letters'], 'letter')} due now.")


@queue.command("cancel")
def queue_cancel(
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
    yes: YesOption = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """They leave no more; their senders are told. What an account sent before it was closed leaves unless cancelled."""
    if not (yes or as_json) and not typer.confirm("They will never leave. Cancel them?"):
        raise fail("Nothing was cancelled.")
    found = ask_node_at_length(
        home, config, as_json, "queue_cancel", numbers=numbers or [], domain=domain, account=account
    )
    words = f"{count(found['letters'], 'letter')} cancelled."
    if found["finishing"]:
        words += f" {count(found['finishing'], 'letter')} were being handed over: not tried again."
    show(found, as_json, words)


@queue.command("hold")
def queue_hold(
    numbers: NumbersArgument = None,
    domain: Annotated[str, typer.Option(help="The whole domain, also what is laid for it later.")] = "",
    account: AccountOption = "",
    reason: Annotated[str, typer.Option(help="Why, for other administrators.")] = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep them back until `queue release`. They expire all the same: nothing is lost without being told."""
    found = ask_node_at_length(
        home, config, as_json, "queue_hold",
        numbers=numbers or [], domain=domain, account=account, reason=reason,
    )  # fmt: skip
    show(found, as_json, _hold_words(found))


@queue.command("release")
def queue_release(
    numbers: NumbersArgument = None,
    domain: DomainOption = "",
    account: AccountOption = "",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let go what was held."""
    found = ask_node_at_length(
        home, config, as_json, "queue_release", numbers=numbers or [], domain=domain, account=account
    )
    show(found, as_json, _hold_words(found))


def _hold_words(found: dict[str, Any]) -> str:
    what = "held" if found["held"] else "released"
    if "domain" in found:
        return f"{found['domain']} is {what}{'' if found['changed'] else ' already'}."
    return f"{count(found['letters'], 'letter')} {what}."
