"""The decisions of tests/policies/corpus.toml, asserted exactly: nothing widens unnoticed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from policies import questions
from policies.decisions import CedarDecisions
from policies.interface import Entity, Question

CORPUS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("corpus.toml").read_text("utf-8"))
DECISIONS = CedarDecisions.load()


def entity(name: str) -> Entity:
    if name.startswith("system:"):
        account = name.removeprefix("system:")
        return questions.system(
            "binding", account, suspended=CORPUS["accounts"][account].get("suspended", False)
        )
    if name.startswith("operator:"):
        return questions.operator(f"CN={name.removeprefix('operator:')}")
    state = CORPUS["accounts"][name]
    return questions.account(
        name,
        f"{name}@chu.mssante.fr",
        state["kind"],
        suspended=state.get("suspended", False),
        members=state.get("members", ()),
        activated=state.get("activated", True),
    )


def question(action: str, sentence: str) -> Question:
    words = sentence.split()
    match action:
        case "submit":
            rights = "" if words[0] == words[2] else "eilprstwx"
            return questions.may_submit(entity(words[0]), entity(words[2]), words[4], rights=rights)
        case "hand_over":
            domain = "" if "null" in words else words[2]
            listed = frozenset(CORPUS["operators"][words[0]])
            return questions.may_hand_over(
                f"CN={words[0]}", listed, domain, certificate="with" in words, local="ours" in words
            )
        case "receive":
            return questions.may_receive(entity(words[0]), entity(words[2]))
        case "write_to":
            return questions.may_write_to(
                entity(words[0]),
                entity(words[2]),
                from_patient="patient" in words[0].split(":")[-1],
                to_patient="patient" in words[2],
                standing="open" if "open" in words else "none",
            )
        case "hold_in_custody":
            return questions.may_hold_in_custody(entity(words[0]))
        case "log_in":
            return questions.may_log_in(entity(words[0]), words[2], words[4])
        case _:
            raise AssertionError(action)


CASES = [
    pytest.param(action, sentence, answer, id=f"{action}: {sentence}")
    for action in CORPUS
    if action not in {"accounts", "operators"}
    for sentence, answer in CORPUS[action].items()
]


@pytest.mark.parametrize(("action", "sentence", "answer"), CASES)
def test_the_answer_is_exactly_the_one_written(action: str, sentence: str, answer: str) -> None:
    decision = DECISIONS.decide(question(action, sentence))
    assert f"{'allow' if decision.allowed else 'refuse'} {decision.rule}" == answer


def test_every_rule_decides_at_least_one_question_of_the_corpus() -> None:
    deciding = {answer.split()[1] for _, _, answer in (case.values for case in CASES)}
    assert {rule.id for rule in DECISIONS.rules} <= deciding
