"""The rules of a node: read at start, read again when asked, and what they would change said before.

Invariants: rules with a problem change nothing; which rules are in force is in the trace by their digest, at each
start and change, with who changed them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from policies import corpus
from policies.decisions import CedarDecisions, Changed
from policies.interface import Event
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


def reload(
    decisions: CedarDecisions,
    audit: Callable[[Sequence[Event]], None],
    at: int,
    *,
    by: str = "node",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Read the rules again: what is wrong with them, which answers asked lately and of the corpus change."""
    before = decisions.in_force
    outcome = decisions.reload(dry_run=dry_run)
    if not dry_run:
        detail = {"before": before.digest, "after": decisions.in_force.digest}
        result = "done" if outcome.applied else "rules-refused"
        audit([Event("policies-reload", at, by, outcome=result, detail=detail)])
    lines = corpus.changes(before, outcome.fresh) if outcome.fresh is not None else ()
    return {
        "applied": outcome.applied,
        "problems": list(outcome.problems),
        "changed": [_changed(each) for each in outcome.changed[:_MOST_SHOWN]],
        "changed_count": len(outcome.changed),
        "corpus": [{"line": case.name, "before": old, "after": new} for case, old, new in lines],
    }


def _changed(each: Changed) -> dict[str, str]:
    question = each.question
    return {
        "action": question.action,
        "principal": f"{question.principal.type} {question.principal.id}",
        "resource": f"{question.resource.type} {question.resource.id}",
        "before": f"{'allow' if each.before.allowed else 'refuse'} {each.before.rule}",
        "after": f"{'allow' if each.after.allowed else 'refuse'} {each.after.rule}",
    }
