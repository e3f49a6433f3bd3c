"""How questions are answered: pure, quick, refused in doubt, and rules reloaded only when they are good."""

from __future__ import annotations

import logging
import shutil
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import questions, ruleset
from policies.decisions import CedarDecisions, check
from policies.interface import Entity, Question
from tests.effort import steps

ALICE = questions.account("a" * 20, "alice@chu.mssante.fr", "PER", suspended=False)
BOB = questions.account("b" * 20, "bob@chu.mssante.fr", "PER", suspended=False)
AS_HERSELF = questions.may_submit(ALICE, ALICE, "PLAIN")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "rules"
    shutil.copytree(ruleset.DEFAULT_FOLDER, copy)
    return copy


def test_the_shipped_rules_have_no_problem() -> None:
    assert check() == ()


def test_every_rule_speaks_french_and_english() -> None:
    for rule in CedarDecisions.load().rules:
        assert rule.fr.endswith(".")
        assert rule.en.endswith(".")


# -- in doubt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        Question(ALICE, "become_root", ALICE),
        Question(ALICE, "submit", ALICE),  # no mechanism
        Question(ALICE, "submit", ALICE, {"mechanism": 3}),
        Question(ALICE, "submit", ALICE, {"mechanism": "PLAIN", "more": "x"}),
        Question(Entity("Account", "x"), "submit", ALICE, {"mechanism": "PLAIN"}),  # attributes are missing
        Question(
            Entity("Account", "x", {**ALICE.attributes, "suspended": 0}), "submit", ALICE, {"mechanism": "P"}
        ),
        Question(
            Entity("Account", "x", {**ALICE.attributes, "colour": "red"}), "submit", ALICE, {"mechanism": "P"}
        ),
        Question(Entity("Martian", "x"), "submit", ALICE, {"mechanism": "PLAIN"}),
        Question(Entity("Account", "x", {**ALICE.attributes, "members": 3}), "receive", ALICE),
        Question(questions.NODE, "submit", ALICE, {"mechanism": "PLAIN"}),
        Question(
            ALICE, "receive", Entity("Account", ALICE.id, BOB.attributes)
        ),  # one account, two accounts of it
    ],
)
def test_what_does_not_fit_the_schema_is_refused_counted_and_told(
    question: Question, caplog: pytest.LogCaptureFixture
) -> None:
    decisions = CedarDecisions.load()
    with caplog.at_level(logging.ERROR, "vaguemestre.policies"):
        for _ in range(2):
            decision = decisions.decide(question)
            assert (decision.allowed, decision.rule) == (False, "evaluation-error")
    assert decisions.evaluation_errors == 2, "an error is never kept"
    assert len(caplog.records) == 2
    assert "alice@" not in caplog.text


def test_a_true_answer_does_not_answer_for_a_one() -> None:
    decisions = CedarDecisions.load()
    trusting = questions.may_hand_over("CN=x", frozenset({"x.fr"}), "x.fr", certificate=True, local=False)
    assert decisions.decide(trusting).allowed
    forged = Question(trusting.principal, trusting.action, trusting.resource, {"certificate": 1})
    assert decisions.decide(forged).rule == "evaluation-error"


