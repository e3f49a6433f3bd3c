"""Our own accounts in the directory, and the national directory's word about them, on a node as it is put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import people
from deploy.node.administrators import this_user
from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.console import Console
from deploy.node.control import unheard
from deploy.node.home import Home
from directory.identifiers.luhn import luhn_digit
from directory.listings.writing import put_mailboxes, reinstate, strike_off
from directory.model import Coded, Mailbox, Origin, Professional
from directory.model import Kind as Listed
from mail_server.accounts.interface import Account, Kind
from policies.audit.query import Filter, find
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
RPPS = "899700245667"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("own"), DOMAIN)


@asynccontextmanager
async def node_at(home: Path) -> AsyncGenerator[Node]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        yield node


@pytest.fixture
async def node(home: Path) -> AsyncGenerator[Node]:
    async with node_at(home) as node:
        yield node


@pytest.fixture
def person(node: Node) -> Callable[..., Coroutine[Any, Any, Account]]:
    async def make(local: str, kind: Kind = Kind.PER, national_id: str = "", **fields: str) -> Account:
        made = await node.accounts.add(f"{local}@{DOMAIN}", kind)
        if national_id:
            await node.accounts.bind_national_id(made.id, national_id)
        if fields:
            await node.profiles.change(made, fields, "node")
        return made

    return make


def shown(node: Node, account: Account) -> tuple[Any, ...] | None:
    """The card of an address, as any search would find it."""
    return node.listings_database.read(
        lambda sql: sql.one(
            "SELECT kind, title, given, family, service, rank, origin FROM card WHERE address = ?",
            (account.address,),
        )
    )


def kept(node: Node, account: Account) -> tuple[Any, ...] | None:
    return node.listings_database.read(
        lambda sql: sql.one("SELECT red_list, origin FROM mailbox WHERE address = ?", (account.address,))
    )


async def test_a_professional_is_listed_under_their_name(node: Node, person: Any) -> None:
    zoe = await person("zoe.martin", title="Dr", given_name="Zoé", family_name="Martin", rank="2")
    await node.own_listings.sync()
    assert shown(node, zoe) == ("PER", "Dr", "Zoé", "Martin", "", 2, "own")
    assert node.directory.is_listed(zoe.address)


async def test_a_service_is_listed_and_who_answers_for_it_is_not(node: Node, person: Any) -> None:
    ward = await person("urgences", Kind.ORG, service="Urgences", responsible="Pr Alain Caché")
    await node.own_listings.sync()
    assert shown(node, ward) == ("ORG", "", "", "", "Urgences", 1, "own")
    words = node.listings_database.read(lambda sql: sql.all("SELECT word FROM word"))
    assert ("cache",) not in words


async def test_who_is_on_the_red_list_is_nowhere_and_can_still_be_written_to(node: Node, person: Any) -> None:
    red = await person("rouge", given_name="Anne", family_name="Rouge", red_list="yes")
    await node.own_listings.sync()
    assert shown(node, red) is None
    assert kept(node, red) == (1, "own")
    assert not node.directory.is_listed(red.address)
    assert node.own_listings.is_red(red.address.upper())
    await node.profiles.change(red, {"red_list": "no"}, "node")
    await node.own_listings.sync()
    assert shown(node, red) is not None


async def test_a_patient_is_never_listed(node: Node) -> None:
    console = Console(node, this_user())
    who = people.GARANCE
    told = {
        "matricule": who.matricule,
        "family_name": who.family_name,
        "given_names": who.given_names,
        "sex": who.sex,
        "birth_date": who.birth_date,
        "birth_place": who.birth_place,
    }
    made = await console.handle("space_add", told, unheard)
    imported(node, RPPS, made["address"])  # a file that names them does not list them either
    await node.own_listings.sync()
    rows = node.listings_database.read(lambda sql: sql.all("SELECT address FROM mailbox"))
    assert made["address"] not in {row[0] for row in rows}
    assert not any(row[0].endswith(f"patient.{DOMAIN}") for row in rows)
    assert not node.directory.is_listed(made["address"])


@pytest.mark.parametrize("way", ["suspend", "close", "practice"])
async def test_who_is_no_longer_in_service_is_listed_no_more(way: str, node: Node, person: Any) -> None:
    account = await person(f"sort.{way}", given_name="Paul", family_name="Sort")
    await node.own_listings.sync()
    assert shown(node, account) is not None
    match way:
        case "suspend":
            await node.accounts.suspend(account.id, reason="essai")
        case "close":
            await node.accounts.close(account.id)
        case _:
            await node.accounts.practice_set(account.id, False)
    await node.own_listings.sync()
    assert shown(node, account) is None
    assert kept(node, account) is None
    assert not node.directory.is_listed(account.address)


async def test_a_node_that_runs_follows_by_itself(node: Node, person: Any) -> None:
    node.own_listings.start()
    try:
        account = await person("lou.suivi", given_name="Lou", family_name="Suivi")
        await until(lambda: shown(node, account) is not None)
        await node.accounts.suspend(account.id, reason="essai")
        await until(lambda: shown(node, account) is None)
        await node.accounts.reinstate(account.id)
        await node.profiles.change(account, {"family_name": "Retrouvé"}, "node")
        await until(lambda: (found := shown(node, account)) is not None and found[3] == "Retrouvé")
    finally:
        await node.own_listings.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.01)


async def test_nothing_is_written_when_nothing_changed(node: Node, person: Any) -> None:
    await person("calme", given_name="Rien", family_name="Change")
    await node.own_listings.sync()

    def generation() -> Any:
        return node.listings_database.read(
            lambda sql: sql.one("SELECT value FROM state WHERE name = ?", ("generation",))
        )

    before = generation()
    for _ in range(3):
        await node.own_listings.sync()
    assert generation() == before


async def test_listings_that_are_lost_come_back(home: Path) -> None:
    async with node_at(home) as first:
        await first.own_listings.sync()
        listed = {each.address for each in first.accounts.all() if first.directory.is_listed(each.address)}
    assert listed
    for path in home.glob("listings.db*"):
        path.unlink()
    async with node_at(home) as again:
        await again.own_listings.sync()
        rows = again.listings_database.read(lambda sql: sql.all("SELECT address FROM card"))
    assert {row[0] for row in rows} == listed


# -- the national directory's word


def says(node: Node, word: Callable[..., Any], national_id: str) -> None:
    node.listings_database.write(lambda sql: word(sql, [national_id], now()))


def imported(node: Node, national_id: str, address: str) -> None:
    """What an import leaves of somebody with a mailbox elsewhere."""
    who = Professional(national_id, "Dr", "Dumas", "Ève", Coded("10", "Médecin"))
    box = Mailbox(address, Listed.PER, holders=(who,), origin=Origin.NATIONAL)
    node.listings_database.write(lambda sql: put_mailboxes(sql, [box], at=now()))


async def test_who_is_struck_off_is_out_and_back_when_the_directory_has_them_again(
    node: Node, person: Any
) -> None:
    eve = await person("eve.dumas", national_id=RPPS, given_name="Ève", family_name="Dumas")
    imported(node, RPPS, "eve@ailleurs.test")
    await node.own_listings.sync()
    assert shown(node, eve) is not None

    says(node, strike_off, RPPS)
    await node.own_listings.sync()
    assert shown(node, eve) is None
    now_known = node.accounts.by_id(eve.id)
    assert now_known is not None
    assert not now_known.practising
    assert await node.struck_off.standing() == (eve.address,)

    says(node, reinstate, RPPS)
    await node.own_listings.sync()
    back = node.accounts.by_id(eve.id)
    assert back is not None
    assert back.practising
    assert shown(node, eve) is not None
    await node.trace.settle()
    told = await node.store.read(lambda reader: list(find(reader.sql, Filter(party=eve.id))))
    assert [
        (one.action, one.details.get("state", one.details.get("means")))
        for one in told
        if one.action in ("listing-struck-off", "practice-lost", "practice-regained")
    ] == [
        ("practice-lost", "directory"),
        ("listing-struck-off", "lost"),
        ("practice-regained", "directory"),
        ("listing-struck-off", "regained"),
    ]
    await node.accounts.close(eve.id)


async def test_an_administrator_who_knows_better_is_not_contradicted(node: Node, person: Any) -> None:
    account = await person("sait.mieux", national_id=RPPS)
    imported(node, RPPS, "eve@ailleurs.test")
    says(node, strike_off, RPPS)
    await node.own_listings.sync()
    await node.accounts.practice_set(account.id, True)
    await node.own_listings.sync()
    found = node.accounts.by_id(account.id)
    assert found is not None
    assert found.practising
    says(node, reinstate, RPPS)
    await node.own_listings.sync()
    assert await node.struck_off.standing() == ()
    await node.accounts.close(account.id)


async def test_who_lost_the_right_by_other_means_does_not_get_it_back_from_the_directory(
    node: Node, person: Any
) -> None:
    account = await person("autre.voie", national_id=RPPS)
    imported(node, RPPS, "eve@ailleurs.test")
    await node.accounts.practice_set(account.id, False)
    says(node, strike_off, RPPS)
    await node.own_listings.sync()
    says(node, reinstate, RPPS)
    await node.own_listings.sync()
    found = node.accounts.by_id(account.id)
    assert found is not None
    assert not found.practising
    await node.accounts.close(account.id)


async def test_a_directory_that_never_had_them_strikes_nobody_off(node: Node, person: Any) -> None:
    account = await person("jamais.vu", national_id=RPPS)
    await node.own_listings.sync()
    await node.own_listings.sync()
    found = node.accounts.by_id(account.id)
    assert found is not None
    assert found.practising
    await node.accounts.close(account.id)


async def test_a_file_without_many_of_ours_closes_nobody_out_before_an_administrator_says_so(
    node: Node, person: Any
) -> None:
    numbers = [f"1010000{number:03d}" for number in range(6)]
    ids = [f"8{number}{luhn_digit(number)}" for number in numbers]
    accounts = [await person(f"tous.{place}", national_id=one) for place, one in enumerate(ids)]
    for place, one in enumerate(ids):
        imported(node, one, f"tous{place}@ailleurs.test")
        says(node, strike_off, one)
    for _ in range(2):
        await node.own_listings.sync()
    assert node.struck_off.held_back == tuple(account.address for account in accounts)
    assert not {account.address for account in accounts} & {*await node.struck_off.standing()}
    assert all((found := node.accounts.by_id(each.id)) and found.practising for each in accounts)
    await node.trace.settle()
    told = await node.store.read(lambda reader: list(find(reader.sql, Filter(action="listing-struck-off"))))
    assert [one.details["count"] for one in told if one.outcome == "refused"] == ["6"]  # told once

    await node.own_listings.sync(force=True)
    assert node.struck_off.held_back == ()
    assert {account.address for account in accounts} <= {*await node.struck_off.standing()}
    assert not any(shown(node, account) for account in accounts)
    await node.own_listings.sync()  # what was said stands
    assert node.struck_off.held_back == ()
    for account in accounts:
        await node.accounts.close(account.id)


@pytest.mark.parametrize("way", ["suspend", "close", "withdraw"])
async def test_the_national_files_show_nobody_of_ours_who_is_not_shown_here(
    way: str, node: Node, person: Any
) -> None:
    account = await person(f"revient.{way}")
    await node.own_listings.sync()
    match way:
        case "suspend":
            await node.accounts.suspend(account.id, reason="essai")
        case "close":
            await node.accounts.close(account.id)
        case _:
            await node.publications.withdraw(account.address, "essai")
    await node.own_listings.sync()
    imported(node, RPPS, account.address)  # their line is still in the file
    assert shown(node, account) is not None
    await node.own_listings.sync()
    assert shown(node, account) is None
    assert kept(node, account) is None
