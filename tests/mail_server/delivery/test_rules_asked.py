"""The rules are asked where they say they are: every caller of `policies.questions`, by doing what people do."""

from __future__ import annotations

import asyncio
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from deploy.node.administrators import POWER_OF, User, this_user
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import MailParameters, Road
from policies import questions
from policies.audit.entry import DETAIL_KEYS
from policies.audit.query import Filter, find
from policies.decisions import CedarDecisions
from policies.interface import Entity, Event, Question
from policies.refusal import Refusal
from policies.trust_list import names
from tests.webmail.vectors import record_letters
from webmail.login.programs import Programs
from webmail.login.sessions import PageSession

STRANGER = User(65_533, "nobody-known")


def letter(sender: str, to: str, subject: str) -> bytes:
    return f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nOui.\r\n".encode()


async def trace(desk, action: str) -> list[Any]:
    for writer in [desk.node.trace._writer]:
        if writer is not None:
            await writer
    return await desk.node.store.read(lambda reader: find(reader.sql, Filter(action=action)))


async def test_every_question_is_asked_by_the_product_and_every_question_has_a_rule(
    desk, monkeypatch
) -> None:
    asked: set[str] = set()
    decide = CedarDecisions.decide

    def recorded(self: CedarDecisions, question: Question) -> Any:
        asked.add(question.action)
        return decide(self, question)

    monkeypatch.setattr(CedarDecisions, "decide", recorded)
    node = desk.node
    gp, nurse, patient = await desk.account("gp"), await desk.account("nurse"), await desk.patient()

    # delivery: submit, receive, write_to, hold_in_custody; close_exchange; hand_over; carry
    await desk.send(gp, letter(gp.address, nurse.address, "note"), nurse.address)
    assert asked == {"submit", "receive", "hold_in_custody"}
    await desk.send(gp, letter(gp.address, patient.alias, "bilan"), patient.alias)
    assert {"write_to", "close_exchange"} <= asked
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    await node.delivery.admit_sender(Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None)
    assert "hand_over" in asked
    (await desk.envelope(gp)).add(
        await node.delivery.admit_recipient(await desk.envelope(gp), "marie@voisin.test")
    )
    assert "send_out" in asked
    robot = await desk.account("robot", Kind.APP)
    masked = record_letters.confidential("MASQUE_PS")
    part = record_letters.zip_part(record_letters.one_document(confidentiality=(masked,)))
    report = record_letters.letter(part, sender=robot.address, to=patient.alias)
    await desk.send(robot, report, patient.alias)
    assert "carry" in asked

    # accounts: log_in, open_account, share, make_app_password
    password = await node.accounts.app_password_create(gp.id, "x")
    imap = Peer("127.0.0.1", 4001, "imap", "s3", tls=True)
    await node.authenticator.login(gp.address, password.secret, imap)
    assert "log_in" in asked
    ward = await desk.ward(gp)
    assert node.access.may(gp.id, ward.id, "r")
    assert "open_account" in asked
    assert not node.sharing.may_share(gp.id, ward)
    assert "share" in asked
    programs = Programs(node.page.ground)
    assert programs.may_add(page_session(gp.id)) == "app-password-without-strong-login"
    assert "make_app_password" in asked

    # accounts: look_up, describe
    assert node.access.may_look_up(gp.id)
    assert "look_up" in asked
    assert not node.access.may_describe(gp.id, ward.id, "description")
    assert "describe" in asked

    # console: administer
    await Console(node, this_user()).handle("status", {})
    assert asked == set[str]().union(*questions.ACTIONS_OF.values())


def page_session(account: str) -> PageSession:
    blank: dict[str, Any] = {"str": "", "int": 0, "bool": False, "bytes": b""}
    needed = {
        field.name: blank.get(str(field.type))
        for field in fields(PageSession)
        if field.default is MISSING and field.default_factory is MISSING
    }
    return PageSession(**{**needed, "account": account})


# -- administrators -----------------------------------------------------------------------------------------


def named(desk, **people: tuple[str, ...]) -> None:
    held = {name: tuple(questions.Power(power) for power in powers) for name, powers in people.items()}
    admitted = desk.node.administrators
    admitted._settings = admitted._settings.model_copy(update={"people": held})


async def test_each_command_of_the_console_needs_a_power(desk) -> None:
    console = Console(desk.node, this_user())
    commands = {*console._commands, *console._long_commands}
    assert commands <= set(POWER_OF), "a command without a power can be run by nobody"
    assert set(POWER_OF) <= commands, "a power without its command is for show"


async def test_where_nobody_is_named_the_owner_of_the_home_has_every_power(desk) -> None:
    assert await Console(desk.node, this_user()).handle("account_list", {}) == []
    with pytest.raises(CommandFailed, match="needs the power 'accounts'"):
        await Console(desk.node, STRANGER).handle("account_list", {})
    (entry,) = await trace(desk, "administer-refused")
    assert (entry.actor, entry.outcome) == ("console:nobody-known", "refused")
    assert dict(entry.details) == {"command": "account_list", "power": "accounts", "rule": "default-refuse"}


