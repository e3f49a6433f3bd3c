"""Servers of others that are down for a day or a week, slow, cut or refuse at every step: nothing is lost, who wrote is
told the right thing once, and nobody is tried more often than the schedule says.

The queue, the client and the reports are the product's, on a store, against servers that speak TLS; the clock is the
test's, so that five days take seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import pki as certificates
from deploy.node.migrations.run import migrate_mail
from mail_server.accounts.interface import Account, Kind
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.interface import Readable
from mail_server.outbound.reports.owed import Reports
from mail_server.outbound.schedule import JITTER
from mail_server.outbound.settings import OutboundSettings
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from policies.audit.trail import ChainedTrail
from tests.faults.receiver import free_port
from tests.mail_server.outbound.client.scripted import Answer, Cut, FakeNames, Peer, Pki, Silence, Trust
from tests.mail_server.outbound.queue.conftest import ACCOUNT, KEK, Clock, Post
from tests.mail_server.outbound.reports.conftest import Delivery, People

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

MINUTE, HOUR = 60_000, 3_600_000
SLACK_SOON, SLACK_LATER = MINUTE // 2, 5 * MINUTE
ALICE = Account(ACCOUNT, "alice@a.test", Kind.PER)
HEAD = b"From: alice@a.test\r\nMessage-ID: <essai@a.test>\r\n\r\n"
BODY = HEAD + random.Random(6).randbytes(400).hex().encode() + b"\r\n"
STEPS = ("greeting", "clear EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", ".")
OF_THE_LETTER = ("MAIL", "RCPT", "DATA", ".")
FAULTS: dict[str, Answer] = {
    "cut": Cut(),
    "silent": Silence(),
    "421": "421 4.3.2 Shutting down",
    "451": "451 4.3.0 Not now",
    "554": "554 5.3.0 Never",
}


@dataclass
class Office:
    """A node's outbound half, and what it told its people."""

    post: Post
    client: SmtpClient
    reports: Reports
    told: list[tuple[Account, bytes]]
    at: dict[str, list[int]] = field(default_factory=dict[str, list[int]])  # of attempts, by domain

    async def lives(self, hours: float, *, together: bool = False, steps: int = HOUR // 2) -> None:
        """Time passes: to whatever is due next, in `steps` at most. `together`: what is due nearly then, too."""
        await self.post.quiet()
        start = self.post.clock.now
        end = start + round(hours * HOUR)
        while (now := self.post.clock.now) < end:
            due = await self.post.count(
                "SELECT min(max(l.due, d.retry_at)) FROM outbound_letter l JOIN outbound_domain d"
                " ON d.domain = l.domain WHERE l.state = 0"
            )
            if due and together:
                due += -due % (SLACK_SOON if due - start < HOUR // 2 else SLACK_LATER)
            step = min(due if due and due > now else end, now + steps, end)
            await self.post.passes(step - now)
            await self.reports.send_due()

    def actions(self, address: str) -> list[tuple[str, str]]:
        """Action and status of each report about an address, in their order."""
        found: list[tuple[str, str]] = []
        for _, report in self.told:
            for block in report.split(b"Final-Recipient:")[1:]:
                told = re.search(rb"Action: (\w+)\r\nStatus: ([\d.]+)", block)
                if told and address.encode() in block.split(b"\r\n")[0]:
                    found.append((told[1].decode(), told[2].decode()))
        return found

    def waits(self, domain: str) -> list[float]:
        """Minutes between attempts."""
        at = self.at[domain]
        return [(later - sooner) / MINUTE for sooner, later in itertools.pairwise(at)]


class Noted:
    """`Handover`: the client; when it was asked is noted."""

    def __init__(self, client: SmtpClient, clock: Clock, at: dict[str, list[int]]) -> None:
        self._client, self._clock, self._at = client, clock, at

    async def hand_over(self, domain: str, letter: Any, content: Any) -> Any:
        self._at.setdefault(domain, []).append(self._clock.now)
        return await self._client.hand_over(domain, letter, content)

    async def close(self) -> None:
        await self._client.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    authority = certificates.TestAuthority.create()
    authority.write(folder)
    organisation = certificates.Organisation.with_finess("OPERATEUR TEST", 1, "Loire (42)")
    leaves = {name: authority.issue_operator(f"{name}.test", organisation) for name in ("we", "peer")}
    return Pki(
        folder,
        authority,
        {name: leaf.write(folder, name) for name, leaf in leaves.items()},
        {name: leaf.der for name, leaf in leaves.items()},
    )


@contextlib.asynccontextmanager
async def office(
    home: Path, pki: Pki, routes: dict[str, int], patience: float = 10.0
) -> AsyncGenerator[Office]:
    home.mkdir()
    migrate_mail(f"sqlite:///{home / 'mail.db'}")
    keys = AesKeyWrapper(KEK)
    store = LocalStore(StoreSettings(free_space_floor=0), home, keys)
    await store.start()
    settings = OutboundSettings.model_validate(
        {
            "routes": {domain: f"127.0.0.1:{port}" for domain, port in routes.items()},
            "use_mx": False,
            "connect_seconds": patience,
            "reply_seconds": patience,
            "content_seconds": patience,
            "idle_seconds": 0,
        }
    )
    clock, at = Clock(), dict[str, list[int]]()
    client = SmtpClient(settings, "we.test", Trust(domains=set(routes)), pki.ours(), FakeNames())
    reports = Reports(
        store=store,
        accounts=People({ACCOUNT: ALICE}),  # type: ignore[arg-type]
        keys=keys,
        trail=ChainedTrail("node"),
        domain="a.test",
        clock=clock,
    )
    delivery = Delivery(store)
    handover: Any = Noted(client, clock, at)
    told: Any = reports
    post = Post(store, settings, clock, handover, told, several_nodes=False)
    reports.tell_through(delivery, post.queue)
    await post.start()
    try:
        yield Office(post, client, reports, delivery.filed, at)
    finally:
        await post.stop()
        await store.stop()


def lines(peer: Peer) -> Counter[bytes]:
    return Counter(peer.letters)


def as_scheduled(waits: list[float], *, together: bool = False) -> None:
    """Each wait is twice the last, up to four hours, give or take a fifth; and what the steps of the clock add."""
    for place, wait in enumerate(waits):
        right = min(2.0**place, 240)
        slack = (SLACK_SOON if place < 4 else SLACK_LATER) / MINUTE if together else 0.0
        assert right * (1 - JITTER) - slack - 0.01 <= wait <= right * (1 + JITTER) + slack + 0.01, (
            place,
            waits,
        )


async def test_down_for_thirty_hours_a_letter_is_late_once_and_then_arrives(tmp_path: Path, pki: Pki) -> None:
    port = free_port()
    async with office(tmp_path / "home", pki, {"b.test": port}) as ours:
        await ours.post.lay("bob@b.test", data=BODY)
        await ours.lives(30)
        assert ours.actions("bob@b.test") == [("delayed", "4.4.1")]
        as_scheduled(ours.waits("b.test"))
        assert 12 <= len(ours.at["b.test"]) <= 20
        assert ours.client.connections.failures["refused"] <= len(ours.at["b.test"]), ours.client.connections
        async with Peer(pki.server(), port=port) as peer:
            await ours.lives(5)
            assert lines(peer) == {BODY: 1}
            assert peer.connections == 1
        assert len(ours.told) == 1, "sealed to its addressee and taken: nothing more to tell"


async def test_down_for_five_days_it_comes_back_and_nothing_of_it_stays(tmp_path: Path, pki: Pki) -> None:
    async with office(tmp_path / "home", pki, {"b.test": free_port()}) as ours:
        number = await ours.post.lay("bob@b.test", data=BODY, readable=Readable.SEALED)
        [stored] = await ours.post.store.read(
            lambda reader: [row[0] for row in reader.sql.all("SELECT data FROM blob")]
        )
        assert stored is not None
        await ours.lives(121)
        assert ours.actions("bob@b.test") == [("delayed", "4.4.1"), ("failed", "4.4.7")]
        assert await ours.post.states(number) == ["EXPIRED"]
        assert 30 <= len(ours.at["b.test"]) <= 50
        as_scheduled(ours.waits("b.test"))
        assert await ours.post.count("SELECT count(*) FROM queued") == 0
        before = len(ours.at["b.test"])
        await ours.lives(12, steps=6 * HOUR)
        assert len(ours.at["b.test"]) == before, "what came back is never tried again"
        await ours.lives(24 * 8, steps=12 * HOUR)
        assert await ours.post.count("SELECT count(*) FROM blob") == 0
        assert await ours.post.count("SELECT count(*) FROM outbound_letter") == 0
    left = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert bytes(stored)[:64] not in left, "not even as it lay encrypted"


@dataclass(frozen=True)
class Case:
    step: str
    fault: str

    @property
    def domain(self) -> str:
        return f"{self.fault}-{STEPS.index(self.step)}.test"

    @property
    def address(self) -> str:
        return f"bob@{self.domain}"

    @property
    def refused(self) -> bool:
        """For good: a 5yz that is about the letter."""
        return self.fault == "554" and self.step in OF_THE_LETTER


@pytest.mark.parametrize(
    ("faults", "patience", "hours", "most"),
    [(("cut", "421", "451", "554"), 10.0, 5.0, range(7, 12)), (("silent",), 3.0, 0.2, range(3, 6))],
    ids=["quick", "slow"],
)
async def test_a_fault_at_any_step_loses_nothing_and_tires_nobody(
    tmp_path: Path, pki: Pki, faults: tuple[str, ...], patience: float, hours: float, most: range
) -> None:
    cases = [Case(step, fault) for step in STEPS for fault in faults]
    peers: dict[Case, Peer] = {}
    async with contextlib.AsyncExitStack() as stack:
        for case in cases:
            peers[case] = Peer(pki.server(), {case.step: FAULTS[case.fault]})
            await stack.enter_async_context(peers[case])
        routes = {case.domain: peer.port for case, peer in peers.items()}
        ours = await stack.enter_async_context(office(tmp_path / "home", pki, routes, patience))
        numbers = {case: await ours.post.lay(case.address, data=BODY) for case in cases}
        await ours.lives(hours, together=True)
        late = ["delayed"] if hours > 4 else []
        unsure = 0
        for case in cases:
            number, peer, tried = numbers[case], peers[case], len(ours.at[case.domain])
            told, sent = ours.actions(case.address), peer.letters.count(BODY)
            if case.refused:
                assert await ours.post.states(number) == ["FAILED"], case
                assert [(action, status[:2]) for action, status in told] == [("failed", "5.")], case
                assert tried == 1, case
            else:
                assert await ours.post.states(number) == ["WAITING"], case
                assert [action for action, _ in told] == late, case
                as_scheduled(ours.waits(case.domain), together=True)
                assert tried in most, case
            assert peer.connections <= tried, f"{case}: more than the schedule says"
            assert sent == (tried if case.step == "." else 0), case
            # Bytes that went out and were not answered are counted as possibly twice, and no others.
            [recipient] = await ours.post.recipients(number)
            assert recipient.unsure == (sent if case.fault in ("cut", "silent") else 0), case
            unsure += recipient.unsure

        for peer in peers.values():
            peer.answers.clear()
            peer.letters.clear()
        await ours.lives(5, together=True)
        for case in cases:
            state = "FAILED" if case.refused else "DELIVERED"
            assert await ours.post.states(numbers[case]) == [state], case
            assert peers[case].letters == ([] if case.refused else [BODY]), case
            told_at_last = ["failed"] if case.refused else late
            assert [action for action, _ in ours.actions(case.address)] == told_at_last, case
        assert await ours.post.count("SELECT count(*) FROM queued") == 0
        assert ours.post.dispatcher is not None
        assert ours.post.dispatcher.counters.possibly_twice == unsure
        print(f"{len(cases)} faults, {sum(map(len, ours.at.values()))} attempts, {len(ours.told)} reports")
