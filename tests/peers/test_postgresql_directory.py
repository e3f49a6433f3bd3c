"""Two nodes that share letters and directory on PostgreSQL: what one does, the other shows within a minute.

First in pieces, with short turns; then two that serve, by their doors.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo import directory_world, people, sign_in, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from deploy.node import listings as own_listings
from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.following import following
from deploy.node.home import Home
from deploy.node.key_following import EVERY, KeyFollower
from directory.certificates.interface import Standing
from directory.listings.interface import Query
from directory.listings.writing import put_mailboxes, reinstate, strike_off
from directory.model import Kind as Listed
from directory.model import Mailbox, Professional
from mail_server.accounts.interface import Kind
from tests.peers.test_fhir import IDNPS, ask, inserted
from tests.peers.test_struck_off import within_the_minute
from tests.peers.test_wkd import advanced
from tests.worlds import new_home, own_world

pytestmark = pytest.mark.peers

DOMAIN = "mss.essai.test"
RPPS = "899700245667"
QUICK = 0.2  # seconds, for what a node does twice a minute, or every ten seconds


@dataclass
class Two:
    one: Node
    other: Node
    folder: Path

    def shown(self, node: Node, name: str) -> list[str]:
        """Addresses that a search by name gives there."""
        return [card.address for card in node.listings.search(Query(text=name)).cards]

    async def seen(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(QUICK / 4)


@pytest.fixture
async def two(
    tmp_path: Path, make_postgresql_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Two]:
    monkeypatch.setattr(own_listings, "_EVERY", QUICK)
    sections = {
        "store": {"database": make_postgresql_database(), "readers": 1},
        "directory": {"database": make_postgresql_database()},
    }
    home = await asyncio.to_thread(new_home, tmp_path, DOMAIN, sections)
    second = tmp_path / "second"
    shutil.copytree(home, second)
    async with AsyncExitStack() as stack:
        nodes: list[Node] = []
        for folder in (home, second):
            node = await stack.enter_async_context(opened(Home(folder), load(folder / "vaguemestre.toml")))
            node.own_listings.start()
            stack.push_async_callback(node.own_listings.stop)
            follower = KeyFollower(node.directory, several_nodes=True, every=QUICK)
            follower.start()
            stack.push_async_callback(follower.stop)
            nodes.append(node)
        yield Two(nodes[0], nodes[1], tmp_path)


def test_what_is_done_here_in_a_blink_is_done_within_the_minute() -> None:
    assert own_listings._EVERY + EVERY < 60  # pyright: ignore[reportPrivateUsage]


async def test_a_certificate_published_on_one_is_sealed_to_by_the_other_and_revoked_alike(two: Two) -> None:
    address = f"zoe.martin@{DOMAIN}"
    key = await asyncio.to_thread(people.make_key, "Zoé Martin", address, "phrase", two.folder / "keys")
    await two.one.accounts.add(address, Kind.PER)
    made = two.one.directory.publish(address, key.public.read_bytes(), now())
    await two.seen(lambda: two.other.directory.published(address) is not None)
    assert two.other.directory.certificate(address, now()).standing is Standing.VALID
    two.other.directory.revoke(address, made.fingerprint, now())
    await two.seen(lambda: two.one.directory.certificate(address, now()).standing is Standing.REVOKED)


async def test_an_account_made_on_one_is_found_on_the_other_and_gone_from_it_when_it_is_suspended_there(
    two: Two,
) -> None:
    account = await two.one.accounts.add(f"lou.garnier@{DOMAIN}", Kind.PER)
    await two.one.profiles.change(account, {"given_name": "Lou", "family_name": "Garnier"}, "node")
    await two.seen(lambda: two.shown(two.other, "garnier") == [account.address])
    await two.seen(lambda: two.other.accounts.by_id(account.id) is not None)
    await two.other.profiles.change(account, {"red_list": "yes"}, "node")
    await two.seen(lambda: two.shown(two.one, "garnier") == [])
    await two.seen(lambda: two.one.own_listings.is_red(account.address))
    await two.other.profiles.change(account, {"red_list": "no"}, "node")
    await two.seen(lambda: two.shown(two.one, "garnier") == [account.address])
    await two.other.accounts.suspend(account.id, reason="essai")
    await two.seen(lambda: two.shown(two.one, "garnier") == [])
    await two.seen(lambda: (found := two.one.accounts.by_id(account.id)) is not None and found.suspended)


async def test_who_is_struck_off_is_out_on_both_and_once_in_the_trace(two: Two) -> None:
    account = await two.one.accounts.add(f"eve.dumas@{DOMAIN}", Kind.PER)
    await two.one.accounts.bind_national_id(account.id, RPPS)
    box = Mailbox("eve@ailleurs.test", Listed.PER, (Professional(RPPS, "Dr", "Dumas", "Ève"),))
    two.other.listings_database.write(lambda sql: put_mailboxes(sql, [box], at=now()))
    await two.seen(lambda: len(two.shown(two.other, "dumas")) == 2)
    two.other.listings_database.write(lambda sql: strike_off(sql, [RPPS], now()))

    def practising(node: Node) -> bool:
        found = node.accounts.by_id(account.id)
        return found is not None and found.practising

    await two.seen(lambda: not practising(two.one) and not practising(two.other))
    await two.seen(lambda: two.shown(two.one, "dumas") == two.shown(two.other, "dumas") == [])
    rows = await two.one.store.read(
        lambda reader: reader.sql.all("SELECT 1 FROM audit_entry WHERE action = 'practice-lost'")
    )
    assert len(rows) == 1
    two.one.listings_database.write(lambda sql: reinstate(sql, [RPPS], now()))
    await two.seen(lambda: practising(two.one) and practising(two.other))


async def test_what_one_knows_of_accounts_is_read_again_only_when_another_changed_them(two: Two) -> None:
    follow = following(two.one.config, two.one.store, two.one.accounts, two.one.profiles)
    assert follow is not None
    told: list[object] = []
    two.one.accounts.changed.append(told.append)
    await follow()
    assert told == []
    await two.other.accounts.add(f"nouveau@{DOMAIN}", Kind.PER)
    await follow()
    assert len(told) <= 1
    assert two.one.accounts.by_address(f"nouveau@{DOMAIN}") is not None


@dataclass
class Served:
    one: world.World
    other_ports: dict[str, int]

    def found(self, port: int, asked: str) -> list[str]:
        """Addresses, by LDAP without login, with OpenLDAP's own program."""
        search = [
            "ldapsearch",
            "-x",
            "-LLL",
            "-H",
            f"ldap://127.0.0.1:{port}",
            "-b",
            "dc=mssante,dc=fr",
            asked,
            "mail",
        ]
        done = subprocess.run(search, capture_output=True, text=True, check=True, timeout=120)
        return [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("mail: ")]