async def test_powers_are_as_named_and_the_owner_has_none_then(desk) -> None:
    named(desk, clerk=("accounts",), auditor=("audit",))
    clerk, auditor = User(1, "clerk"), User(2, "auditor")
    assert await Console(desk.node, clerk).handle("account_list", {}) == []
    assert (await Console(desk.node, auditor).handle("status", {}))["accounts"] == 0
    entries = {"limit": 5, "action": None, "address": None, "reference": None}
    assert isinstance(await Console(desk.node, auditor).handle("audit_show", entries), list)
    for who, command in [(clerk, "audit_show"), (auditor, "account_list"), (this_user(), "account_list")]:
        with pytest.raises(CommandFailed, match="needs the power"):
            await Console(desk.node, who).handle(command, entries if command == "audit_show" else {})


async def test_powers_that_are_held_apart_are_refused_by_the_rule_that_says_so(desk) -> None:
    named(desk, both=("audit", "accounts"))
    with pytest.raises(CommandFailed, match="administer-audit-apart"):
        await Console(desk.node, User(1, "both")).handle("account_list", {})


async def test_the_trace_names_the_user_whom_the_kernel_told(desk) -> None:
    named(desk, clerk=("accounts",))
    await Console(desk.node, User(1, "clerk")).handle(
        "account_add",
        {"address": "new@mss.essai.test", "kind": "PER", "password": False, "certificate": None},
    )
    (entry,) = await trace(desk, "account-add")
    assert entry.actor == "console:clerk"


# -- operators that are blocked -------------------------------------------------------------------------------


async def test_a_blocked_operator_is_refused_at_its_next_mail_from_and_the_block_is_traced(desk) -> None:
    node, console = desk.node, Console(desk.node, this_user())
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)

    async def mail_from() -> None:
        await node.delivery.admit_sender(Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None)

    await mail_from()
    dn = names.subject_dn(desk.operator_certificate)
    asked = {"dn": dn.lower(), "reason": "its mailer is hijacked", "network": "192.0.2.55"}
    made = await console.handle("operator_block", asked)
    assert made["blocked"]
    assert made["listed"]
    with pytest.raises(Refusal) as caught:
        await mail_from()
    assert (caught.value.code, caught.value.enhanced, caught.value.reason) == (
        550,
        "5.7.1",
        "operator-blocked",
    )
    found = await console.handle(
        "policies_explain",
        {
            "principal": f"operator:{dn}",
            "action": "hand_over",
            "resource": "domain:voisin.test",
            "context": [],
        },
    )
    assert (found["allowed"], found["rule"]) == (False, "operator-blocked")
    (entry,) = await trace(desk, "operator-block")
    assert entry.actor == this_user().by
    assert entry.details["reason"] == "its mailer is hijacked"
    assert (entry.details["means"], entry.network) == ("console", "192.0.2.55")
    (shown,) = await console.handle("operator_list", {})
    assert (shown["reason"], shown["by"]) == ("its mailer is hijacked", this_user().by)
    await console.handle("operator_unblock", {"dn": dn, "reason": ""})
    await mail_from()


@pytest.mark.parametrize(
    ("dn", "reason", "words"), [("CN=x", " ", "A reason"), ("no name", "why", "no name")]
)
async def test_a_block_needs_a_name_and_a_reason(desk, dn: str, reason: str, words: str) -> None:
    with pytest.raises(CommandFailed, match=words):
        await Console(desk.node, this_user()).handle("operator_block", {"dn": dn, "reason": reason})


# -- explaining, reading again, the alarm -----------------------------------------------------------------------


async def explained(desk, principal: str, action: str, resource: str, *context: str) -> dict[str, Any]:
    arguments = {"principal": principal, "action": action, "resource": resource, "context": list(context)}
    return await Console(desk.node, this_user()).handle("policies_explain", arguments)


async def test_an_explanation_by_address_reads_what_the_node_knows(desk) -> None:
    gp, patient = await desk.account("gp"), await desk.patient()
    found = await explained(desk, patient.alias, "write_to", gp.address)
    assert (found["allowed"], found["rule"], found["assumed"]) == (
        False,
        "write-to-first-replies-only",
        [],
    )
    await desk.send(gp, letter(gp.address, patient.alias, "bilan"), patient.alias)
    found = await explained(desk, patient.alias, "write_to", gp.address)
    assert (found["allowed"], found["rule"]) == (True, "write-to-open-exchange")
    assert patient.alias.partition("@")[0] not in str(found), "a patient's number is not shown"
    ward = await desk.ward(gp)
    found = await explained(desk, gp.address, "submit", ward.address)
    assert (found["allowed"], found["rule"]) == (True, "submit-shared-account")
    with pytest.raises(CommandFailed, match="There is no account"):
        await explained(desk, "nobody@mss.essai.test", "submit", gp.address)


