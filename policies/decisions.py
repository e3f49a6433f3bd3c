"""Answers questions from the Cedar rules: pure, fast, refused whenever in doubt.

Invariants: the same question always has the same answer under the same rules, so answers are kept, keyed by
the whole question; what cannot be evaluated is refused with the rule "evaluation-error", counted, logged, told
to `on_alarm`, never kept; a reload that finds a problem changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import marshal
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cedarpy
from prometheus_client import Counter

from policies import ruleset
from policies.interface import Attribute, Decision, Entity, Question

EVALUATION_ERROR = Decision(allowed=False, rule="evaluation-error")
DEFAULT_REFUSE = Decision(allowed=False, rule="default-refuse")

_engine: Any = cedarpy  # its annotations are partial
_dumps: Callable[[Any, int], bytes] = marshal.dumps
_log = logging.getLogger("vaguemestre.policies")
_errors = Counter(
    "vaguemestre_policy_evaluation_errors", "Questions refused because the rules could not be evaluated"
)
_POLICY_KEY = re.compile(r"\bpolicy(\d+)\b")


@dataclass(frozen=True, slots=True)
class Changed:
    """A question asked lately whose answer is not the same under the rules just read."""

    question: Question
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class Reload:
    """Outcome of reading the rules again. `applied` is False when there are problems, or for a dry run."""

    applied: bool
    problems: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()
    fresh: ruleset.RuleSet | None = field(default=None, repr=False)  # what was read, when it may be used


# What a person is told where no rule of the text is at the origin: the engine's own answers.
UNWRITTEN: dict[str, tuple[str, str]] = {
    DEFAULT_REFUSE.rule: (
        "Aucune règle ne le permet\u00a0: ce qui n'est pas permis est refusé.",
        "No rule permits it: what is not permitted is refused.",
    ),
    EVALUATION_ERROR.rule: (
        "La question n'a pas pu être évaluée\u00a0: elle est refusée et l'alarme est donnée.",
        "The question could not be evaluated: it is refused, and the alarm is raised.",
    ),
}

Guard = Callable[[ruleset.RuleSet], Sequence[str]]  # more problems that a set of rules may have


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision with every rule that held, in the order of the text. `fault`: why it was not evaluated."""

    decision: Decision
    held: tuple[ruleset.Rule, ...] = ()
    fault: str = ""


