"""Reads the rules folder into parsed Cedar handles, and says everything that is wrong with it.

Two folders make one set: the rules shipped (or the operator's own in their place), and the operator's local
rules beside them, which are checked against the same schema and bring none of their own.

Invariants: a `RuleSet` is complete and checked (schema valid, every rule validates strictly, has a unique
`@id`, a French and an English sentence, and a known `@caller` that asks its actions); a local permit says in
`@accepted` who accepted that it widens what is allowed; folders with any problem yield none. Since a forbid
always wins, no local rule grants what another rule refuses by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cedarpy

from policies.questions import ACTIONS_OF, Caller

DEFAULT_FOLDER = Path(__file__).with_name("rules")
RESERVED_IDS = frozenset({"default-refuse", "evaluation-error"})

_engine: Any = cedarpy  # its annotations are partial
_ID = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
_COMMENT = re.compile(r"//[^\n]*")
_ENTITY = re.compile(r"\bentity\s+(\w+(?:\s*,\s*\w+)*)")
_REFERENCE = re.compile(r"\b(\w+)\s*\??\s*:\s*(?:Set\s*<\s*(\w+)\s*>|(\w+))")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as a reader sees it."""

    id: str
    effect: str  # "permit" or "forbid"
    actions: frozenset[str]  # empty: any action
    caller: str
    fr: str
    en: str
    file: str
    local: bool = False  # the operator's own, beside the others
    accepted: str = ""  # local permits: who accepted what it widens, and why


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything a decision needs, parsed once."""

    rules: tuple[Rule, ...]  # in the order of the text; Cedar's own `policy<N>` is the position here
    policies: Mapping[str, cedarpy.PolicySet] = field(
        repr=False
    )  # by action: a question meets its own rules alone
    schema: cedarpy.Schema = field(repr=False)
    digest: str  # SHA-256 of the whole text, for the trace
    references: Mapping[str, str]  # attribute name -> entity type, for attributes that name entities


class RulesRefused(Exception):
    """A rules folder that must not be used; `problems` are sentences for the person who wrote it."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read(folder: Path, local: Path | None = None) -> RuleSet:
    """Read and check a folder, and the local rules beside it. Raises RulesRefused with every problem found."""
    problems: list[str] = []
    schema_text, files = _texts(folder, schema=True)
    own = _texts(local, schema=False)[1] if local is not None else []
    try:
        schema = cedarpy.Schema.from_str(schema_text)
    except ValueError as error:
        raise RulesRefused((f"schema.cedarschema: {error}",)) from error

    rules: list[Rule] = []
    for is_local, (name, text) in [*((False, file) for file in files), *((True, file) for file in own)]:
        rules.extend(_rules_of(name, text, is_local, problems))
    if not rules and not problems:
        problems.append("the folder holds no rule")
    if problems:
        raise RulesRefused(tuple(problems))

    text = "\n".join(text for _, text in [*files, *own])
    validation = _engine.validate_policies(text, schema)
    if not validation.validation_passed:
        problems.extend(f"{_rule_named(rules, e.policy_id)}: {e.error}" for e in validation.errors)
    problems.extend(_problems_of(rules))
    if problems:
        raise RulesRefused(tuple(problems))
    digest = hashlib.sha256(f"{schema_text}\0{text}".encode()).hexdigest()
    return RuleSet(tuple(rules), _by_action(rules, text), schema, digest, _references(schema_text))


def _by_action(rules: list[Rule], text: str) -> dict[str, cedarpy.PolicySet]:
    """The rules of each action, under the names that they have in the whole text."""
    tree = cast("dict[str, Any]", json.loads(cedarpy.policies_to_json_str(text)))
    policies = cast("dict[str, dict[str, Any]]", tree["staticPolicies"])
    actions = {action for rule in rules for action in rule.actions}
    return {
        action: cedarpy.PolicySet.from_json_str(
            json.dumps(
                {
                    **tree,
                    "staticPolicies": {
                        key: policy
                        for key, policy in policies.items()
                        if action in rules[_position(key)].actions
                    },
                }
            )
        )
        for action in actions
    }


