"""Readers on the page, and the past that one of them gives to a new one: on a whole node, without doors."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.demo.browser.key_packets import encryption_key, swapped
from directory.openpgp.armor import dearmor
from mail_server.accounts.interface import Account, Kind, Role
from mail_server.store.model import State
from policies.audit.query import Filter, find
from tests.webmail.office import DOMAIN, Browser, Refused, data, identity, text
from tests.webmail.spaces.test_reseal import Ward, opened_by, plain, template, ward
from webmail.spaces.past import Past

__all__ = ["template", "ward"]  # fixtures
ALL = "aeiklprstwx"


async def person(ward: Ward, local: str) -> Browser:
    """A professional whose key was made in the page."""
    browser = await ward.enrolled(await ward.accounts.add(f"{local}@{DOMAIN}", Kind.PER))
    await browser.set_up_totp()
    return browser


async def shared(ward: Ward, *members: Browser, rights: str = ALL) -> Account:
    made = await ward.accounts.add(f"service@{DOMAIN}", Kind.ORG)
    for each in members:
        await ward.accounts.grant_set(made.id, each.account.id, Role.MEMBER, rights, None, "console:test")
    return ward.accounts.by_id(made.id)


async def given(giver: Browser, account: Account, to: Browser, at_most: int = 1000) -> list[int]:
    """What the giver's browser does, up to so many letters."""
    where = f"past/{account.id}/{to.account.id}"
    begun = await giver.post(where, {})
    new = encryption_key(dearmor(begun["certificate"].encode(), "PUBLIC KEY BLOCK"))
    own = encryption_key(giver.made.secret)
    done: list[int] = []
    while found := (await giver.get(f"{where}/letters?after={done[-1] if done else 0}&limit=2"))["letters"]:
        found = found[: at_most - len(done)]
        packets = [packet_of(each, own, new) for each in found]
        done += (await giver.post(f"{where}/letters", {"letters": packets}))["done"] if packets else []
        if len(done) >= at_most:
            break
    return done


def packet_of(letter: dict[str, Any], own: Any, new: Any) -> dict[str, Any]:
    return {"id": letter["id"]} | {
        name: text(swapped(data(letter[name]), own, new)) if letter[name] else None
        for name in ("keyPackets", "summaryKeyPackets")
    }


async def traced(ward: Ward, action: str) -> list[tuple[str, str, dict[str, str]]]:
    await ward.node.settled()
    found = await ward.store.read(lambda reader: find(reader.sql, Filter(action=action, last=100)))
    return [(each.actor, each.subject, dict(each.details)) for each in found]


