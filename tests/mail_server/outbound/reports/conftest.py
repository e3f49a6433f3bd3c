"""Reports over a real store, SQLite or PostgreSQL; people, a queue and a delivery that keep what they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from mail_server.accounts.interface import Account, Kind
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.outbound.interface import (
    Notify,
    Outcome,
    Outgoing,
    OutgoingRecipient,
    Phase,
    Readable,
    Verdict,
)
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.outbound.reports.owed import Reports
from mail_server.outbound.reports.tables import metadata as reports_metadata
from mail_server.store.interface import Store, Transaction
from mail_server.store.model import AccountId
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from mail_server.store.tables import metadata as store_metadata
from policies.interface import Event

DOMAIN = "mss.essai.test"
KEYS = AesKeyWrapper(bytes(range(32)))
ALICE = Account(AccountId("a" * 20), f"alice@{DOMAIN}", Kind.PER)
START = 1_800_000_000_000
HEAD = (
    b"From: Alice <alice@mss.essai.test>\r\nTo: bob@voisin.test\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
    b"Message-ID: <un@mss.essai.test>\r\n"
)


def told(**changes: object) -> Told:
    values: dict[str, object] = {
        "account": ALICE.id,
        "mail_from": ALICE.address,
        "reference": "R1",
        "accepted_at": START,
        "head": HEAD,
    }
    return Told(**(values | changes))  # type: ignore[arg-type]


def outcome(
    verdict: Verdict = Verdict.FAILED,
    phase: Phase = Phase.RCPT,
    reason: str = "peer-5yz",
    code: int = 550,
    enhanced: str = "5.1.1",
    said: str = "No such mailbox here",
    host: str = "mx.voisin.test",
    *,
    dsn: bool = False,
) -> Outcome:
    return Outcome(verdict, phase, reason, code, enhanced, said, host, dsn=dsn)


TAKEN = outcome(Verdict.DELIVERED, Phase.CONTENT, "delivered", 250, "2.0.0", "Accepted")


def settled(
    fate: Fate = Fate.FAILED,
    to: str = "bob@voisin.test",
    last: Outcome | None = None,
    notify: Notify = Notify.NONE,
    *,
    orcpt: str = "",
    until: int = 0,
) -> Settled:
    if last is None:
        last = TAKEN if fate is Fate.RELAYED else outcome()
    return Settled(OutgoingRecipient(to, notify, orcpt), fate, last, until)


@dataclass
class People:
    accounts: dict[str, Account] = field(default_factory=lambda: {ALICE.id: ALICE})

    def by_id(self, account: AccountId) -> Account | None:
        return self.accounts.get(account)

    def by_address(self, address: str) -> Account | None:
        return next((one for one in self.accounts.values() if one.address == address), None)

    def is_local_domain(self, domain: str) -> bool:
        return domain == DOMAIN


@dataclass
class Queue:
    laid: list[Outgoing] = field(default_factory=list)
    woken: int = 0

    def lay(self, transaction: Transaction, letter: Outgoing) -> int:
        self.laid.append(letter)
        return len(self.laid)

    def wake(self) -> None:
        self.woken += 1


@dataclass
class Trail:
    events: list[Event] = field(default_factory=list)

    def append(self, sql: object, events: Sequence[Event]) -> None:
        self.events.extend(events)


@dataclass
class Delivery:
    """Files nothing, keeps what it was given; knows what it was given before."""

    store: Store
    filed: list[tuple[Account, bytes]] = field(default_factory=list)
    failure: Exception | None = None
    dies_after_commit: bool = False

    async def file(
        self, account: Account, message: bytes, fingerprint: bytes, note: Callable[[Transaction, int], None]
    ) -> None:
        if self.failure is not None:
            raise self.failure

        def write(transaction: Transaction) -> None:
            transaction.remember_submission(fingerprint, START)
            note(transaction, START)

        await self.store.write(write)
        self.filed.append((account, message))
        if self.dies_after_commit:
            raise ConnectionError


@dataclass
class World:
    store: Store
    reports: Reports
    people: People
    queue: Queue
    delivery: Delivery
    trail: Trail
    clock: list[int]

    async def owe(self, letter: Told, *lines: Settled) -> None:
        at = self.clock[0]
        await self.store.write(lambda transaction: self.reports.owe(transaction, letter, lines, at))

    async def later(self, seconds: float) -> int:
        """So much later, what is due is told; how many reports left."""
        self.clock[0] += int(seconds * 1000)
        return await self.reports.send_due()

    async def owed(self) -> int:
        [(count,)] = await self.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM report_owed"))
        return count


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    settings = StoreSettings(free_space_floor=0)
    url = f"sqlite:///{tmp_path / 'mail.db'}"
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("make_postgresql_database")
        settings = StoreSettings(free_space_floor=0, database=make())
        url = settings.url(tmp_path)
    engine = create_engine(url)
    store_metadata.create_all(engine)
    reports_metadata.create_all(engine)
    engine.dispose()
    store = LocalStore(settings, tmp_path, KEYS)
    await store.start()
    clock = [START]
    people, queue, trail = People(), Queue(), Trail()
    reports = Reports(
        store=store,
        accounts=people,  # type: ignore[arg-type]
        keys=KEYS,
        trail=trail,  # type: ignore[arg-type]
        domain=DOMAIN,
        clock=lambda: clock[0],
    )
    delivery = Delivery(store)
    reports.tell_through(delivery, queue)
    yield World(store, reports, people, queue, delivery, trail, clock)
    await store.stop()


EVERY_READABLE = tuple(Readable)
