"""Who did what with an account, in the shape the page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.demo.identity.people import invented_national_id
from mail_server.accounts.interface import Account, Contact, Identity, Kind, Peer, Role
from mail_server.jmap.interface import MethodError, Turn
from policies.audit.query import Filter, find
from policies.audit.trail import ChainedTrail
from policies.interface import Event
from tests.webmail.office import BOTH, Office, Refused
from webmail.spaces import access_log
from webmail.spaces.access_log import _ACTIONS  # pyright: ignore[reportPrivateUsage]

ROOT = Path(__file__).parents[3]
LATER = 4_000_000_000_000  # ms; after what the office itself did
PEER = Peer("192.0.2.1", 4000, "jmap", "s1", tls=True)


def turn(account: Account, *shared: Account) -> Turn:
    identity = Identity(account.id, account.address, account.kind, "PAGE", "s1")
    accounts = {one.id: one for one in (account, *shared)}
    return Turn(identity, PEER, accounts, frozenset({access_log.URI}))


async def asked(office: Office, account: Account, **arguments: Any) -> dict[str, Any]:
    (capability,) = office.page.capabilities
    handler = capability.handlers["AccessLog/get"]
    return await handler(turn(account), {"accountId": account.id, **arguments})


async def append(office: Office, *events: Event) -> None:
    await office.store.write(lambda tx: office.trail.append(tx.sql, events))


async def test_the_holders_own_acts_are_told_newest_first(office: Office) -> None:
    known = await office.enrolled(password="orage")
    await known.delete("sessions")
    told = (await asked(office, known.account))["list"]
    assert [one["action"] for one in told] == [
        "session-end",
        "key-publish",
        "activate",
        "code-issue",
        "account-add",
    ]
    assert told[0] | {"seq": 0, "at": 0} == {
        "seq": 0,
        "at": 0,
        "action": "session-end",
        "outcome": "done",
        "who": "you",
        "address": "",
        "network": "127.0.0.1",
        "label": "Firefox, Android",
    }
    assert told[3]["who"] == "operator"


async def test_a_letter_that_came_names_its_sender_as_seen_and_not_its_network(office: Office) -> None:
    patient, gp = await office.patient(), await office.professional()
    await append(
        office,
        Event("deliver", LATER + 1, gp.id, patient.id, "sealed", "M1", network="203.0.113.9"),
        Event("deliver", LATER + 2, patient.id, gp.id, "sealed", "M2", network="198.51.100.3"),
    )
    (sent, arrived, *_) = (await asked(office, patient))["list"]
    assert (arrived["action"], arrived["who"], arrived["address"]) == (
        "letter-arrived",
        "correspondent",
        gp.address,
    )
    assert arrived["network"] == ""
    assert (sent["action"], sent["who"], sent["address"]) == ("letter-sent", "you", gp.address)
    (arrived, sent, *_) = (await asked(office, gp))["list"]
    assert (arrived["action"], arrived["address"]) == ("letter-arrived", patient.shown)
    assert (sent["action"], sent["address"]) == ("letter-sent", patient.shown)


@pytest.mark.parametrize("state", ["sealed", "waiting", "custody", "subject-outside"])
async def test_the_state_a_letter_was_left_in_is_no_refusal(office: Office, state: str) -> None:
    patient = await office.patient()
    await append(office, Event("deliver", LATER + 1, "node", patient.id, state, "M1"))
    assert (await asked(office, patient))["list"][0]["outcome"] == "done"


async def test_a_letter_sent_again_after_a_crash_arrived_once(office: Office) -> None:
    patient = await office.patient()
    await append(
        office,
        Event("deliver", LATER + 1, "node", patient.id, "sealed", "M1"),
        Event("deliver", LATER + 2, "node", patient.id, "already-filed"),
    )
    told = (await asked(office, patient))["list"]
    assert [one["action"] for one in told] == ["letter-arrived", "account-add"]


async def test_a_failed_login_is_of_somebody_unknown_and_shows_from_where(office: Office) -> None:
    known = await office.enrolled(password="orage")
    with pytest.raises(Refused):
        await office.browser().log_in(known.account.shown, "éclair")
    await append(office, *office._noted)
    (told, *_) = (await asked(office, known.account))["list"]
    assert (told["action"], told["who"], told["outcome"]) == ("login-failed", "unknown", "wrong-password")
    assert told["network"] == "127.0.0.1"


async def test_another_operators_letter_and_a_mail_program_are_told_apart(office: Office) -> None:
    gp = await office.professional()
    await append(
        office,
        Event("deliver", LATER + 1, "operator:CN=smtp.voisin.test", gp.id, "sealed", "M1"),
        Event("login", LATER + 2, gp.id, gp.id, detail={"protocol": "imap", "mechanism": "PLAIN"}),
        Event("login", LATER + 3, gp.id, gp.id, detail={"protocol": "page", "label": "Edge, Windows"}),
    )
    page, program, letter, _ = (await asked(office, gp))["list"]
    assert (letter["who"], letter["address"]) == ("correspondent", "")
    assert (program["label"], page["label"]) == ("IMAP", "Edge, Windows")


async def test_what_is_for_the_operator_alone_is_left_out(office: Office) -> None:
    patient = await office.patient()
    await append(
        office,
        Event("refuse", LATER + 1, patient.id, outcome="conversation-closed"),
        Event("code-accepted", LATER + 2, patient.id, patient.id),
        Event("operator-key-given", LATER + 3, patient.id, patient.id),
    )
    assert [one["action"] for one in (await asked(office, patient))["list"]] == ["account-add"]


async def test_nothing_of_others_is_told(office: Office) -> None:
    patient, other = await office.patient(), await office.patient("1600275056002")
    await append(office, Event("deliver", LATER + 1, "node", other.id, "sealed", "M1"))
    assert [one["action"] for one in (await asked(office, patient))["list"]] == ["account-add"]


async def test_a_shared_account_has_no_log_here(office: Office) -> None:
    gp = await office.professional()
    ward = await office.accounts.add("ward@mss.essai.test", Kind.ORG)
    (capability,) = office.page.capabilities
    with pytest.raises(MethodError) as caught:
        await capability.handlers["AccessLog/get"](turn(gp, ward), {"accountId": ward.id})
    assert caught.value.type == "forbidden"
    assert capability.account(ward) is None
    assert capability.account(gp) == {}


async def test_another_account_is_not_found(office: Office) -> None:
    gp, patient = await office.professional(), await office.patient()
    (capability,) = office.page.capabilities
    with pytest.raises(MethodError) as caught:
        await capability.handlers["AccessLog/get"](turn(gp), {"accountId": patient.id})
    assert caught.value.type == "accountNotFound"


@pytest.mark.parametrize("wrong", [{"before": "x"}, {"limit": -1}, {"before": True}, {"limit": 1.5}])
async def test_wrong_arguments_are_said(office: Office, wrong: dict[str, Any]) -> None:
    gp = await office.professional()
    with pytest.raises(MethodError) as caught:
        await asked(office, gp, **wrong)
    assert caught.value.type == "invalidArguments"


@BOTH
async def test_pages_follow_each_other_without_a_gap(office: Office) -> None:
    patient = await office.patient()
    events = [
        Event("read", LATER + number, patient.id, patient.id, reference=f"M{number}") for number in range(25)
    ]
    await append(office, *events)
    found: list[int] = []
    before = None
    for _ in range(10):
        page = await asked(office, patient, before=before, limit=10)
        found += [one["at"] for one in page["list"] if one["action"] == "letter-read"]
        before = page["next"]
        if not page["more"]:
            break
    assert found == list(range(LATER + 24, LATER - 1, -1))


async def test_a_call_reads_a_bounded_part_and_says_where_to_go_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_WINDOWS", 2)
    patient = await office.patient()
    await append(office, *(Event("refuse", LATER + number, patient.id) for number in range(100)))
    page = await asked(office, patient, limit=10)
    assert (page["list"], page["more"]) == ([], True)
    for _ in range(20):
        if page["list"]:
            break
        page = await asked(office, patient, before=page["next"], limit=10)
    assert [one["action"] for one in page["list"]] == ["account-add"]


async def test_what_is_written_about_others_costs_a_log_nothing(office: Office) -> None:
    patient = await office.patient()
    await append(office, *(Event("deliver", LATER + number, "node", "somebody") for number in range(2_000)))
    page = await asked(office, patient)
    assert ([one["action"] for one in page["list"]], page["more"]) == (["account-add"], False)


@BOTH
async def test_the_chains_of_several_nodes_are_one_log_in_the_order_of_time(office: Office) -> None:
    patient, other = await office.patient(), ChainedTrail("second")
    for number in range(10):
        await append(
            office, Event("read", LATER + 2 * number, patient.id, patient.id, reference=f"A{number}")
        )
        read = Event("read", LATER + 2 * number + 1, patient.id, patient.id, reference=f"B{number}")
        await office.store.write(lambda tx, read=read: other.append(tx.sql, [read]))
    found: list[int] = []
    numbers: list[int] = []
    before = None
    for _ in range(20):
        page = await asked(office, patient, before=before, limit=3)
        found += [one["at"] for one in page["list"] if one["action"] == "letter-read"]
        numbers += [one["seq"] for one in page["list"]]
        before = page["list"][-1]["seq"] if page["list"] else page["next"]  # as the page asks for more
        if not page["more"]:
            break
    assert found == list(range(LATER + 19, LATER - 1, -1))
    assert len(set(numbers)) == len(numbers) == 21


async def test_every_detail_of_ours_may_stand_in_the_trace(office: Office) -> None:
    known = await office.enrolled_professional(password="orage")
    await known.post("app-passwords", {"label": "Thunderbird"})
    await known.delete("sessions")
    with pytest.raises(Refused):
        await office.browser().log_in(known.account.address, "éclair")
    await append(office, *office._noted)
    found = await office.store.read(lambda reader: find(reader.sql, Filter(last=1000)))
    assert {"login-failed", "totp-on", "code-issue", "activate"} <= {entry.action for entry in found}
    assert [entry.action for entry in found if "dropped" in entry.details] == []


async def test_whoever_lets_somebody_in_the_holder_sees_it(office: Office) -> None:
    """What an administrator, or a thief of the session, does to an account is in its holder's own log."""
    known, secretary = await office.enrolled_professional(), await office.professional("secretaire")
    account = known.account
    assert account is not None
    number = invented_national_id(41)
    await office.accounts.grant_set(account.id, secretary.id, Role.DELEGATE, "lr", None, "console:root")
    await office.accounts.grant_set(account.id, secretary.id, Role.DELEGATE, "lrte", None, "console:root")
    await office.accounts.grant_end(account.id, secretary.id, "console:root")
    await office.accounts.bind_national_id(account.id, number, "console:root")
    await office.accounts.contact_set(account.id, Contact.OPEN, "console:root")
    shown = [
        (one["action"], one["who"])
        for one in (await asked(office, account))["list"]
        if one["who"] == "operator"
    ]
    wanted = ["contact", "national-id-bind", "reader-remove", "reader-change", "reader-add"]
    assert shown[:5] == [(action, "operator") for action in wanted]


async def test_no_name_of_an_act_stands_there_that_nothing_writes() -> None:
    """A name that no code writes hides the act of a like name."""
    written = " ".join(
        path.read_text(encoding="utf-8")
        for root in ("mail_server", "webmail", "deploy/node", "policies/retention")
        for path in (ROOT / root).rglob("*.py")
        if path.name != "access_log.py"
    )
    made = {f"{role}-{act}" for role in ("member", "delegate") for act in ("add", "change", "remove")}
    made |= {"correspondent-block", "correspondent-unblock"}
    assert [each for each in _ACTIONS if each not in made and f'"{each}"' not in written] == []
