"""The one judgement of another operator: the list, its age, blocks and revocation, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.pki import Organisation, TestAuthority
from policies.interface import SqlConnection
from policies.trust_list import standing
from policies.trust_list.listing import ListRefused, Row
from policies.trust_list.peers import Peers
from policies.trust_list.revocation.interface import Finding
from policies.trust_list.space import TrustSpace, chosen_by
from policies.trust_list.standing import Age, Ages, KnownPeers

from .conftest import OUR_DOMAIN, MemorySql, World

CHU = Organisation.with_finess("CHU VOISIN", 3, "Loire (42)")
ARS = Organisation.with_siret("GRADES DES TROIS VALLEES", 7, "Ain (01)")


@pytest.fixture(scope="module")
def operators() -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """Two, each with its name and its certificate."""
    authority = TestAuthority.create()
    one, two = authority.issue_operator("mx.chu.test", CHU), authority.issue_operator("mx.ars.test", ARS)
    return (one.dn, one.der), (two.dn, two.der)


@dataclass
class Court:
    """Peers over a space, with what the tests switch."""

    world: World
    space: TrustSpace
    sql: MemorySql = field(default_factory=lambda: MemorySql(standing.metadata))
    finding: Finding = Finding.GOOD
    blocked: set[str] = field(default_factory=set[str])
    meanwhile: Callable[[], None] = lambda: None
    peers: Peers = field(init=False)
    known: KnownPeers = field(init=False)

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        """A node that starts."""
        self.known = KnownPeers(standing.read(self.sql), self.write)
        self.peers = Peers(
            self.space, self, self.known, blocked=self.blocked.__contains__, clock=self.world.clock
        )

    async def write(self, work: Callable[[SqlConnection], None]) -> None:
        work(self.sql)

    async def look(self, chain: Sequence[bytes]) -> Finding:
        self.meanwhile()
        return self.finding

    async def reason(self, certificate: bytes, domain: str | None) -> str:
        """The slug, "+" before one that heals by itself; "" for who is let in."""
        found = await self.peers.judge([certificate], domain)
        assert found.allowed is (found.reason == "")
        assert found.sentence.isascii()
        return ("+" if found.temporary else "") + found.reason


@pytest.fixture
async def court(world: World, operators: Any) -> Court:
    (chu, _), (ars, _) = operators
    world.write(
        Row("CHU.test", chu.upper()), Row("annexe.test", chu), Row("ars.test", ars), Row(OUR_DOMAIN, ars)
    )
    space = await world.open(fetched=True)
    assert (await space.fetch()).applied
    return Court(world, space)


async def test_an_operator_speaks_for_its_domains_in_any_case_and_for_no_other(
    court: Court, operators: Any
) -> None:
    (dn, chu), (_, ars) = operators
    for domain in ("chu.test", "CHU.TEST", "annexe.test", None):
        found = await court.peers.judge([chu], domain)
        assert (found.allowed, found.dn) == (True, dn)
    assert await court.reason(chu, "ars.test") == "certificate-of-another-domain"
    assert await court.reason(ars, "inconnu.test") == "certificate-of-another-domain"
    assert court.peers.counters.refused == {"certificate-of-another-domain": 2}


async def test_who_is_on_no_list_is_nobody_s_operator(court: Court) -> None:
    stranger = TestAuthority.create().issue_operator("mx.autre.test", CHU)
    assert await court.reason(stranger.der, "chu.test") == "certificate-unlisted"
    assert await court.reason(stranger.der, None) == "certificate-unlisted"
    assert await court.reason(b"rubbish", "chu.test") == "certificate-name-unusable"
    assert (await court.peers.judge([], "chu.test")).reason == "certificate-name-unusable"


async def test_a_blocked_operator_is_refused_whatever_the_list_says(court: Court, operators: Any) -> None:
    (dn, chu), _ = operators
    court.blocked.add(dn)
    assert await court.reason(chu, "chu.test") == "operator-blocked"


async def test_revoked_is_refused_and_what_is_not_known_for_the_time_being(
    court: Court, operators: Any
) -> None:
    _, (_, ars) = operators
    found: list[str] = []
    for finding in (Finding.UNCHECKED, Finding.GOOD, Finding.UNKNOWN, Finding.REVOKED):
        court.finding = finding
        found.append(await court.reason(ars, "ars.test"))
    assert found == ["", "", "+revocation-unknown", "certificate-revoked"]


async def test_a_block_set_while_a_responder_is_asked_counts(court: Court, operators: Any) -> None:
    (dn, chu), _ = operators
    court.meanwhile = lambda: court.blocked.add(dn)
    assert await court.reason(chu, "chu.test") == "operator-blocked"


async def test_a_held_certificate_is_asked_to_come_back(court: Court, operators: Any) -> None:
    (chu_dn, chu), (ars_dn, ars) = operators
    court.world.pass_hours(1)
    court.world.write(
        Row("chu.test", ars_dn), Row("annexe.test", chu_dn), Row("ars.test", ars_dn), Row(OUR_DOMAIN, ars_dn)
    )
    assert (await court.space.fetch()).held == 1
    assert await court.reason(chu, "chu.test") == "certificate-of-another-domain", (
        "what is taken away counts at once"
    )
    assert await court.reason(ars, "chu.test") == "+certificate-held"
    assert court.peers.listed("chu.test")
    assert court.peers.host_of("chu.test") == "mx.ars.test"
    await court.space.apply(chosen_by("chu.test"), "console:eve")
    assert await court.reason(ars, "chu.test") == ""


async def test_an_old_list_vouches_only_for_operators_met_before(court: Court, operators: Any) -> None:
    (_, chu), (_, ars) = operators
    assert await court.reason(chu, None) == ""
    await court.known.settled()
    court.world.authority.failure = ListRefused("unreachable", "Nobody answers.")
    court.world.pass_hours(73)
    assert court.space.age is Age.OLD
    court.again()  # what was met is remembered across a restart
    assert await court.reason(chu, "chu.test") == ""
    assert await court.reason(ars, "ars.test") == "+trust-list-stale"
    assert await court.reason(ars, "ars.test") == "+trust-list-stale", "an old list introduces nobody"
    assert court.peers.listed("ars.test")
    court.world.pass_hours(96)
    assert await court.reason(chu, "chu.test") == "+trust-list-stale"
    assert not court.peers.listed("chu.test")
    court.world.authority.failure = None
    await court.space.fetch()
    assert await court.reason(ars, "ars.test") == ""


async def test_who_was_refused_was_not_met(court: Court, operators: Any) -> None:
    _, (_, ars) = operators
    court.finding = Finding.REVOKED
    assert await court.reason(ars, "ars.test") == "certificate-revoked"
    await court.known.settled()
    assert standing.read(court.sql) == []


async def test_who_is_met_is_written_once_behind_the_answer(court: Court, operators: Any) -> None:
    (_, chu), _ = operators
    for _ in range(3):
        assert await court.reason(chu, "chu.test") == ""
    await court.known.settled()
    assert len(standing.read(court.sql)) == len(court.known) == 1


async def test_an_operator_that_could_not_be_noted_is_let_in_all_the_same(
    court: Court, operators: Any
) -> None:
    (_, chu), _ = operators
    court.sql.connection.close()
    assert await court.reason(chu, "chu.test") == ""
    await court.known.settled()


async def test_before_the_first_list_everybody_is_asked_to_come_back(world: World, operators: Any) -> None:
    (_, chu), _ = operators
    court = Court(world, await world.open(fetched=True))
    assert await court.reason(chu, "chu.test") == "+trust-list-stale"


async def test_a_node_without_a_list_knows_nobody(world: World, operators: Any, tmp_path: Path) -> None:
    (_, chu), _ = operators
    court = Court(world, await world.open(trust_list=None))
    assert await court.reason(chu, "chu.test") == "certificate-unlisted"
    assert not court.peers.listed("chu.test")
    assert court.peers.host_of("chu.test") == ""


def test_ages_count_from_the_last_confirmation() -> None:
    ages, hour = Ages(), 3_600_000
    assert [ages.of(0, hours * hour) for hours in (0, 72, 73, 168, 169)] == [
        Age.YOUNG, Age.YOUNG, Age.OLD, Age.OLD, Age.DEAD,
    ]  # fmt: skip
    assert ages.of(500 * hour, 0) is Age.YOUNG
    assert Ages(aged=False).of(0, 10_000 * hour) is Age.YOUNG
