"""`policies explain`: the rule's id, its sentence, what it saw, and what was only assumed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from policies import corpus, explain, questions
from policies.decisions import CedarDecisions
from policies.explain import CONTEXTS, NotUnderstood, described
from policies.interface import Attribute, Question

DECISIONS = CedarDecisions.load()


def told(
    principal: str, action: str, resource: str, *context: str, **known: Attribute
) -> explain.Explanation:
    given = explain.given_context(context)
    who, what = described(principal, "one"), described(resource, "other")
    question, assumed = explain.ask(who, action, what, given, known)
    return explain.explain(DECISIONS, question, assumed)


# The rows of reference/mssante.md that the rules decide, and the rule that says so.
ROWS = {
    "18: a person opens the account of a ward they are no member of": (
        "PER", "open_account", "ORG", "rights=", False, "open-account-without-right",
    ),
    "18: a member opens it": (
        "PER:id=me", "open_account", "ORG:members=me", "rights=lrs", True, "open-account-as-member",
    ),
    "20: software without certificate": ("APP", "log_in", "node", "mechanism=PLAIN", False, "default-refuse"),
    "20: software with its certificate": (
        "APP", "log_in", "node", "mechanism=EXTERNAL", True, "log-in-software-by-certificate",
    ),
    "23: another's address": ("PER", "submit", "PER", "rights=", False, "submit-as-another"),
    "23: a suspended person's own": ("PER:id=me,suspended=true", "submit", "PER:id=me,suspended=true", "rights=",
                                     False, "submit-suspended"),
    "26: a member sends for the ward": (
        "PER:id=me", "submit", "ORG:members=me", "rights=lrsp", True, "submit-shared-account",
    ),
    "26: nobody logs in as the ward": ("ORG", "log_in", "node", "acr=2", False, "log-in-shared-account"),
    "33: a patient writes first": ("PATIENT", "write_to", "PER", "standing=none", False, "write-to-first-replies-only"),
    "33: a patient writes first to a pharmacy": (
        "PATIENT", "write_to", "ORG:contact=opted_in,sector=SA33", "dispensed=true", True, "write-to-first-pharmacy",
    ),
    "33: a patient writes to a patient": (
        "PATIENT", "write_to", "PATIENT", "standing=open", False, "write-to-never-between-patients",
    ),
    "34: a patient writes to who wrote to them": (
        "PATIENT", "write_to", "PER", "standing=open", True, "write-to-open-exchange",
    ),
    "36: a patient closes an exchange": (
        "PATIENT", "close_exchange", "PATIENT", "from_patient=true", False, "close-exchange-never-a-patient",
    ),
    "36: a professional closes an exchange": (
        "PER", "close_exchange", "PATIENT", "from_patient=false", True, "close-exchange-as-professional",
    ),
    "37: an answer into what is closed": (
        "PATIENT", "write_to", "ORG", "standing=closed", False, "write-to-closed-exchange",
    ),
    "38: an answer to whom Reply-To named": (
        "PATIENT", "write_to", "ORG", "standing=open", True, "write-to-open-exchange",
    ),
    "55: what the patient must not see yet, to the patient": (
        "APP", "carry", "PATIENT", "codes=INVISIBLE_PATIENT", False, "carry-invisible-to-patient",
    ),
    "55: what the patient must not see yet, to a professional": (
        "APP", "carry", "PER", "codes=INVISIBLE_PATIENT", True, "carry-document",
    ),
    "55: what is masked from professionals, to one": (
        "APP", "carry", "PER", "codes=MASQUE_PS", False, "carry-masked-to-professional",
    ),
    "55: what nobody could read": (
        "APP", "carry", "PATIENT", "codes=MASQUE_PS|INVISIBLE_PATIENT", False, "carry-wrong-combination",
    ),
    "4: to somebody of no listed operator": (
        "PER", "send_out", "domain:x.fr", "listed=false", False, "send-out-unlisted",
    ),
    "31: a patient to a patient elsewhere": (
        "PATIENT", "send_out", "domain:x.fr", "to_patient=true", False, "send-out-never-between-patients",
    ),
    "68: a blocked account receives": ("PER", "receive", "PER:suspended=true", "", False, "receive-suspended"),
    "68: a blocked operator": (
        "operator:domains=x.fr,blocked=true", "hand_over", "domain:x.fr", "", False, "operator-blocked",
    ),
    "28 of mes_dmp.md: who a patient blocked": (
        "PER", "write_to", "PATIENT", "blocked=true", False, "write-to-blocked",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_the_reference_are_answered_by_their_rule(row: str) -> None:
    principal, action, resource, context, allowed, rule = ROWS[row]
    known: dict[str, Attribute] = {}
    if action in ("write_to", "send_out"):
        known = {"from_patient": principal.startswith("PATIENT")}
    if action in ("write_to", "carry"):
        known |= {"to_patient": resource.startswith("PATIENT")}
    found = told(principal, action, resource, *([context] if context else []), **known)
    assert (found.allowed, found.rule) == (allowed, rule)
    assert found.fr.endswith(".")
    assert found.en.endswith(".")


def test_what_nobody_gave_is_said_to_be_assumed() -> None:
    found = told("PATIENT", "write_to", "PER", "standing=open", from_patient=True)
    assert found.assumed == ("to_patient", "blocked", "dispensed")


def test_where_nothing_permits_it_names_what_could() -> None:
    found = told("APP", "log_in", "node")
    assert [rule for rule, _, _ in found.permits] == [
        "log-in-as-oneself", "log-in-software-by-certificate", "log-in-patient-on-the-page",
    ]  # fmt: skip
    assert found.file == ""


def test_other_rules_that_hold_too_are_named() -> None:
    found = told("PATIENT", "write_to", "PATIENT", "blocked=true", "standing=closed", from_patient=True)
    assert found.rule == "write-to-never-between-patients"
    assert found.also == ("write-to-one-you-blocked", "write-to-closed-exchange")


def test_a_local_rule_is_told_as_local(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text(
        '@id("no-jmap") @caller("accounts.log_in") @fr("Pas de JMAP.") @en("No JMAP.")'
        ' forbid (principal, action == Action::"log_in", resource) when { context.protocol == "jmap" };',
        "utf-8",
    )
    decisions = CedarDecisions.load(local=tmp_path, guard=corpus.guard(tmp_path))
    person = questions.account("a", "a@b.fr", "PER", suspended=False)
    found = explain.explain(decisions, questions.may_log_in(person, "PLAIN", "jmap"))
    assert (found.rule, found.file, found.local) == ("no-jmap", "own.cedar", True)


def test_to_explain_neither_counts_nor_keeps_nor_sounds_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    decisions = CedarDecisions.load()
    decisions.on_alarm = lambda question, what: pytest.fail("nobody asked for real")
    person = questions.account("a", "a@b.fr", "PER", suspended=False)
    with caplog.at_level(logging.DEBUG):
        found = explain.explain(decisions, Question(person, "log_in", questions.NODE, {"colour": "red"}))
    assert (found.allowed, found.rule) == (False, "evaluation-error")
    assert "does not fit the schema" in found.fault
    assert decisions.kept() == ()
    assert decisions.evaluation_errors == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ("principal", "action", "resource", "context", "complaint"),
    [
        ("PER", "fly", "node", (), "Actions are"),
        ("MARTIAN", "log_in", "node", (), "is no kind"),
        ("PER:colour=red", "log_in", "node", (), "has no colour"),
        ("PER:suspended=perhaps", "log_in", "node", (), "true or false"),
        ("PER", "log_in", "node", ("colour=red",), "knows no colour"),
        ("PER", "log_in", "node", ("acr=high",), "acr is a number"),
        ("PER", "log_in", "node", ("acr",), "is not name=value"),
    ],
)
def test_what_cannot_be_understood_is_said(
    principal: str, action: str, resource: str, context: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(NotUnderstood, match=complaint):
        told(principal, action, resource, *context)


def test_an_operator_is_told_by_its_name_or_by_what_it_is() -> None:
    assert described("operator:CN=x,O=y", "z").id == "CN=x,O=y"
    assert described("operator:domains=a.fr|b.fr", "z").attributes["domains"] == ("a.fr", "b.fr")
    assert described("administrator:powers=audit|look", "z").attributes["powers"] == ("audit", "look")
    assert described("system:account=me", "z").attributes["account"] == "me"


def test_every_action_has_its_circumstances() -> None:
    """What is assumed fits the schema: no question of ours can fail for want of an attribute."""
    assert set(CONTEXTS) == set[str]().union(*questions.ACTIONS_OF.values())
    ends = {"hand_over": ("operator", "domain:x.fr"), "administer": ("administrator", "node")}
    ends |= {
        "log_in": ("PER", "node"),
        "hold_in_custody": ("node", "PER"),
        "look_up": ("PER", "node"),
        "send_out": ("PER", "domain:x.fr"),
    }
    for action in CONTEXTS:
        assert not told(*_with(action, *ends.get(action, ("PER", "PATIENT")))).fault


def _with(action: str, principal: str, resource: str) -> tuple[str, str, str]:
    return principal, action, resource


def test_the_answer_for_machines_shows_what_the_rules_saw() -> None:
    shown = told("PER:id=me", "submit", "ORG:members=me", "rights=lp").as_json()
    assert shown["rule"] == "submit-shared-account"
    assert shown["resource"]["members"] == ["me"]
    assert shown["context"] == {"mechanism": "PLAIN", "rights": ["l", "p"]}