@given(
    st.dictionaries(
        st.text(max_size=8), st.one_of(st.text(), st.booleans(), st.integers(), st.lists(st.text()))
    ),
    st.text(max_size=20),
    st.text(max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_no_question_raises_and_nothing_unknown_is_allowed(
    attributes: dict[str, str | bool | int | list[str]], kind: str, action: str
) -> None:
    logging.getLogger("vaguemestre.policies").setLevel(logging.CRITICAL)
    try:
        decision = SHIPPED.decide(Question(Entity(kind, "x", attributes), action, ALICE, attributes))
        assert not decision.allowed
    finally:
        logging.getLogger("vaguemestre.policies").setLevel(logging.NOTSET)


SHIPPED = CedarDecisions.load()


# -- kept answers -----------------------------------------------------------------------------------------------


def test_values_that_stand_for_text_are_read_as_text() -> None:
    class Kind(StrEnum):
        PER = "PER"

    decisions = CedarDecisions.load()
    attributes = MappingProxyType({**ALICE.attributes, "kind": Kind.PER})
    assert decisions.decide(
        questions.may_log_in(Entity("Account", ALICE.id, attributes), "PLAIN", "imap")
    ).allowed


def test_the_least_recently_asked_is_forgotten_first() -> None:
    decisions = CedarDecisions.load(kept=2)
    asked = [questions.may_submit(ALICE, ALICE, mechanism) for mechanism in ("A", "B", "C")]
    decisions.decide(asked[0])
    decisions.decide(asked[1])
    decisions.decide(asked[0])
    decisions.decide(asked[2])
    kept = [question.context["mechanism"] for question, _ in decisions.kept()]
    assert kept == ["A", "C"]


def test_a_repeated_question_is_answered_in_microseconds() -> None:
    decisions = CedarDecisions.load()
    decisions.decide(AS_HERSELF)
    assert steps(lambda: decisions.decide(AS_HERSELF)) < 40, "lines and calls: 27 take two microseconds"


# -- reload -----------------------------------------------------------------------------------------------------


def test_bad_rules_keep_the_old_ones(folder: Path) -> None:
    decisions = CedarDecisions.load(folder)
    (folder / "submission.cedar").write_text("permit (principal, action, resource", "utf-8")
    outcome = decisions.reload()
    assert not outcome.applied
    assert "submission.cedar" in outcome.problems[0]
    assert decisions.decide(AS_HERSELF).allowed


def test_a_dry_run_tells_which_answers_would_change_and_changes_none(folder: Path) -> None:
    decisions = CedarDecisions.load(folder)
    decisions.decide(AS_HERSELF)
    as_bob = questions.may_submit(ALICE, BOB, "PLAIN")
    decisions.decide(as_bob)
    rules = folder / "submission.cedar"
    text = rules.read_text("utf-8").replace("when { principal == resource };", ";", 1)
    rules.write_text(text.replace("principal != resource &&", "principal.closed &&"), "utf-8")
    outcome = decisions.reload(dry_run=True)
    assert not outcome.applied
    assert outcome.problems == ()
    assert [(change.question, change.after.allowed) for change in outcome.changed] == [(as_bob, True)]
    assert not decisions.decide(as_bob).allowed
    assert decisions.reload().applied
    assert decisions.decide(as_bob).allowed, "answers kept under the old rules are gone"


# -- check ------------------------------------------------------------------------------------------------------

GOOD = (
    '@id("{id}") @caller("{caller}") @fr("Oui.") @en("Yes.")'
    ' permit (principal, action == Action::"{action}", resource)'
)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (GOOD.format(id="x", caller="nobody.knows", action="submit") + ";", "no point of the product"),
        (GOOD.format(id="x", caller="delivery.deliver", action="submit") + ";", "asks hold_in_custody only"),
        (GOOD.format(id="receive-local", caller="delivery.admit_sender", action="submit") + ";", "same @id"),
        (GOOD.format(id="default-refuse", caller="delivery.admit_sender", action="submit") + ";", "reserved"),
        (GOOD.format(id="Bad Id", caller="delivery.admit_sender", action="submit") + ";", "needs @id"),
        (
            '@caller("delivery.admit_sender") permit (principal, action == Action::"submit", resource);',
            "needs @id",
        ),
        (
            '@id("x") @caller("delivery.admit_sender") permit (principal, action == Action::"submit", resource);',
            "@fr",
        ),
        (
            '@id("x") @caller("delivery.admit_sender") @fr("O.") @en("Y.") permit (principal, action, resource);',
            "asks",
        ),
        (
            GOOD.format(id="x", caller="delivery.admit_sender", action="submit")
            + " when { resource.colour };",
            "colour",
        ),
        (GOOD.format(id="x", caller="delivery.admit_sender", action="submit") + " when {", "new.cedar"),
        ('permit (principal == ?principal, action == Action::"submit", resource);', "templates"),
    ],
)
def test_check_says_what_is_wrong_with_a_rule(folder: Path, rule: str, complaint: str) -> None:
    (folder / "new.cedar").write_text(rule, "utf-8")
    problems = check(folder)
    assert any(complaint in problem for problem in problems), problems


def test_check_says_which_caller_no_rule_names(folder: Path) -> None:
    (folder / "custody.cedar").unlink()
    assert check(folder) == ("delivery.deliver: no rule speaks of hold_in_custody",)


def test_check_refuses_a_bad_schema_and_an_absent_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "schema.cedarschema").write_text("entity {", "utf-8")
    assert check(folder)[0].startswith("schema.cedarschema:")
    assert "cannot be read" in check(tmp_path / "nowhere")[0]
