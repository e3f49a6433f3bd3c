"""Accounts' life: suspended, struck off, closed, unused; at once, traced, and never undone by a restart."""

from __future__ import annotations

import pytest

from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Account, Contact, Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.life import in_service
from mail_server.store.model import AccountId
from policies.audit.query import Filter, find
from policies.refusal import Refusal
from tests.mail_server.accounts.conftest import House

GP = "gp@chu.mssante.fr"
DAY = 86_400_000


@pytest.fixture
def told(house: House) -> list[What]:
    heard: list[What] = []

    def hear(change: Change) -> None:
        heard.append(change.what)

    house.accounts.changed.append(hear)
    return heard


def now(house: House, account: Account) -> Account:
    found = house.accounts.by_id(account.id)
    assert found is not None
    return found


async def last_act(house: House):
    found = await house.store.read(lambda reader: find(reader.sql, Filter(last=1)))
    return found[-1]


async def test_a_suspension_names_author_means_network_and_reason(house: House, told: list[What]) -> None:
    gp = await house.person(GP)
    await house.accounts.suspend(
        gp.id, "console:anne", reason="clé perdue", means="console", network="192.0.2.9"
    )
    assert now(house, gp).suspended
    assert What.SUSPENDED in told
    act = await last_act(house)
    assert (act.action, act.actor, act.subject, act.network) == (
        "account-suspend", "console:anne", gp.id, "192.0.2.9",
    )  # fmt: skip
    assert dict(act.details) == {"means": "console", "reason": "clé perdue"}
    assert (await house.accounts.lives())[gp.id].suspended_reason == "clé perdue"


async def test_reinstating_forgets_the_reason(house: House) -> None:
    gp = await house.person(GP)
    await house.accounts.suspend(gp.id, reason="essai")
    await house.accounts.reinstate(gp.id)
    assert in_service(now(house, gp))
    assert (await house.accounts.lives())[gp.id].suspended_reason == ""


@pytest.mark.parametrize("reason", ["x" * 201, "a\x1b[31mb"])
async def test_a_reason_is_a_sentence(house: House, reason: str) -> None:
    gp = await house.person(GP)
    with pytest.raises(AccountError, match="bad-reason"):
        await house.accounts.suspend(gp.id, reason=reason)
    assert in_service(now(house, gp))


async def test_who_is_struck_off_has_no_way_in_at_once(house: House, told: list[What], peer) -> None:
    gp = await house.person(GP)
    identity = await house.authenticator.login(GP, house.passwords[GP], peer)
    assert house.accounts.holds(gp.id, identity.credential)
    await house.accounts.practice_set(gp.id, False, "provider:psc")
    assert What.PRACTICE_LOST in told
    assert not house.accounts.holds(gp.id, identity.credential)
    with pytest.raises(Refusal):
        await house.authenticator.login(GP, house.passwords[GP], peer)


async def test_who_may_practise_again_comes_in_again(house: House, told: list[What], peer) -> None:
    gp = await house.person(GP)
    await house.accounts.practice_set(gp.id, False)
    await house.accounts.practice_set(gp.id, True)
    assert What.PRACTICE_REGAINED in told
    assert (await house.authenticator.login(GP, house.passwords[GP], peer)).account == gp.id


async def test_telling_again_what_is_known_writes_nothing(house: House) -> None:
    gp = await house.person(GP)
    before = len(await house.traced())
    await house.accounts.practice_set(gp.id, True)
    assert len(await house.traced()) == before


async def test_a_system_has_no_right_to_practise(house: House) -> None:
    robot = await house.accounts.add("dpi@chu.mssante.fr", Kind.APP)
    with pytest.raises(AccountError, match="not-a-person"):
        await house.accounts.practice_set(robot.id, False)


async def test_a_closed_account_loses_its_ways_in_and_keeps_its_row(
    house: House, told: list[What], peer
) -> None:
    gp = await house.person(GP)
    await house.accounts.close(gp.id, "console:anne", reason="départ en retraite")
    assert What.CLOSED in told
    assert now(house, gp).closed
    assert house.accounts.app_passwords(gp.id) == ()
    with pytest.raises(Refusal):
        await house.authenticator.login(GP, house.passwords[GP], peer)
    assert f"account-close {gp.id}" in await house.traced()


