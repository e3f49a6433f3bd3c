"""`vaguemestre policies`: whether the rules hold together, why an answer is as it is, what a change changes.

Invariant: `check` and `explain` need no secret; `explain` about kinds (`PER`, `PATIENT`...) needs no node either.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from deploy.node import whence
from deploy.node.terminal import (
    Terminal,
    at_terminal,
    count,
    fail,
    run,
    screen,
    table,
)

policies = typer.Typer(no_args_is_help=True, help="The rules, as text.")
operator = typer.Typer(
    no_args_is_help=True, help="Operators that hand nothing over here, whatever the list says."
)
policies.add_typer(operator, name="operator")

ContextOption = Annotated[
    list[str] | None, typer.Option("--context", help="A circumstance, name=value; again for another.")
]


class Language(StrEnum):
    FR = "fr"
    EN = "en"


@policies.command("check")
@at_terminal
def policies_check(terminal: Terminal) -> None:
    """Check the rules, local ones included: schema, ids, callers, and that nothing widens the corpus of decisions."""
    from deploy.node import rules
    from deploy.node.config import load
    from deploy.node.home import Home
    from policies.settings import PoliciesSettings

    async def checked() -> rules.Checked:
        path = terminal.config or Home(terminal.home.absolute()).config
        return rules.check(load(path).policies if path.exists() else PoliciesSettings())

    found = run(checked())
    lines = [*found.problems, *(f"note: {note}" for note in found.notes)]
    lines += [] if found.problems else [f"{count(found.rules, 'rule')} hold together."]
    terminal.show(found.as_json(), "\n".join(lines))
    if found.problems:
        raise typer.Exit(1)


@policies.command("explain")
@at_terminal
def policies_explain(
    terminal: Terminal,
    principal: Annotated[
        str,
        typer.Option(help="Who asks: an address, or a kind: PER, PATIENT:suspended=true, operator:CN=..."),
    ],
    action: Annotated[str, typer.Option(help="What: submit, write_to, log_in, open_account, administer...")],
    resource: Annotated[
        str, typer.Option(help="About whom: an address, a kind, domain:x.fr, node.")
    ] = "node",
    context: ContextOption = None,
    lang: Annotated[Language, typer.Option(help="Language of the sentence.")] = Language.FR,
) -> None:
    """Why something is allowed or refused: the rule's id, its sentence, and what it saw."""
    from deploy.node import rules

    words = (principal, resource)
    if any("@" in each.partition(":")[0] for each in words) or any(
        each.startswith(("operator:", "administrator:")) and (terminal.home / "control.sock").exists()
        for each in words
    ):
        found = terminal.ask(
            "policies_explain", principal=principal, action=action, resource=resource, context=context or [],
        )  # fmt: skip
    else:
        found = run(
            rules.explained(
                terminal.home.absolute(), terminal.config, principal, action, resource, context or []
            )
        )
    terminal.show(found, _explained(found, lang))


def _explained(found: dict[str, Any], lang: Language) -> str:
    answer = "allow" if found["allowed"] else "refuse"
    lines = [f"{answer}  @{found['rule']}", f"  {found[lang.value]}"]
    if found["file"]:
        lines.append(f"  written in {found['file']}{' (local)' if found['local'] else ''}")
    if found["fault"]:
        lines.append(f"  not evaluated: {found['fault']}")
    lines += [f"  would hold too: @{each}" for each in found["also"]]
    lines += [f"  could permit: @{each['rule']}: {each[lang.value]}" for each in found["permits"]]
    for name in ("principal", "resource"):
        entity = found[name]
        seen = _seen({key: value for key, value in entity.items() if key not in ("type", "id")})
        lines.append(f"  {name}: {entity['type']} {entity['id']}{seen}")
    if found["context"]:
        lines.append(f"  context:{_seen(found['context'])}")
    if found["assumed"]:
        lines.append(f"  assumed: {', '.join(found['assumed'])}")
    return "\n".join(lines)


def _seen(values: dict[str, Any]) -> str:
    def written(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return f"[{' '.join(map(str, value))}]" if isinstance(value, list) else str(value) or '""'  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    return "".join(f" {name}={written(value)}" for name, value in values.items())


@policies.command("reload")
@at_terminal
def policies_reload(
    terminal: Terminal,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
) -> None:
    """Have the running node read its rules again; bad ones change nothing."""
    if not (terminal.home / "control.sock").exists():
        raise fail(
            "The node does not run: it reads its rules when it starts (`policies check` says how they are)."
        )
    found = terminal.ask("policies_reload", dry_run=dry_run)
    terminal.show(found)
    if not terminal.as_json:
        _show_reload(found, dry_run)
    if found["problems"]:
        raise typer.Exit(1)


def _show_reload(found: dict[str, Any], dry_run: bool) -> None:
    for problem in found["problems"]:
        screen.print(problem, markup=False, highlight=False)
    if found["problems"]:
        screen.print("The rules in force stay as they were.")
        return
    table(
        [{"what": each["line"], **each} for each in found["corpus"]]
        + [
            {"what": f"{each['action']}: {each['principal']} on {each['resource']}", **each}
            for each in found["changed"]
        ],
        {"what": "Question", "before": "Before", "after": "After"},
        "No answer asked lately, and none of the corpus, changes.",
    )
    if (more := found["changed_count"] - len(found["changed"])) > 0:
        screen.print(f"... and {count(more, 'more answer')}.")
    screen.print("Nothing was changed (dry run)." if dry_run else "The rules are in force.")


@operator.command("block")
@at_terminal
def operator_block(
    terminal: Terminal,
    dn: Annotated[str, typer.Argument(help="The name of its certificate: CN=..., O=...")],
    reason: Annotated[str, typer.Option(help="Why, for the other administrators and the trace.")],
) -> None:
    """From now on this operator hands nothing over, also in connections that are open."""
    found = terminal.ask("operator_block", dn=dn, reason=reason, network=whence.told())
    words = "" if found["listed"] else "\nThe trust list does not know it: check the spelling."
    terminal.show(found, f"{found['dn']} is blocked.{words}")


@operator.command("unblock")
@at_terminal
def operator_unblock(
    terminal: Terminal,
    dn: Annotated[str, typer.Argument(help="The name of its certificate: CN=..., O=...")],
    reason: Annotated[str, typer.Option(help="Why, for the trace.")] = "",
) -> None:
    """End a block."""
    found = terminal.ask("operator_unblock", dn=dn, reason=reason, network=whence.told())
    terminal.show(found, f"{found['dn']} is blocked no more.")


@operator.command("list")
@at_terminal
def operator_list(terminal: Terminal) -> None:
    """Which operators are blocked, since when, why and by whom."""
    rows = terminal.ask("operator_list")
    columns = {"dn": "Operator", "since": "Since (UTC)", "reason": "Why", "by": "By"}
    terminal.table(rows, columns, "No operator is blocked.")
