"""Two nodes that share letters and directory on PostgreSQL: what one does, the other shows within a minute."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo import people
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
from tests.worlds import new_home

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
        async with asyncio.timeout(30 * QUICK):
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
