"""The rules of a node: read at start, read again when asked, and what they would change said before.

Invariants: rules with a problem change nothing; which rules are in force is in the trace by their digest, at each
start and change, with who changed them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.node.config import load
from deploy.node.control import CommandFailed
from deploy.node.home import Home
from policies import corpus, explain
from policies.decisions import CedarDecisions, Changed
from policies.interface import Attribute, Event
from policies.ruleset import RulesRefused
from policies.settings import PoliciesSettings

_MOST_SHOWN = 200


def load_rules(settings: PoliciesSettings) -> CedarDecisions:
    """Raises RulesRefused, also for rules that widen the corpus unaccepted."""
    return CedarDecisions.load(
        settings.rules,
        settings.kept_decisions,
        local=settings.local_rules,
        guard=corpus.guard(settings.local_rules),
    )


def in_force(decisions: CedarDecisions, at: int) -> Event:
    """What the trace holds of the rules at a start."""
    rules = decisions.in_force
    detail = {"fingerprint": rules.digest, "count": str(len(rules.rules))}
    return Event("policies-in-force", at, "node", detail=detail)


async def reload(
    decisions: CedarDecisions,
    audit: Callable[[Sequence[Event]], None],
    at: int,
    *,
    by: str = "node",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Read the rules again: what is wrong with them, which answers asked lately and of the corpus change."""
    async with decisions.reloading:
        before = decisions.in_force
        outcome = await asyncio.to_thread(decisions.weigh, decisions.kept())
        if not dry_run:
            outcome = decisions.adopt(outcome)
    if not dry_run:
        detail = {"before": before.digest, "after": decisions.in_force.digest}
        result = "done" if outcome.applied else "rules-refused"
        audit([Event("policies-reload", at, by, outcome=result, detail=detail)])
    lines = (
        await asyncio.to_thread(corpus.changes, before, outcome.fresh) if outcome.fresh is not None else ()
    )
    return {
        "applied": outcome.applied,
        "problems": list(outcome.problems),
        "changed": [_changed(each) for each in outcome.changed[:_MOST_SHOWN]],
        "changed_count": len(outcome.changed),
        "corpus": [{"line": case.name, "before": old, "after": new} for case, old, new in lines],
    }


@dataclass(frozen=True, slots=True)
class Checked:
    problems: tuple[str, ...]
    notes: tuple[str, ...]  # what an operator may want to know, and nothing is wrong with
    rules: int

    def as_json(self) -> dict[str, Any]:
        return {"problems": list(self.problems), "notes": list(self.notes), "rules": self.rules}


def check(settings: PoliciesSettings) -> Checked:
    """Whether the rules may be used, and what they answer otherwise than the corpus says."""
    try:
        decisions = load_rules(settings)
    except RulesRefused as refused:
        return Checked(refused.problems, (), 0)
    notes = [
        f"{rule.id} widens what is allowed; accepted: {rule.accepted}"
        for rule in decisions.rules
        if rule.accepted
    ]
    notes += [each.sentence for each in corpus.differences(decisions.in_force)]
    return Checked((), tuple(notes), len(decisions.rules))


async def explained(
    home: Path, config: Path | None, principal: str, action: str, resource: str, context: Sequence[str]
) -> dict[str, Any]:
    """`policies explain` without a node: who and whom are told in words. Raises CommandFailed, RulesRefused."""
    path = config or Home(home).config
    decisions = load_rules(load(path).policies if path.exists() else PoliciesSettings())
    try:
        who, what = explain.described(principal, "principal"), explain.described(resource, "resource")
        if principal == resource:
            what = who if who.type == what.type else what
        known: dict[str, Attribute] = {}
        if action in ("write_to", "carry"):
            known["to_patient"] = what.attributes.get("kind") == "PATIENT"
        if action in ("write_to", "send_out", "close_exchange"):
            known["from_patient"] = who.attributes.get("kind") == "PATIENT"
        question, assumed = explain.ask(who, action, what, explain.given_context(context), known)
    except explain.NotUnderstood as refused:
        raise CommandFailed(str(refused)) from None
    return explain.explain(decisions, question, assumed).as_json()


def _changed(each: Changed) -> dict[str, str]:
    question = each.question
    return {
        "action": question.action,
        "principal": f"{question.principal.type} {question.principal.id}",
        "resource": f"{question.resource.type} {question.resource.id}",
        "before": f"{'allow' if each.before.allowed else 'refuse'} {each.before.rule}",
        "after": f"{'allow' if each.after.allowed else 'refuse'} {each.after.rule}",
    }