@pytest.fixture(scope="module")
def served(make_postgresql_database: Callable[..., str]) -> Iterator[Served]:
    sections = {
        "store": {"database": make_postgresql_database(), "inline_limit": 64 * 1024 * 1024},
        "directory": {"database": make_postgresql_database()},
    }
    with own_world("pgdir", sections) as (one, _):
        ports = world.ports_at(world.free_port_base())
        second = one.folder / "second"
        leave = shutil.ignore_patterns("control.sock*", "*.lock")
        shutil.copytree(one.node, second / "node", ignore=leave)
        settings = second / "node" / "vaguemestre.toml"
        text = settings.read_text()
        for name in ports.keys() - {"identity"}:
            text = re.sub(rf"\b{one.ports[name]}\b", str(ports[name]), text)
        settings.write_text(text)
        process = world.NodeProcess(second)
        try:
            process.wait_ready(ports)
            yield Served(one, ports)
        finally:
            process.stop()


def test_programs_find_publish_and_see_each_others_changes_on_both_nodes(served: Served) -> None:
    one, ports = served.one, served.other_ports
    other = dataclasses.replace(one, ports=ports)
    directory_world.imported(one)
    assert not list(one.node.glob("*.db")), "nothing lies in SQLite"
    doctor = directory_world.CARDIOLOGIST
    for port in (one.ports["ldap"], ports["ldap"]):
        assert doctor.address in served.found(port, f"(sn={doctor.family})")
    key = one.command(
        "directory_key_add",
        label="Autre",
        rights=["read", "publish"],
        publisher="Autre",
        domains=["autre.mssante.fr"],
    )["key"]
    who = f"Practitioner?identifier={IDNPS}%7C{doctor.national_id}"
    for node in (one, other):
        status, found = ask(node, who, key)
        assert (status, len(found["entry"])) == (200, 1)
    address = "nouvelle@autre.mssante.fr"
    assert ask(one, who, key, "PATCH", inserted(address))[0] == 200
    assert len(ask(other, f"Practitioner?mailbox-mss:exact={address}", key)[1]["entry"]) == 1
    assert served.found(ports["ldap"], f"(mail={address})") == [address]
    assert ask(one, f"Practitioner?family={doctor.family[:3]}&_total=accurate", key)[1]["total"] >= 1


def test_the_picker_of_the_page_finds_whom_programs_find(served: Served) -> None:
    one = served.one
    nurse = PageClient(one.ports["http"])
    code = one.command("enrolment_code", address=world.NURSE)["code"]
    nurse.enrol(code, "une phrase à retenir", derivations.new_recovery_code(), address=world.NURSE)
    nurse.log_in_by_provider(sign_in.PROFESSIONALS, one.identity.doctors[world.NURSE].name)
    doctor = directory_world.CARDIOLOGIST
    cards = nurse.post("/api/directory", {"q": doctor.family[:4], "profession": ""})["cards"]
    assert doctor.address in [card["address"] for card in cards]


def test_a_certificate_revoked_on_one_is_gone_from_the_other_within_the_minute(served: Served) -> None:
    one, other = served.one, dataclasses.replace(served.one, ports=served.other_ports)
    assert advanced(other, world.GP).status == 200
    one.command("key_revoke", address=world.GP, fingerprint=None)
    assert advanced(one, world.GP).status == 404
    within_the_minute(lambda: advanced(other, world.GP).status == 404)
