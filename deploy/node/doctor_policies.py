"""What `vaguemestre doctor` looks at of the rules: whether they may be used, who administers, which software has a
password, whether a question could not be evaluated.

Invariant: it asks the rules as `explain` does: nothing is kept, counted or changed.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.node import rules
from deploy.node.administrators import AdministratorsSettings, user_of
from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home
from policies import questions
from policies.decisions import DEFAULT_REFUSE, CedarDecisions
from policies.ruleset import RulesRefused


def policy_findings(settings: Config, home: Path) -> Iterator[Finding]:
    try:
        decisions = rules.load_rules(settings.policies)
    except RulesRefused as refused:
        for problem in refused.problems:
            yield Finding("rules", "failed", problem)
        return
    yield Finding("rules", "good", f"{len(decisions.rules)} rules hold together.")
    for rule in decisions.rules:
        if rule.accepted:
            yield Finding(
                "rules", "warning", f"Local rule {rule.id} widens what is allowed ({rule.accepted})."
            )
    yield from _administrators(settings.administrators, home, decisions)


def _administrators(
    settings: AdministratorsSettings, home: Path, decisions: CedarDecisions
) -> Iterator[Finding]:
    if not settings.people:
        owner = user_of(home.stat().st_uid).name if home.is_dir() else "the owner of the home"
        yield Finding(
            "administrators", "warning", f"Nobody is named ([administrators]): {owner} has every power alone."
        )
        return
    wrong = False
    for name, powers in sorted(settings.people.items()):
        for sentence in _wrong_with(name, powers, decisions):
            wrong = True
            yield Finding("administrators", "warning", sentence)
    if not wrong:
        yield Finding("administrators", "good", f"{len(settings.people)} named, their powers held apart.")


def _wrong_with(name: str, powers: tuple[questions.Power, ...], decisions: CedarDecisions) -> Iterator[str]:
    try:
        pwd.getpwnam(name)
    except KeyError:
        yield f"{name} is no user of this machine."
    who = questions.administrator(name, powers)
    for power in powers:
        decision = decisions.examine(questions.may_administer(who, power)).decision
        if not decision.allowed and decision != DEFAULT_REFUSE:
            _, words = decisions.sentence(decision.rule)
            yield f"{name} cannot use the power {power.value}: {words[:1].lower()}{words[1:]}"


async def running_policies(home: Path, status: Mapping[str, Any]) -> list[Finding]:
    """Of the running node, whose `status` is known."""
    errors = int(status.get("policy_errors", 0))
    found: list[Finding] = []
    if errors:
        found.append(
            Finding(
                "rules",
                "failed",
                f"{errors} question(s) could not be evaluated and were refused since the start:"
                " `vaguemestre audit show --action policy-alarm` says which.",
            )
        )
    try:
        rows: list[dict[str, Any]] = await ask(Home(home).control_socket, "software_access", {})
    except (NodeDown, CommandFailed):
        return found
    found += [Finding("software", "warning", _path(row)) for row in rows if row["passwords"] or row["rule"]]
    if not any(row["passwords"] or row["rule"] for row in rows):
        found.append(Finding("software", "good", f"{len(rows)} software account(s): by certificate alone."))
    return found


def _path(row: Mapping[str, Any]) -> str:
    address, rule = row["address"], row["rule"]
    if not rule:
        return f"{address} has an app password that no rule lets it use: revoke it."
    if not row["passwords"]:
        return f"{address} may log in by password (rule {rule}) and has none: take it out of the rule."
    return f"{address} logs in by password (rule {rule}): give it a client certificate as soon as it can hold one."