class CedarDecisions:
    """Implements `policies.interface.Decisions`. One loop calls it; it does no I/O but at load and reload."""

    def __init__(
        self,
        rules: ruleset.RuleSet,
        folder: Path,
        kept: int = 4096,
        local: Path | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._folder = folder
        self._local = local
        self._guard = guard
        self.on_alarm: Callable[[Question, str], None] | None = None  # told of each question not evaluated
        self._kept_most = kept
        self._kept: OrderedDict[bytes, tuple[Question, Decision]] = OrderedDict()
        self._use(rules)
        self.evaluation_errors = 0
        self.reloading = asyncio.Lock()  # for who weighs new rules beside the loop: one after the other

    @classmethod
    def load(
        cls,
        folder: Path | None = None,
        kept: int = 4096,
        *,
        local: Path | None = None,
        guard: Guard | None = None,
    ) -> CedarDecisions:
        """Read a rules folder (the one shipped here by default) and the local rules beside it.

        `guard` looks for more problems, now and at each reload. Raises `ruleset.RulesRefused`.
        """
        folder = folder or ruleset.DEFAULT_FOLDER
        return cls(_read(folder, local, guard), folder, kept, local, guard)

    @property
    def rules(self) -> tuple[ruleset.Rule, ...]:
        return self._rules.rules

    @property
    def in_force(self) -> ruleset.RuleSet:
        """The rules in force, to compare others with."""
        return self._rules

    def sentence(self, rule: str) -> tuple[str, str]:
        """What a rule says, in French and in English, for the person it refused. Raises KeyError."""
        if rule in UNWRITTEN:
            return UNWRITTEN[rule]
        return self._sentences[rule]

    def kept(self) -> tuple[tuple[Question, Decision], ...]:
        """The questions whose answers are kept, least recently asked first."""
        return tuple(self._kept.values())

    def decide(self, question: Question) -> Decision:
        try:
            key = _key(question)
        except ValueError:  # a str subclass, a mapping that is no dict: say the same in plain values
            try:
                plain = _plain_question(question)
            except (TypeError, ValueError, RecursionError):
                return self._alarm(question, "a value that no rule can read")
            return self._kept_or_new(_key(plain), plain)
        return self._kept_or_new(key, question)

    def reload(self, *, dry_run: bool = False) -> Reload:
        """Read the folder again. Bad rules keep the old ones; a dry run tells what would change, no more."""
        weighed = self.weigh(self.kept())
        return weighed if dry_run else self.adopt(weighed)

    def weigh(self, asked: Sequence[tuple[Question, Decision]]) -> Reload:
        """What reading the folder again would change of these answers. For any thread: some 40 ms, changes nothing."""
        try:
            fresh = _read(self._folder, self._local, self._guard)
        except ruleset.RulesRefused as refused:
            _log.error("rules not reloaded, the old ones stay: %d problem(s)", len(refused.problems))
            return Reload(applied=False, problems=refused.problems)
        probe = CedarDecisions(fresh, self._folder, kept=0)
        changed = tuple(
            Changed(question, before, after)
            for question, before in asked
            if (after := probe.decide(question)) != before
        )
        return Reload(applied=False, changed=changed, fresh=fresh)

    def adopt(self, weighed: Reload) -> Reload:
        """Put the rules just weighed in force, where nothing was wrong with them."""
        if weighed.fresh is None:
            return weighed
        self._kept.clear()
        self._use(weighed.fresh)
        return replace(weighed, applied=True)

    def examine(self, question: Question) -> Answer:
        """The answer with every rule that held, for who asks why: nothing is kept, counted or told."""
        try:
            return self._answer(_plain_question(question))
        except (TypeError, ValueError, RecursionError):
            return Answer(EVALUATION_ERROR, fault="a value that no rule can read")

    def _use(self, rules: ruleset.RuleSet) -> None:
        self._rules = rules
        self._sentences = {rule.id: (rule.fr, rule.en) for rule in rules.rules}

    def _kept_or_new(self, key: bytes, question: Question) -> Decision:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]
        decision = self._evaluate(question)
        if decision is not EVALUATION_ERROR and self._kept_most:
            self._kept[key] = (question, decision)
            if len(self._kept) > self._kept_most:
                self._kept.popitem(last=False)
        return decision

    def _evaluate(self, question: Question) -> Decision:
        answer = self._answer(question)
        return self._alarm(question, answer.fault) if answer.fault else answer.decision

    def _answer(self, question: Question) -> Answer:
        rules = self._rules
        try:
            entities = _engine.Entities.from_json_str(
                json.dumps([self._entity(question.principal), self._entity(question.resource)]), rules.schema
            )
            request = {
                "principal": {"type": question.principal.type, "id": question.principal.id},
                "action": {"type": "Action", "id": question.action},
                "resource": {"type": question.resource.type, "id": question.resource.id},
                "context": dict(question.context),
            }
            result = _engine.is_authorized(request, rules.policies[question.action], entities, rules.schema)
        except Exception as error:  # fail closed, whatever the engine raises
            return Answer(
                EVALUATION_ERROR, fault=f"a question that does not fit the schema ({type(error).__name__})"
            )
        if result.diagnostics.errors:
            named = self._named(result.diagnostics.errors)
            fault = f"a rule that fails ({named})" if named else "a question that does not fit the schema"
            return Answer(EVALUATION_ERROR, fault=fault)
        positions = sorted(int(reason.removeprefix("policy")) for reason in result.diagnostics.reasons)
        held = tuple(rules.rules[position] for position in positions)
        # Several rules may hold: the first in the order of the text is the one that is told.
        return Answer(Decision(result.allowed, held[0].id) if held else DEFAULT_REFUSE, held)

    def _entity(self, entity: Entity) -> dict[str, Any]:
        references = self._rules.references
        attributes: dict[str, Any] = {
            name: _reference(value, references[name]) if name in references else value
            for name, value in entity.attributes.items()
        }
        return {"uid": {"type": entity.type, "id": entity.id}, "attrs": attributes, "parents": []}

    def _alarm(self, question: Question, what: str) -> Decision:
        """Never the engine's own text: it repeats attribute values."""
        self.evaluation_errors += 1
        _errors.inc()
        _log.error(
            "refused, not evaluated: %s (action %s, %s on %s)",
            what,
            str(question.action)[:40],
            str(question.principal.type)[:40],
            str(question.resource.type)[:40],
        )
        if self.on_alarm is not None:
            self.on_alarm(question, what)
        return EVALUATION_ERROR

    def _named(self, errors: list[str]) -> str:
        positions = {int(digits) for error in errors for digits in _POLICY_KEY.findall(error)}
        rules = self._rules.rules
        return ", ".join(rules[position].id for position in sorted(positions) if position < len(rules))


def check(
    folder: Path | None = None, local: Path | None = None, guard: Guard | None = None
) -> tuple[str, ...]:
    """Every problem of the rules, for `vaguemestre policies check`; empty when they may be used."""
    try:
        _read(folder or ruleset.DEFAULT_FOLDER, local, guard)
    except ruleset.RulesRefused as refused:
        return refused.problems
    return ()


def _read(folder: Path, local: Path | None, guard: Guard | None) -> ruleset.RuleSet:
    rules = ruleset.read(folder, local)
    if guard is not None and (problems := tuple(guard(rules))):
        raise ruleset.RulesRefused(problems)
    return rules


def _reference(value: Attribute, kind: str) -> Any:
    if isinstance(value, str):
        return {"__entity": {"type": kind, "id": value}}
    if isinstance(value, (bool, int)):
        return value  # the schema refuses it
    return [{"__entity": {"type": kind, "id": each}} for each in value]


def _key(question: Question) -> bytes:
    """The whole question as bytes. Raises ValueError on what is not a plain value.

    Version 2 of marshal has no back-references, so equal values are equal bytes, and it tells True from 1.
    """
    principal, resource = question.principal, question.resource
    return _dumps(
        (
            principal.type,
            principal.id,
            principal.attributes,
            question.action,
            resource.type,
            resource.id,
            resource.attributes,
            question.context,
        ),
        2,
    )


def _plain_question(question: Question) -> Question:
    return Question(
        _plain_entity(question.principal),
        _plain_text(question.action),
        _plain_entity(question.resource),
        _plain_mapping(question.context),
    )


def _plain_entity(entity: Entity) -> Entity:
    return Entity(_plain_text(entity.type), _plain_text(entity.id), _plain_mapping(entity.attributes))


def _plain_mapping(mapping: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {_plain_text(name): _plain_value(value) for name, value in mapping.items()}


def _plain_value(value: Attribute) -> Attribute:
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    return tuple(_plain_text(each) for each in cast("tuple[object, ...]", tuple(value)))


def _plain_text(text: object) -> str:
    """A `StrEnum` member or other str subclass as the str it stands for."""
    if not isinstance(text, str):
        raise TypeError("not a text")
    return str.__str__(text)