async def test_a_new_member_opens_the_past_once_a_member_gave_it_and_all_others_still_do(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    for number in range(3):
        await ward.send(plain(number), account.address)
    before = await ward.inbox(account)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lr", None, "console:test")
    with pytest.raises(RuntimeError):
        opened_by(luc, before[0][1])
    assert len(await given(marie, account, luc)) == 3
    after = await ward.inbox(account)
    for number, (row, stored) in enumerate(after):
        for browser in (marie, luc):
            assert f"résultat {number}".encode() in opened_by(browser, stored)
        assert row.state is State.SEALED
    kept = [(row.thread_id, row.received_at, row.flags) for row, _ in before]
    assert [(row.thread_id, row.received_at, row.flags) for row, _ in after] == kept
    assert not {row.email_id for row, _ in before} & {row.email_id for row, _ in after}
    assert not {row.uid for row, _ in before} & {row.uid for row, _ in after}


async def test_it_is_resumable_and_traced_at_its_beginning_and_end(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    for number in range(5):
        await ward.send(plain(number), account.address)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lr", None, "console:test")
    assert len(await given(marie, account, luc, at_most=2)) == 2
    begun = await marie.post(f"past/{account.id}/{luc.account.id}", {})
    assert (begun["total"], begun["left"]) == (5, 3)
    told = (await marie.get("readers"))["accounts"]
    (entry,) = [
        each for one in told if one["account"] == account.id for each in one["readers"] if each["past"]
    ]
    assert (entry["address"], entry["past"]) == (luc.account.address, {"left": 3, "total": 5})
    assert len(await given(marie, account, luc)) == 3
    (start,), (end,) = await traced(ward, "past-begin"), await traced(ward, "past-end")
    assert start[:2] == end[:2] == (marie.account.id, account.id)
    assert (start[2]["count"], end[2]["count"]) == ("5", "5")
    assert start[2]["member"] == luc.account.id


async def test_who_left_while_packets_were_on_their_way_gets_none(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    await ward.send(plain(1), account.address)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, ALL, None, "console:test")
    filed = Past._file  # pyright: ignore[reportPrivateUsage]

    def removed_first(self: Past, tx: Any, gift: Any, made: Any) -> int:
        tx.sql.run("DELETE FROM account_member WHERE member = ?", (luc.account.id,))
        return filed(self, tx, gift, made)

    monkeypatch.setattr(Past, "_file", removed_first)
    with pytest.raises(Refused) as refused:
        await given(marie, account, luc)
    assert refused.value.error == "forbidden"
    with pytest.raises(RuntimeError):
        opened_by(luc, (await ward.inbox(account))[0][1])


async def test_who_goes_on_with_what_another_began_begins_it_too_and_is_told(ward: Ward) -> None:
    marie, anne, luc = [await person(ward, name) for name in ("marie", "anne", "luc")]
    account = await shared(ward, marie, anne)
    for number in range(4):
        await ward.send(plain(number), account.address)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lr", None, "console:test")
    assert len(await given(marie, account, luc, at_most=2)) == 2
    where = f"past/{account.id}/{luc.account.id}/letters"
    for method, said in (("GET", None), ("POST", {"letters": []})):
        assert (await anne.raw(method, where, said)).status_code == 400
    assert len(await given(anne, account, luc)) == 2
    begun = await traced(ward, "past-begin")
    assert {(actor, details["count"]) for actor, _, details in begun} == {
        (marie.account.id, "4"),
        (anne.account.id, "2"),
    }
    assert [actor for actor, *_ in await traced(ward, "past-end")] == [anne.account.id]


async def test_letters_in_custody_are_counted_apart(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await ward.accounts.add(f"service@{DOMAIN}", Kind.ORG)
    await ward.send(plain(0), account.address)  # nobody reads it yet: custody
    for each in (marie, luc):
        await ward.accounts.grant_set(account.id, each.account.id, Role.MEMBER, ALL, None, "console:test")
    begun = await marie.post(f"past/{account.id}/{luc.account.id}", {})
    assert (begun["total"], begun["left"], begun["apart"]) == (0, 0, 1)


@pytest.mark.parametrize("packet", ["of another key", "two at once", "cut short", "the giver's own"])
async def test_what_is_no_single_packet_for_the_new_readers_key_is_refused(ward: Ward, packet: str) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    await ward.send(plain(0), account.address)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lr", None, "console:test")
    where = f"past/{account.id}/{luc.account.id}"
    begun = await marie.post(where, {})
    new = encryption_key(dearmor(begun["certificate"].encode(), "PUBLIC KEY BLOCK"))
    own = encryption_key(marie.made.secret)
    (letter,) = (await marie.get(f"{where}/letters"))["letters"]
    good = swapped(data(letter["keyPackets"]), own, new)
    bad = {
        "of another key": swapped(data(letter["keyPackets"]), own, own),
        "two at once": good + good,
        "cut short": good[:-3],
        "the giver's own": data(letter["keyPackets"]),
    }[packet]
    before = await ward.inbox(account)
    with pytest.raises(Refused) as refused:
        await marie.post(
            f"{where}/letters",
            {"letters": [{"id": letter["id"], "keyPackets": text(bad), "summaryKeyPackets": None}]},
        )
    assert (refused.value.status, refused.value.error) == (400, "bad-request")
    assert await ward.inbox(account) == before


async def test_only_who_says_who_reads_gives_the_past_and_only_to_readers(ward: Ward) -> None:
    marie, luc, carole = [await person(ward, each) for each in ("marie", "luc", "carole")]
    account = await shared(ward, marie)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lrs", None, "console:test")
    for giver, to in ((luc, marie), (carole, luc), (marie, carole), (marie, marie)):
        for method, path in (("POST", ""), ("GET", "/letters")):
            with pytest.raises(Refused) as refused:
                await giver.ask(
                    method, f"past/{account.id}/{to.account.id}{path}", {} if path == "" else None
                )
            assert refused.value.error == "forbidden"


async def test_the_past_and_new_readers_need_a_fresh_proof(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie, luc)
    ward.clock.forward(minutes=16)
    for method, path, body in (
        ("POST", f"past/{account.id}/{luc.account.id}", {}),
        (
            "PUT",
            f"readers/{marie.account.id}/{luc.account.address}",
            {"role": "delegate", "rights": "lr", "until": None},
        ),
    ):
        with pytest.raises(Refused) as refused:
            await marie.ask(method, path, body)
        assert (refused.value.status, refused.value.error) == (403, "step-up-needed")
    await marie.delete(f"readers/{account.id}/{luc.account.id}")  # to shut somebody out needs none
    assert [each.person for each in ward.accounts.by_id(account.id).grants] == [marie.account.id]


async def test_a_holder_lets_a_delegate_in_changes_and_ends_it_on_the_page(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    path = f"readers/{marie.account.id}/{luc.account.address}"
    entry = await marie.put(path, {"role": "delegate", "rights": "rl", "until": None})
    assert (entry["person"], entry["rights"], entry["role"], entry["until"]) == (
        luc.account.id,
        "lr",
        "delegate",
        None,
    )
    (own, other) = (await luc.get("readers"))["accounts"]
    assert (own["own"], own["role"], own["mayShare"]) == (True, "holder", True)
    assert (other["address"], other["rights"], other["mayShare"], other["readers"]) == (
        marie.account.address,
        "lr",
        False,
        [],
    )
    await luc.delete(f"readers/{marie.account.id}/{luc.account.id}")  # he leaves
    assert (await marie.get("readers"))["accounts"][0]["readers"] == []
    assert [each[0] for each in await traced(ward, "delegate-remove")] == [luc.account.id]


async def test_whose_seen_counts_is_chosen_by_who_says_who_reads(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lrs", None, "console:test")
    told = await marie.put(f"readers/{account.id}/seen", {"perPerson": True})
    assert told["seenPerPerson"]
    with pytest.raises(Refused) as refused:
        await luc.put(f"readers/{account.id}/seen", {"perPerson": False})
    assert refused.value.answer["reason"] == "not-yours"
    assert ward.accounts.by_id(account.id).seen_per_person


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"role": "member", "rights": "lr", "until": None}, "not-shared"),
        ({"role": "delegate", "rights": "lrz", "until": None}, "bad-rights"),
        ({"role": "delegate", "rights": "lr", "until": 1}, "bad-end"),
    ],
)
async def test_what_is_no_reader_is_refused_in_french(ward: Ward, body: dict[str, Any], reason: str) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    with pytest.raises(Refused) as refused:
        await marie.put(f"readers/{marie.account.id}/{luc.account.address}", body)
    assert refused.value.answer["reason"] == reason
    assert refused.value.answer["message"].endswith(".")


async def test_a_patient_is_refused_as_a_reader_like_nobody(ward: Ward) -> None:
    marie = await person(ward, "marie")
    patient = await ward.accounts.patient_add(identity())
    told: list[Any] = []
    for address in (patient.alias, f"285051305500337@{patient.alias.partition('@')[2]}"):
        with pytest.raises(Refused) as refused:
            await marie.put(
                f"readers/{marie.account.id}/{address}", {"role": "delegate", "rights": "lr", "until": None}
            )
        told.append((refused.value.status, {**refused.value.answer, "reference": ""}))
    assert told[0] == told[1]
