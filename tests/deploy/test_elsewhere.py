"""Another operator publishes a mailbox under the name of a professional of ours: they are told, and may object."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.node.administrators import this_user
from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from deploy.node.doctor_directory import elsewhere as told_by_doctor
from deploy.node.elsewhere import MailboxesElsewhere
from deploy.node.home import Home
from directory.identifiers.luhn import luhn_digit
from directory.listings import elsewhere
from directory.listings.writing import put_mailboxes, remove_mailboxes
from directory.model import Kind as Listed
from directory.model import Mailbox, Origin, Professional
from mail_server.accounts.interface import Account, Kind
from mail_server.store.interface import Transaction
from policies.audit.query import Filter, find
from policies.refusal import Refusal
from tests.worlds import new_home

DOMAIN, THEIRS = "mss.essai.test", "autre.mssante.test"
PUBLISHER = "Opérateur {autre}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("elsewhere"), DOMAIN)


@pytest.fixture
async def node(home: Path) -> AsyncGenerator[Node]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        yield node


_numbers = iter(range(9970024600, 9970024700))


async def professional(node: Node, local: str) -> Account:
    number = str(next(_numbers))
    made = await node.accounts.add(f"{local}@{DOMAIN}", Kind.PER)
    await node.accounts.bind_national_id(made.id, f"8{number}{luhn_digit(number)}")
    found = node.accounts.by_id(made.id)
    assert found is not None
    return found


def publish(node: Node, address: str, *holders: str, origin: Origin = Origin.PUBLISHED) -> None:
    kind = Listed.PER if len(holders) == 1 else Listed.CAB
    people = tuple(Professional(one, family="Autre") for one in holders)
    box = Mailbox(address, kind, people, origin=origin)
    node.listings_database.write(lambda sql: put_mailboxes(sql, [box], PUBLISHER, now()))


def withdraw(node: Node, address: str) -> None:
    node.listings_database.write(lambda sql: remove_mailboxes(sql, [address], now(), Origin.PUBLISHED))


async def letters(node: Node, account: Account) -> int:
    row = await node.store.read(
        lambda reader: reader.sql.one("SELECT COUNT(*) FROM message WHERE account_id = ?", (account.id,))
    )
    assert row is not None
    return int(row[0])


async def traced(node: Node, account: Account) -> list[tuple[str, str, dict[str, str]]]:
    await node.trace.settle()
    entries = await node.store.read(lambda reader: list(find(reader.sql, Filter(action="listing-elsewhere"))))
    return [(one.actor, one.outcome, dict(one.details)) for one in entries if one.subject == account.id]


async def test_who_is_named_is_told_once_by_a_letter_and_it_is_in_the_trace(node: Node) -> None:
    zoe, lou = await professional(node, "zoe"), await professional(node, "lou")
    publish(node, f"zoe@{THEIRS}", zoe.national_id)
    for _ in range(3):
        await node.elsewhere.look()
    assert (await letters(node, zoe), await letters(node, lou)) == (1, 0)
    [(actor, outcome, detail)] = await traced(node, zoe)
    assert (actor, outcome) == (f"operator:{PUBLISHER}", "done")
    assert detail == {"domain": THEIRS, "kind": "PER"}


async def test_it_is_looked_for_whenever_the_listings_changed(node: Node) -> None:
    eva = await professional(node, "eva")
    node.own_listings.start()
    publish(node, f"eva@{THEIRS}", eva.national_id)
    node.own_listings.soon()
    async with asyncio.timeout(60):
        while not await letters(node, eva):
            await asyncio.sleep(0.05)
    await node.own_listings.stop()


async def test_a_mailbox_that_is_published_anew_is_told_of_anew(node: Node) -> None:
    ana = await professional(node, "ana")
    heard: list[str] = []
    made = quiet(node, lambda message: heard.append(message))
    for _ in range(2):
        publish(node, f"ana@{THEIRS}", ana.national_id)
        await made.look()
        withdraw(node, f"ana@{THEIRS}")
        await made.look()
    assert len(heard) == 2


async def test_a_mailbox_that_the_national_files_or_we_tell_of_is_no_news(node: Node) -> None:
    ida = await professional(node, "ida")
    publish(node, f"ida@{THEIRS}", ida.national_id, origin=Origin.NATIONAL)
    await node.elsewhere.look()
    assert await letters(node, ida) == 0


async def test_each_holder_of_a_practice_is_told(node: Node) -> None:
    one, two = await professional(node, "un"), await professional(node, "deux")
    publish(node, f"cabinet@{THEIRS}", one.national_id, two.national_id)
    await node.elsewhere.look()
    assert [await letters(node, each) for each in (one, two)] == [1, 1]


class Filed:
    """Files nothing: says what it was given, or refuses."""

    def __init__(self, hear: Callable[[str], None], refusal: Refusal | None = None) -> None:
        self._hear, self._refusal = hear, refusal

    async def file(
        self,
        account: Account,
        message: bytes,
        fingerprint: bytes,
        note: Callable[[Transaction, int], None],
    ) -> None:
        if self._refusal is not None:
            raise self._refusal
        told = email.message_from_bytes(message, policy=email.policy.default)
        self._hear(f"{told['From']}|{told['To']}|{told['Subject']}|{told.get_content()}")


def quiet(
    node: Node, hear: Callable[[str], None], refusal: Refusal | None = None, clock: Callable[[], int] = now
) -> MailboxesElsewhere:
    filed: Any = Filed(hear, refusal)
    return MailboxesElsewhere(
        accounts=node.accounts,
        database=node.listings_database,
        filed=filed,
        store=node.store,
        trail=node.trail,
        audit=node.trace.note,
        domain=DOMAIN,
        clock=clock,
    )


async def test_the_letter_says_whose_mailbox_it_is_and_whom_to_write_to(node: Node) -> None:
    lea = await professional(node, "lea")
    publish(node, f"l.autre@{THEIRS}", lea.national_id)
    heard: list[str] = []
    await quiet(node, heard.append).look()
    (told,) = heard
    assert told.startswith(
        f"Vaguemestre <postmaster@{DOMAIN}>|{lea.address}|Une boîte aux lettres à votre nom"
    )
    for words in (
        f"« {PUBLISHER} »",
        f"    l.autre@{THEIRS}",
        f'"{PUBLISHER}"',
        f"dites-le à postmaster@{DOMAIN}",
    ):
        assert words in told


async def test_who_cannot_be_told_is_in_the_trace_once_and_tried_again(node: Node) -> None:
    mia = await professional(node, "mia")
    publish(node, f"mia@{THEIRS}", mia.national_id)
    full = quiet(node, lambda _: None, Refusal(452, "4.2.2", "The mailbox is full", "over-quota"))
    for _ in range(2):
        await full.look()
    assert [outcome for _, outcome, _ in await traced(node, mia)] == ["over-quota"]
    listed = [one for one in await publications(node) if one["of"] == mia.address]
    assert [finding.verdict for finding in told_by_doctor({"elsewhere": listed})] == ["warning", "good"]
    await node.elsewhere.look()
    assert await letters(node, mia) == 1


async def test_nobody_has_more_than_a_few_such_letters_in_a_day(node: Node) -> None:
    """However many mailboxes an operator publishes under one name: the others are told of when the day is over."""
    leo, at, heard = await professional(node, "leo"), [now()], list[str]()
    made = quiet(node, lambda told: heard.append(told) if leo.address in told else None, clock=lambda: at[0])
    for number in range(7):
        publish(node, f"leo{number}@{THEIRS}", leo.national_id)
        await made.look()
    withdraw(node, f"leo0@{THEIRS}")
    await made.look()
    assert len(heard) == 5
    at[0] += 86_400_000
    await made.look()
    assert len(heard) == 7


async def publications(node: Node) -> list[dict[str, Any]]:
    told: dict[str, Any] = await Console(node, this_user()).handle("directory_publications", {})
    return told["elsewhere"]


async def test_it_is_listed_among_publications_and_by_doctor(node: Node) -> None:
    noa = await professional(node, "noa")
    publish(node, f"noa@{THEIRS}", noa.national_id)
    await node.elsewhere.look()
    (found,) = [one for one in await publications(node) if one["of"] == noa.address]
    assert (found["address"], found["publisher"], found["objected"]) == (f"noa@{THEIRS}", PUBLISHER, None)
    assert found["told"]
    (finding,) = told_by_doctor({"elsewhere": [found]})
    assert finding.verdict == "good"
    assert f"noa@{THEIRS} ({PUBLISHER}) for {noa.address}" in finding.sentence


async def test_an_objection_takes_it_out_of_the_directory_until_it_is_lifted(node: Node) -> None:
    max_, address = await professional(node, "max"), f"max@{THEIRS}"
    publish(node, address, max_.national_id)
    await node.elsewhere.look()
    console = Console(node, this_user())
    told = await console.handle("directory_withdraw", {"address": address.upper(), "reason": "pas à lui"})
    assert told == {"address": address, "state": "objected", "of": [max_.address]}
    listings, database = node.listings, node.listings_database
    assert listings.mailbox(address) is None
    assert database.read(lambda sql: elsewhere.objects(sql, address, [max_.national_id]))
    await node.elsewhere.look()
    (found,) = [one for one in await publications(node) if one["of"] == max_.address]
    assert (bool(found["objected"]), found["reason"]) == (True, "pas à lui")
    assert list(told_by_doctor({"elsewhere": [found]})) == []
    (lifted,) = await console.handle("directory_publish", {"address": address})
    assert lifted["state"] == "lifted"
    assert not database.read(lambda sql: elsewhere.objects(sql, address, [max_.national_id]))
    for command in ("directory_withdraw", "directory_publish"):
        with pytest.raises(CommandFailed, match="There is no mailbox"):
            await console.handle(command, {"address": f"personne@{THEIRS}"})
