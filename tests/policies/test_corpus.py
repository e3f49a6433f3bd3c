"""The decisions of policies/corpus.toml, asserted exactly: nothing widens unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from policies import corpus, questions, ruleset
from policies.corpus import Case
from policies.decisions import CedarDecisions, check
from policies.local_rules import password_rule, write_password_rule

DECISIONS = CedarDecisions.load()
LET_ALL_IN = (
    '@id("let-all-in") @caller("accounts.log_in") @accepted("nobody thought") @fr("Oui.") @en("Yes.")'
    ' permit (principal, action == Action::"log_in", resource) when {{ {when} }};'
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in corpus.cases()])
def test_the_answer_is_exactly_the_one_written(case: Case) -> None:
    decision = DECISIONS.decide(case.question)
    assert f"{'allow' if decision.allowed else 'refuse'} {decision.rule}" == case.answer


def test_every_rule_decides_at_least_one_question_of_the_corpus() -> None:
    deciding = {case.answer.split()[1] for case in corpus.cases()}
    assert {rule.id for rule in DECISIONS.rules} <= deciding


def test_the_corpus_asks_for_every_action() -> None:
    asked = {case.question.action for case in corpus.cases()}
    assert asked == set[str]().union(*questions.ACTIONS_OF.values())


def test_a_line_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    text = corpus.CORPUS.read_text("utf-8").replace(
        '"dr-martin to ward" = ', '"dr-martin to nobody-known" = ', 1
    )
    other = tmp_path / "corpus.toml"
    other.write_text(text, "utf-8")
    with pytest.raises(ruleset.RulesRefused, match="nobody-known"):
        corpus.cases(other)


# -- what widens ------------------------------------------------------------------------------------------------


def test_a_local_rule_that_widens_is_not_used_and_the_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text(
        LET_ALL_IN.format(when='principal.kind == "APP" && context.mechanism == "PLAIN"'), "utf-8"
    )
    problems = check(None, tmp_path, corpus.guard(tmp_path))
    assert [problem.partition(": the corpus")[0] for problem in problems] == [
        "log_in: robot by PLAIN on jmap",
        "log_in: robot by PLAIN on imap",
    ]
    assert all("'allow let-all-in'" in problem for problem in problems)
    with pytest.raises(ruleset.RulesRefused):
        CedarDecisions.load(local=tmp_path, guard=corpus.guard(tmp_path))


def test_what_the_operator_accepts_by_name_may_widen(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text(
        LET_ALL_IN.format(when='principal.kind == "APP" && context.mechanism == "PLAIN"'), "utf-8"
    )
    (tmp_path / "accepted.toml").write_text(
        '"log_in: robot by PLAIN on jmap" = "old software, the DPO, 2026-11-02"\n'
        '"log_in: robot by PLAIN on imap" = "old software, the DPO, 2026-11-02"\n',
        "utf-8",
    )
    assert check(None, tmp_path, corpus.guard(tmp_path)) == ()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('"log_in: robot by PLAIN on the moon" = "why"', "no line"),
        ('"log_in: robot by PLAIN on imap" = ""', "is expected"),
        ('"log_in: robot by PLAIN on imap" = true', "is expected"),
        ('"log_in', "cannot be read"),
    ],
)
def test_what_is_accepted_is_a_line_of_the_corpus_with_a_reason(
    tmp_path: Path, line: str, complaint: str
) -> None:
    (tmp_path / "accepted.toml").write_text(line, "utf-8")
    assert complaint in check(None, tmp_path, corpus.guard(tmp_path))[0]


def test_other_rules_in_the_place_of_those_shipped_may_not_widen_either(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(ruleset.DEFAULT_FOLDER, folder)
    rules = folder / "conversations.cedar"
    text = rules.read_text("utf-8")
    text = text.replace('context.from_patient && context.standing == "open"', "context.from_patient")
    rules.write_text(text.replace('resource.contact == "replies_only"', "resource.closed"), "utf-8")
    assert any("patient to dr-martin: the corpus" in each for each in check(folder, None, corpus.guard(None)))


def test_a_local_rule_may_narrow(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text(
        '@id("no-jmap") @caller("accounts.log_in") @fr("Pas de JMAP ici.") @en("No JMAP here.")'
        ' forbid (principal, action == Action::"log_in", resource) when { context.protocol == "jmap" };',
        "utf-8",
    )
    decisions = CedarDecisions.load(local=tmp_path, guard=corpus.guard(tmp_path))
    person = questions.account("a", "a@chu.mssante.fr", "PER", suspended=False)
    assert decisions.decide(questions.may_log_in(person, "PLAIN", "jmap")).rule == "no-jmap"
    changed = [
        (case.name, after)
        for case, _, after in corpus.changes(ruleset.read(ruleset.DEFAULT_FOLDER), decisions.in_force)
    ]
    assert ("log_in: dr-martin by PLAIN on jmap", "refuse no-jmap") in changed


# -- local rules ------------------------------------------------------------------------------------------------


def test_software_that_a_local_rule_names_logs_in_by_password_and_no_other(tmp_path: Path) -> None:
    write_password_rule(
        tmp_path, ["Robot@chu.mssante.fr"], "« laboratoire » sans certificat, la RSSI, 2/11/2026"
    )
    decisions = CedarDecisions.load(local=tmp_path, guard=corpus.guard(tmp_path))
    named = questions.account("n", "robot@chu.mssante.fr", "APP", suspended=False)
    other = questions.account("o", "robot2@chu.mssante.fr", "APP", suspended=False)
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
        assert decisions.decide(questions.may_log_in(named, mechanism, "submission")).rule == (
            "log-in-named-software"
        )
        assert not decisions.decide(questions.may_log_in(other, mechanism, "submission")).allowed
    assert not decisions.decide(questions.may_log_in(named, "OAUTHBEARER", "imap")).allowed
    assert (
        decisions.decide(questions.may_log_in(named, "PASSWORD", "page")).rule
        == "log-in-software-on-the-page"
    )
    suspended = questions.account("n", "robot@chu.mssante.fr", "APP", suspended=True)
    assert decisions.decide(questions.may_log_in(suspended, "PLAIN", "imap")).rule == "log-in-suspended"


@pytest.mark.parametrize(("addresses", "reason"), [([], "why"), (["a@b.fr"], " "), (["a\n@b.fr"], "why")])
def test_a_password_rule_needs_accounts_and_a_reason(addresses: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=r"expected|names its accounts"):
        password_rule(addresses, reason)


@pytest.mark.parametrize("address", ['a"@b.fr', 'x"].contains("y") || ["z', "a\\@b.fr", "é@b.fr"])
def test_an_address_cannot_leave_its_quotes(tmp_path: Path, address: str) -> None:
    write_password_rule(tmp_path, [address], "why")
    decisions = CedarDecisions.load(local=tmp_path, guard=corpus.guard(tmp_path))
    named = questions.account("n", address.lower(), "APP", suspended=False)
    other = questions.account("o", "z", "APP", suspended=False)
    assert decisions.decide(questions.may_log_in(named, "PLAIN", "imap")).allowed
    assert not decisions.decide(questions.may_log_in(other, "PLAIN", "imap")).allowed


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.cedar", LET_ALL_IN.format(when="true").replace('@accepted("nobody thought")', ""), "@accepted"),
        ("a.cedar", LET_ALL_IN.format(when="true").replace("let-all-in", "log-in-as-oneself"), "same @id"),
        ("a.cedar", LET_ALL_IN.format(when="true").replace("accounts.log_in", "local.rules"), "no point"),
        ("a.cedar", LET_ALL_IN.format(when="principal.colour"), "colour"),
        ("schema.cedarschema", "entity Account;", "bring no schema"),
    ],
)
def test_local_rules_are_checked_like_the_others(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert any(complaint in problem for problem in check(None, tmp_path)), check(None, tmp_path)


def test_a_local_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert "is no folder" in check(None, tmp_path / "nowhere")[0]