def _texts(folder: Path, *, schema: bool) -> tuple[str, list[tuple[str, str]]]:
    """The schema and the rule files of a folder, by name. Raises RulesRefused."""
    try:
        if not schema and not folder.is_dir():
            raise RulesRefused((f"{folder} is no folder: local rules lie in one",))
        if not schema and (folder / "schema.cedarschema").exists():
            raise RulesRefused(("local rules bring no schema.cedarschema: they are read against the other",))
        schema_text = (folder / "schema.cedarschema").read_text("utf-8") if schema else ""
        return schema_text, [(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.cedar"))]
    except OSError as error:
        raise RulesRefused((f"{error.filename} cannot be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise RulesRefused(("the rules folder holds a file that is not UTF-8",)) from error


def _rules_of(name: str, text: str, local: bool, problems: list[str]) -> Iterator[Rule]:
    """The rules of one file, in the order of its text (Cedar names them policy0, policy1...)."""
    try:
        tree = cast("dict[str, Any]", json.loads(cedarpy.policies_to_json_str(text)))
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return
    if tree.get("templates"):
        problems.append(f"{name}: templates are not used here; write plain rules")
        return
    policies = cast("dict[str, dict[str, Any]]", tree.get("staticPolicies", {}))
    for key in sorted(policies, key=_position):
        policy = policies[key]
        notes = cast("dict[str, str]", policy.get("annotations", {}))
        yield Rule(
            id=notes.get("id") or "",
            effect=str(policy["effect"]),
            actions=_actions(policy["action"]),
            caller=notes.get("caller") or "",
            fr=notes.get("fr") or "",
            en=notes.get("en") or "",
            file=name,
            local=local,
            accepted=(notes.get("accepted") or "").strip(),
        )


def _actions(constraint: dict[str, Any]) -> frozenset[str]:
    entities = [constraint["entity"]] if "entity" in constraint else constraint.get("entities", [])
    return frozenset(str(entity["id"]) for entity in cast("list[dict[str, str]]", entities))


def _problems_of(rules: list[Rule]) -> Iterator[str]:
    seen: set[str] = set()
    known = {caller.value: ACTIONS_OF[caller] for caller in Caller}
    for position, rule in enumerate(rules):
        name = rule.id or f"{rule.file}, rule {position + 1}"
        if not _ID.match(rule.id):
            yield f'{name}: needs @id("words-with-hyphens")'
        elif rule.id in RESERVED_IDS:
            yield f"{name}: this id is reserved"
        elif rule.id in seen:
            yield f"{name}: another rule has the same @id"
        seen.add(rule.id)
        if rule.caller not in known:
            yield f"{name}: no point of the product is called {rule.caller!r} (@caller)"
        elif not rule.actions or not rule.actions <= known[rule.caller]:
            yield f"{name}: {rule.caller} asks {', '.join(sorted(known[rule.caller]))} only"
        if not rule.fr.strip() or not rule.en.strip():
            yield f"{name}: needs a sentence in French (@fr) and in English (@en)"
        if rule.local and rule.effect == "permit" and not rule.accepted:
            yield f'{name}: a local permit widens what is allowed: @accepted("why, who, when") says who answers for it'
    for caller, actions in known.items():
        covered = {
            action for rule in rules if rule.caller == caller and not rule.local for action in rule.actions
        }
        if missing := actions - covered:
            yield f"{caller}: no rule speaks of {', '.join(sorted(missing))}"


def _references(schema_text: str) -> dict[str, str]:
    """Attributes whose declared type is an entity: questions give ids as text, Cedar wants references."""
    clear = _COMMENT.sub("", schema_text)
    types = {name.strip() for found in _ENTITY.findall(clear) for name in found.split(",")}
    found: dict[str, str] = {}
    for name, many, one in _REFERENCE.findall(clear):
        if (kind := many or one) in types and name not in {"principal", "resource"}:
            found[name] = kind
    return found


def _position(key: str) -> int:
    return int(key.removeprefix("policy"))


def _rule_named(rules: list[Rule], key: str) -> str:
    digits = key.removeprefix("policy")
    if digits.isdigit() and int(digits) < len(rules):
        return rules[int(digits)].id or rules[int(digits)].file
    return "rules"