async def test_why_nothing_leaves_for_a_domain_is_what_the_trust_list_says_of_it(desk) -> None:
    gp, patient = await desk.account("gp"), await desk.patient()
    for about in ("domain:mss.inconnu.test", "quelquun@mss.Inconnu.test"):
        found = await explained(desk, gp.address, "send_out", about)
        assert (found["allowed"], found["rule"]) == (False, "send-out-unlisted")
        assert not {"listed", "stale", "blocked"} & set(found["assumed"])
    found = await explained(desk, patient.alias, "send_out", "251036999900150@patient.mss.inconnu.test")
    assert (found["context"]["to_patient"], found["context"]["standing"]) == (True, "none")
    assert "251036999900150" not in str(found)
    with pytest.raises(CommandFailed, match="There is no account"):
        await explained(desk, gp.address, "send_out", "personne@" + gp.address.partition("@")[2])


async def test_software_with_a_password_path_is_listed(desk) -> None:
    robot, other = await desk.account("robot", Kind.APP), await desk.account("other", Kind.APP)
    for account in (robot, other):
        await desk.node.accounts.app_password_create(account.id, "x")
    rows = await Console(desk.node, this_user()).handle("software_access", {})
    assert {row["address"]: (row["passwords"], row["rule"]) for row in rows} == {
        robot.address: (1, "log-in-named-software"),
        other.address: (1, ""),
    }


async def test_rules_read_again_say_what_they_change_and_are_traced(desk, tmp_path) -> None:
    node, console = desk.node, Console(desk.node, this_user())
    gp = await desk.account("gp")
    node.decisions._local = tmp_path / "rules"
    node.decisions._guard = None
    (tmp_path / "rules").mkdir()
    node.decisions.decide(questions.may_log_in(Entity("Account", gp.id, person()), "PLAIN", "jmap"))
    (tmp_path / "rules" / "own.cedar").write_text(
        '@id("no-jmap") @caller("accounts.log_in") @fr("Pas de JMAP.") @en("No JMAP.")'
        ' forbid (principal, action == Action::"log_in", resource) when { context.protocol == "jmap" };'
    )
    dry = await console.handle("policies_reload", {"dry_run": True})
    assert (dry["applied"], dry["problems"]) == (False, [])
    assert [each["after"] for each in dry["changed"]] == ["refuse no-jmap"]
    assert "log_in: dr-martin by PLAIN on jmap" in {each["line"] for each in dry["corpus"]}
    assert await trace(desk, "policies-reload") == [], "a dry run changes nothing"
    assert (await console.handle("policies_reload", {"dry_run": False}))["applied"]
    (entry,) = await trace(desk, "policies-reload")
    assert entry.actor == this_user().by
    assert entry.details["before"] != entry.details["after"]


def person() -> dict[str, Any]:
    return dict(questions.account("x", "x@mss.essai.test", "PER", suspended=False).attributes)


async def test_a_question_that_cannot_be_evaluated_is_refused_and_in_the_trace(desk) -> None:
    gp = await desk.account("gp")
    broken = Question(Entity("Account", gp.id, {"kind": "PER"}), "log_in", questions.NODE, {})
    assert not desk.node.decisions.decide(broken).allowed
    assert not desk.node.decisions.decide(broken).allowed
    await asyncio.sleep(0)
    entries = await trace(desk, "policy-alarm")
    assert [(entry.subject, entry.outcome) for entry in entries] == [(gp.id, "refused")], "once for one cause"
    assert entries[0].details["phase"] == "log_in"
    assert (await Console(desk.node, this_user()).handle("status", {}))["policy_errors"] == 2


# -- who is refused, and in which words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "state", "words"),
    [
        ("recipient-suspended", {"suspended": True}, "This mailbox is suspended"),
        ("recipient-closed", {"closed": True}, "This mailbox is closed for good"),
        ("recipient-not-practising", {"practising": False}, "no longer practises"),
    ],
)
async def test_who_cannot_receive_is_told_apart(desk, rule: str, state: dict[str, bool], words: str) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    book = desk.node.accounts._book
    record = book.record(nurse.id)
    book.put(replace(record, account=replace(record.account, **state)))
    with pytest.raises(Refusal) as caught:
        await desk.envelope(gp, nurse.address)
    assert (caught.value.code, caught.value.enhanced, caught.value.reason) == (550, "5.2.1", rule)
    assert words in caught.value.sentence


def test_no_event_of_ours_is_cut() -> None:
    event = Event(
        "x", 0, "y", detail=dict.fromkeys(("command", "power", "rule", "phase", "cause", "dn", "reason"), "")
    )
    assert set(event.detail) <= DETAIL_KEYS


async def test_who_is_in_an_exchange_with_a_patient_is_explained_to_nobody_untraced(desk) -> None:
    patient, gp = await desk.patient(), await desk.sealed("gp")
    await explained(desk, gp.address, "submit", gp.address)
    assert await trace(desk, "policies-explain") == []
    for asked in ((patient.alias, gp.address), (gp.address, patient.alias)):
        await explained(desk, asked[0], "write_to", asked[1])
    found = await trace(desk, "policies-explain")
    assert {(each.actor, each.subject) for each in found} == {(this_user().by, patient.id)}
    assert len(found) == 2
