"""Several nodes on one PostgreSQL: one account, one order of changes, wake-ups across nodes."""

from __future__ import annotations

import asyncio
import contextlib
import random

import psycopg
import pytest

from mail_server.store.model import AccountId, SpecialUse
from mail_server.store.store import LocalStore


@pytest.fixture
def database(make_postgresql_database, migrated_postgresql, tmp_path):
    (tmp_path / "home").mkdir()
    return make_postgresql_database(migrated_postgresql)


@pytest.fixture
async def second(desk, tmp_path):
    home = tmp_path / "second"
    home.mkdir()
    store = LocalStore(desk.settings, home, desk.keys)
    await store.start()
    yield store
    await store.stop()


async def test_a_change_on_one_node_wakes_a_watch_on_the_other(desk, second):
    here, elsewhere = desk.store.watch([desk.account]), second.watch([desk.account])
    other = second.watch([desk.other])
    woken = 0
    for _ in range(5):
        await desk.file(await desk.verbatim())
        await asyncio.wait_for(here.wait(), 60)
        await asyncio.wait_for(elsewhere.wait(), 60)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(other.wait(), 0.2)
            woken += 1
    assert woken <= 1, "once at most: that it was opened may be told late"
    assert (await second.read(lambda r: r.mailbox_by_use(desk.account, SpecialUse.INBOX))).uidnext == 6


async def test_another_node_hears_how_many_octets_an_account_holds(desk, second):
    await desk.file(await desk.verbatim(size=100))
    for _ in range(1200):
        if second.used(desk.account) == 100:
            break
        await asyncio.sleep(0.05)
    assert second.used(desk.account) == 100


async def test_nodes_that_file_in_each_other_s_order_neither_block_nor_repeat_uids(desk, second):
    stores = [desk.store, second]
    accounts = [desk.account, desk.other]
    bodies = [await store.stage(None, b"x", compress=False) for store in stores]
    chance = random.Random(1)

    async def both(number):
        store = number % 2
        order = accounts if chance.random() < 0.5 else accounts[::-1]
        messages = [await desk.split(bodies[store], account=account) for account in order]

        def operation(tx):
            return [tx.file(message) for message in messages]

        return await stores[store].write(operation)

    filed = [one for pair in await asyncio.gather(*map(both, range(120))) for one in pair]
    for account in accounts:
        mine = [one for one in filed if one.account == account]
        assert sorted(one.uid for one in mine) == list(range(1, 121))
        assert len({one.modseq for one in mine}) == 120


async def test_one_account_opened_by_two_nodes_has_one_key(desk, second):
    for number in range(10):
        account = AccountId(f"{number:020}")
        await asyncio.gather(
            *(store.write(lambda tx, a=account: tx.open_account(a)) for store in (desk.store, second))
        )
        message = await desk.verbatim(account=account)
        filed = await desk.file(message)
        assert b"hello" in await second.read(lambda r, filed=filed: r.content(filed.message))


async def test_a_lost_connection_is_made_again(desk):
    filed = await desk.file(await desk.verbatim())
    with psycopg.connect(desk.settings.database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    for _ in range(5):
        await desk.store.read(lambda r: r.content(filed.message))
        await desk.file(await desk.verbatim())
