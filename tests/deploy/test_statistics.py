"""The month's figures: counted from the trace, the same at each reading."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import mail_server.accounts.tables
import mail_server.store.tables
import policies.audit.tables
from deploy.node.statistics import Month, as_csv, figures
from mail_server.accounts.interface import Kind
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Store
from mail_server.store.settings import StoreSettings
from mail_server.store.store import open_store
from policies.audit.trail import ChainedTrail
from policies.interface import Event

MAY = Month(2031, 5)
NOON = MAY.start + 43_200_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    settings = StoreSettings(free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path))
    for package in (mail_server.store.tables, mail_server.accounts.tables, policies.audit.tables):
        package.metadata.create_all(engine)
    engine.dispose()
    opened = open_store(settings, tmp_path, AesKeyWrapper(secrets.token_bytes(32)))
    await opened.start()
    yield opened
    await opened.stop()


async def test_mailboxes_logins_letters_and_refusals_are_counted_by_kind_and_reason(store: Store) -> None:
    trail = ChainedTrail("node")
    accounts = AccountService(store, trail, AccountsSettings(domains=("chu.test",)))
    await accounts.start()
    gp = (await accounts.add("gp@chu.test", Kind.PER)).id
    robot = (await accounts.add("dpi@chu.test", Kind.APP)).id
    gone = (await accounts.add("gone@chu.test", Kind.PER)).id
    await accounts.close(gone)
    events = [
        Event("login", NOON, gp, gp),
        Event("login", NOON + 1, robot, robot),
        Event("login-failed", NOON + 2, "unknown", "unknown", "wrong-password"),
        Event("deliver", NOON + 3, robot, gp, "sealed"),
        Event("deliver", NOON + 4, "operator:CN=voisin", gp, "sealed"),
        Event("refuse", NOON + 5, gp, outcome="over-quota"),
        Event("refuse", NOON + 6, gp, outcome="over-quota"),
        Event("login", MAY.end, gp, gp),  # another month
    ]
    await store.write(lambda tx: trail.append(tx.sql, events))
    rows = await store.read(lambda reader: figures(reader.sql, MAY, now=MAY.end))
    assert [(row.figure, row.of, row.count) for row in rows] == [
        ("connections", "", 2),
        ("connections", "APP", 1),
        ("connections", "PER", 1),
        ("connections refused", "", 1),
        ("connections refused", "unknown", 1),
        ("mailboxes", "APP", 1),
        ("mailboxes", "PER", 1),
        ("messages filed", "", 2),
        ("messages from other operators", "", 1),
        ("messages from other operators", "PER", 1),
        ("messages in", "PER", 2),
        ("messages out", "APP", 1),
        ("refusals", "", 2),
        ("refusals", "over-quota", 2),
    ]
    again = await store.read(lambda reader: figures(reader.sql, MAY, now=MAY.end + 10**10))
    assert again == rows


async def test_a_month_that_is_not_over_says_so(store: Store) -> None:
    rows = await store.read(lambda reader: figures(reader.sql, MAY, now=NOON))
    assert [(row.figure, row.count) for row in rows] == [("month not over", 1)]


def test_the_file_is_the_same_bytes_for_the_same_figures() -> None:
    row = {"month": "2031-05", "figure": "refusals", "of": "a,b", "count": 3}
    assert as_csv([row]) == 'month,figure,of,count\n2031-05,refusals,"a,b",3\n'


@pytest.mark.parametrize("text", ["2031", "2031-13", "mai 2031", "2031-05-01"])
def test_a_month_is_written_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=r"match|unconverted"):
        Month.parse(text)


def test_a_month_has_all_its_days() -> None:
    assert (Month(2028, 2).end - Month(2028, 2).start) // 86_400_000 == 29
    assert Month(2031, 12).end == Month(2032, 1).start


async def test_letters_to_other_operators_are_counted_by_who_sent_them_who_reads_them_and_why_not(
    store: Store,
) -> None:
    trail = ChainedTrail("node")
    accounts = AccountService(store, trail, AccountsSettings(domains=("chu.test",)))
    await accounts.start()
    gp = (await accounts.add("gp@chu.test", Kind.PER)).id
    robot = (await accounts.add("dpi@chu.test", Kind.APP)).id
    events = [
        Event("sent", NOON, "node", gp, "sealed"),
        Event("sent", NOON + 1, "node", robot, "gated"),
        Event("sent", NOON + 2, "node", robot, "gated"),
        Event("sent", NOON + 3, "node", "", "gated"),  # a report of the node itself
        Event("send-failed", NOON + 4, "node", gp, "peer-5yz"),
        Event("send-expired", NOON + 5, "node", robot, "no-starttls"),
        Event("send-cancelled", NOON + 6, "console:root", robot),
    ]
    await store.write(lambda tx: trail.append(tx.sql, events))
    rows = await store.read(lambda reader: figures(reader.sql, MAY, now=MAY.end))
    assert [(row.figure, row.of, row.count) for row in rows if row.figure.startswith("letters")] == [
        ("letters cancelled", "", 1),
        ("letters cancelled", "APP", 1),
        ("letters expired", "", 1),
        ("letters expired", "APP", 1),
        ("letters expired", "no-starttls", 1),
        ("letters refused by other operators", "", 1),
        ("letters refused by other operators", "PER", 1),
        ("letters refused by other operators", "peer-5yz", 1),
        ("letters to other operators", "", 4),
        ("letters to other operators", "APP", 2),
        ("letters to other operators", "PER", 1),
        ("letters to other operators", "gated", 3),
        ("letters to other operators", "node", 1),
        ("letters to other operators", "sealed", 1),
    ]
