"""Says why: the answer to one question with the rule that made it, in French and English, and what the rules saw.

`policies explain` describes who asks and about whom either by address, for a running node, or in words of its own:
`PER:suspended=true`, `operator:domains=autre.fr`, `administrator:powers=audit|keys`, `domain:autre.fr`, `node`.

Invariants: nothing is kept, counted or told to the alarm; what was not given is assumed, and said to be; no secret is
needed, and none is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies import questions
from policies.decisions import UNWRITTEN, CedarDecisions
from policies.interface import Attribute, Entity, Question

KINDS = ("PER", "ORG", "APP", "CAB", "PATIENT")

# What is assumed of the circumstances where nothing is said, by action: also which names and types there are.
CONTEXTS: Mapping[str, Mapping[str, Attribute]] = {
    "submit": {"mechanism": "PLAIN", "rights": ()},
    "hand_over": {"certificate": True, "local": False},
    "receive": {},
    "write_to": {
        "from_patient": False,
        "to_patient": False,
        "standing": "none",
        "blocked": False,
        "dispensed": False,
    },
    "send_out": {
        "listed": True,
        "stale": False,
        "blocked": False,
        "from_patient": False,
        "to_patient": False,
        "standing": "none",
        "refused": False,
    },
    "close_exchange": {"from_patient": False},
    "carry": {"to_patient": False, "codes": ()},
    "hold_in_custody": {},
    "log_in": {"mechanism": "PLAIN", "protocol": "imap", "acr": 0},
    "open_account": {"rights": (), "needed": "r"},
    "share": {"role": "member", "rights": ()},
    "make_app_password": {"acr": 0, "strong": False, "fresh": False},
    "look_up": {},
    "describe": {"field": "red_list", "rights": ()},
    "administer": {"power": "look"},
}


class NotUnderstood(Exception):
    """A question that cannot be made of these words; the text is for who typed them."""


@dataclass(frozen=True, slots=True)
class Explanation:
    question: Question
    allowed: bool
    rule: str
    fr: str
    en: str
    file: str  # where the rule is written; "" for the engine's own answers
    local: bool
    also: tuple[str, ...]  # other rules that held with the same effect, in the order of the text
    permits: tuple[tuple[str, str, str], ...]  # when nothing permits: what could, as @id, fr, en
    assumed: tuple[str, ...]  # circumstances that nobody gave
    fault: str  # why it could not be evaluated

    def as_json(self) -> dict[str, Any]:
        return {
            "allowed": self.allowed,
            "rule": self.rule,
            "fr": self.fr,
            "en": self.en,
            "file": self.file or None,
            "local": self.local,
            "also": list(self.also),
            "permits": [{"rule": rule, "fr": fr, "en": en} for rule, fr, en in self.permits],
            "action": self.question.action,
            "principal": _shown(self.question.principal),
            "resource": _shown(self.question.resource),
            "context": _plain(self.question.context),
            "assumed": list(self.assumed),
            "fault": self.fault or None,
        }


def explain(decisions: CedarDecisions, question: Question, assumed: Sequence[str] = ()) -> Explanation:
    answer = decisions.examine(question)
    told = answer.decision.rule
    rule = next((each for each in decisions.rules if each.id == told), None)
    fr, en = decisions.sentence(told)
    permits = (
        (each.id, each.fr, each.en)
        for each in decisions.rules
        if each.effect == "permit" and question.action in each.actions
    )
    return Explanation(
        question=question,
        allowed=answer.decision.allowed,
        rule=told,
        fr=fr,
        en=en,
        file=rule.file if rule else "",
        local=rule.local if rule else False,
        also=tuple(each.id for each in answer.held if each.id != told),
        permits=tuple(permits) if told in UNWRITTEN and not answer.fault else (),
        assumed=tuple(assumed),
        fault=answer.fault,
    )


def ask(
    principal: Entity, action: str, resource: Entity, given: Mapping[str, str], known: Mapping[str, Attribute]
) -> tuple[Question, tuple[str, ...]]:
    """The question, and which of its circumstances were assumed. `known`: those that the node knows itself.

    Raises NotUnderstood.
    """
    if action not in CONTEXTS:
        raise NotUnderstood(f"Actions are {', '.join(sorted(CONTEXTS))}.")
    otherwise = CONTEXTS[action]
    if strange := sorted(set(given) - set(otherwise)):
        names = ", ".join(otherwise) or "no circumstances"
        raise NotUnderstood(f"{action} knows no {', '.join(strange)}: it knows {names}.")
    context = {
        name: _value(name, given[name], value) if name in given else known.get(name, value)
        for name, value in otherwise.items()
    }
    assumed = tuple(name for name in otherwise if name not in given and name not in known)
    return Question(principal, action, resource, context), assumed


def given_context(words: Sequence[str]) -> dict[str, str]:
    """`["standing=open", ...]` as a mapping. Raises NotUnderstood."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise NotUnderstood(f"{word!r} is not name=value.")
        found[name] = value
    return found


def described(words: str, name: str) -> Entity:
    """An entity in words: `PER`, `ORG:members=me,sector=SA33`, `operator:domains=a.fr|b.fr`, `node`.

    `name` is its id where the words give none; `id=` gives one. Raises NotUnderstood.
    """
    kind, _, rest = words.partition(":")
    if kind == "operator" and rest and not names_attributes(rest):
        return questions.operator(rest)
    if kind == "node" and not rest:
        return questions.NODE
    if kind == "domain":
        return Entity("Domain", rest.lower(), {"name": rest.lower()})
    given = given_context([each for each in rest.split(",") if each])
    key = given.pop("id", name)
    made = _blank(kind, key)
    if strange := sorted(set(given) - set(made.attributes)):
        raise NotUnderstood(f"{kind} has no {', '.join(strange)}: it has {', '.join(made.attributes)}.")
    attributes = {
        attribute: _value(attribute, given[attribute], value) if attribute in given else value
        for attribute, value in made.attributes.items()
    }
    return Entity(made.type, key, attributes)


def names_attributes(words: str) -> bool:
    """Whether `words` tell attributes of an operator (`domains=a.fr`), and not its name (`CN=x,O=y`)."""
    return words.partition("=")[0] in {*questions.operator("").attributes, "id"}


def _blank(kind: str, key: str) -> Entity:
    if kind.upper() in KINDS:
        return questions.account(key, "", kind.upper(), suspended=False)
    match kind:
        case "system":
            return questions.system(key, "", suspended=False)
        case "operator":
            return questions.operator(key)
        case "administrator":
            return questions.administrator(key)
        case _:
            kinds = ", ".join((*KINDS, "system", "operator", "administrator", "domain", "node"))
            raise NotUnderstood(f"{kind!r} is no kind: {kinds}; or an address, for a node that runs.")


def _value(name: str, text: str, like: Attribute) -> Attribute:
    """The text as a value of the same type. Raises NotUnderstood."""
    if isinstance(like, bool):
        if text.lower() not in ("true", "false", "yes", "no"):
            raise NotUnderstood(f"{name} is true or false.")
        return text.lower() in ("true", "yes")
    if isinstance(like, int):
        if not text.isdecimal():
            raise NotUnderstood(f"{name} is a number.")
        return int(text)
    if isinstance(like, str):
        return text
    # Rights are letters; any other set is written a|b.
    return tuple(text) if name == "rights" else tuple(each for each in text.split("|") if each)


def _shown(entity: Entity) -> dict[str, Any]:
    return {"type": entity.type, "id": entity.id, **_plain(entity.attributes)}


def _plain(values: Mapping[str, Attribute]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | bool | int) else list(value) for name, value in values.items()
    }