async def test_closed_is_for_good(house: House) -> None:
    gp = await house.person(GP)
    await house.accounts.close(gp.id)
    for change in (house.accounts.close(gp.id), house.accounts.reinstate(gp.id)):
        with pytest.raises(AccountError, match="account-closed"):
            await change
    await house.accounts.start()  # read again, as after a restart
    assert now(house, gp).closed


async def test_the_address_of_a_closed_account_is_never_given_again(house: House) -> None:
    gp = await house.person(GP)
    await house.accounts.close(gp.id)
    with pytest.raises(AccountError, match="address-taken"):
        await house.accounts.add(GP, Kind.PER)


async def test_a_pharmacy_opts_in_and_says_its_sector(house: House, told: list[What]) -> None:
    pharmacy = await house.accounts.add("pharmacie@chu.mssante.fr", Kind.ORG)
    await house.accounts.sector_set(pharmacy.id, "sa33")
    await house.accounts.contact_set(pharmacy.id, Contact.OPTED_IN)
    found = now(house, pharmacy)
    assert (found.sector, found.contact) == ("SA33", Contact.OPTED_IN)
    assert told.count(What.CHANGED) == 2


async def test_what_does_not_fit_the_kind_is_refused_by_name(house: House) -> None:
    gp = await house.person(GP)
    robot = await house.accounts.add("dpi@chu.mssante.fr", Kind.APP)
    for change, reason in (
        (house.accounts.contact_set(gp.id, Contact.OPTED_IN), "needs-organisation"),
        (house.accounts.contact_set(robot.id, Contact.OPEN), "no-contact"),
        (house.accounts.sector_set(gp.id, "SA33"), "not-shared"),
    ):
        with pytest.raises(AccountError, match=reason):
            await change


@pytest.mark.parametrize("mistyped", ["PHARMA", "S33", "SA3", "SA333", "SA³3"])
async def test_a_sector_is_a_code_of_the_table_and_no_word_of_ones_own(house: House, mistyped: str) -> None:
    pharmacy = await house.accounts.add("pharmacie@chu.mssante.fr", Kind.ORG)
    with pytest.raises(AccountError, match="bad-sector"):
        await house.accounts.sector_set(pharmacy.id, mistyped)


async def test_a_login_is_written_once_a_day(house: House) -> None:
    gp = await house.person(GP)
    at = now_ms()
    for later in (0, 1, DAY - 1):
        house.accounts.came(gp.id, at + later)
        await house.accounts.write_who_came()
        assert (await house.accounts.lives())[gp.id].last_login == at
    house.accounts.came(gp.id, at + DAY)
    await house.accounts.write_who_came()
    assert (await house.accounts.lives())[gp.id].last_login == at + DAY


async def test_a_login_by_password_counts_as_coming(house: House, peer) -> None:
    gp = await house.person(GP)
    await house.authenticator.login(GP, house.passwords[GP], peer)
    await house.accounts.flush()
    assert (await house.accounts.lives())[gp.id].last_login is not None


async def test_a_login_after_the_notice_is_an_objection_and_traced(house: House) -> None:
    gp = await house.person(GP)
    await house.accounts.notified(gp.id, now_ms())
    assert (await house.accounts.lives())[gp.id].notified is not None
    house.accounts.came(gp.id)
    await house.accounts.write_who_came()
    assert (await house.accounts.lives())[gp.id].notified is None
    assert f"inactivity-objection {gp.id}" in await house.traced()


async def test_an_unknown_account_is_refused(house: House) -> None:
    with pytest.raises(AccountError, match="unknown-account"):
        await house.accounts.suspend(AccountId("nobody"))


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
async def test_all_of_it_works_on_postgresql(house: House) -> None:
    gp = await house.person(GP)
    await house.accounts.suspend(gp.id, reason="essai")
    await house.accounts.reinstate(gp.id)
    await house.accounts.practice_set(gp.id, False)
    house.accounts.came(gp.id)
    await house.accounts.write_who_came()
    await house.accounts.notified(gp.id, now_ms())
    await house.accounts.close(gp.id)
    life = (await house.accounts.lives())[gp.id]
    assert life.closed is not None
    assert life.last_login is not None
