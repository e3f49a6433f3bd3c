"""Names tried out, by Web Key Directory, key server and capability: misses are counted, what is found is not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import httpx
import pytest
from fastapi import FastAPI

from directory.certificates.memory import wkd_hash
from directory.harvest import Allowance, Sweep
from directory.model import Capability
from directory.publication.capability import PATH, capabilities
from directory.publication.guesses import Guesses
from directory.publication.hkp import KeyServer, key_server
from directory.publication.wkd import web_key_directory

HOUR = 3_600_000
DOMAIN, HERE, OPERATOR = "cabinet.mss.example", "198.51.100.7", "203.0.113.25"
ALLOWED = 10  # an hour; slowed above, refused at twice as many
ZOE, RED = f"zoe@{DOMAIN}", f"rouge@{DOMAIN}"
PEOPLE: Mapping[str, bytes] = {ZOE: b"certificate", RED: b"hidden"}


class Shown:
    """Zoé is shown, the other one is on the red list."""

    def certificate(self, address: str) -> bytes | None:
        return self.published(address) if self.is_public(address) else None

    def by_key(self, key: str) -> tuple[str, bytes] | None:
        return None

    def published(self, address: str) -> bytes | None:
        return PEOPLE.get(address)

    def is_public(self, address: str) -> bool:
        return address == ZOE

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        known = {(one.partition("@")[2], wkd_hash(one.partition("@")[0])): one for one in PEOPLE}
        return known.get((domain, name))

    def has_domain(self, domain: str) -> bool:
        return domain == DOMAIN


class World:
    def __init__(self) -> None:
        self.at = 1_700_000_000_000
        self.sweeps: list[Sweep] = []
        self.waits: list[float] = []
        self._numbers = count()

        def clock() -> int:
            return self.at

        shown = Shown()
        self.misses = Allowance(ALLOWED, 100 * ALLOWED, clock=clock, noted=self.sweeps.append)
        self.guesses = Guesses(self.misses, lambda host: host, shown.has_domain, clock)
        wide = Allowance(100_000, 100_000, clock=clock, noted=lambda _: None)
        takes = Capability((), 1, ())
        self.app = FastAPI(openapi_url=None)
        self.app.include_router(web_key_directory(shown, shown.is_public, guesses=self.guesses))
        self.app.include_router(
            key_server(KeyServer(shown, wide, lambda host: host, clock, guesses=self.guesses))
        )
        self.app.include_router(
            capabilities(
                lambda one: takes if shown.is_public(one) else None, wide, lambda host: host, self.guesses
            )
        )

    async def ask(self, path: str, host: str = HERE) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(host, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{DOMAIN}") as client:
            return await client.get(path)

    async def guess(self, way: str, host: str = HERE) -> httpx.Response:
        return await self.ask(path(way, f"nobody{next(self._numbers)}@{DOMAIN}"), host)


def path(way: str, address: str) -> str:
    local, _, domain = address.partition("@")
    return {
        "wkd": f"/.well-known/openpgpkey/{domain}/hu/{wkd_hash(local)}",
        "wkd direct": f"/.well-known/openpgpkey/hu/{wkd_hash(local)}",
        "hkp": f"/pks/lookup?op=get&search={address}",
        "identity": f"/pks/v2/certs/by-identity/{address}",
        "vks": f"/vks/v1/by-email/{address}",
        "capability": f"{PATH}?address={address}",
    }[way]


WAYS = ("wkd", "wkd direct", "hkp", "identity", "vks", "capability")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def sleep(seconds: float) -> None:
        made.waits.append(seconds)

    for module in ("guesses", "hkp", "capability"):
        monkeypatch.setattr(f"directory.publication.{module}.asyncio.sleep", sleep)
    return made


@pytest.mark.parametrize("way", WAYS)
async def test_who_guesses_is_slowed_then_refused_and_told_of(world: World, way: str) -> None:
    assert [(await world.guess(way)).status_code for _ in range(ALLOWED)] == [404] * ALLOWED
    assert not any(world.waits)
    assert [(await world.guess(way)).status_code for _ in range(ALLOWED)] == [404] * ALLOWED
    assert world.waits[-1] == 5.0
    refused = await world.guess(way)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 60
    assert [(one.asker, one.outcome) for one in world.sweeps] == [
        (f"net:{HERE}", "slowed"),
        (f"net:{HERE}", "refused"),
    ]
    world.at += int(refused.headers["retry-after"]) * 1000
    assert (await world.guess(way)).status_code == 404


async def test_the_ways_share_one_allowance(world: World) -> None:
    ways = [way for way in WAYS for _ in range(4)]
    answers = [(await world.guess(way)).status_code for way in ways]
    assert answers == [404] * (2 * ALLOWED) + [429] * (len(ways) - 2 * ALLOWED)


@pytest.mark.parametrize("way", WAYS)
async def test_who_finds_whom_they_look_for_is_never_slowed(world: World, way: str) -> None:
    for _ in range(5 * ALLOWED):
        assert (await world.ask(path(way, ZOE))).status_code == 200
    assert not any(world.waits)
    assert world.misses.askers == 0


async def test_the_same_question_again_is_counted_once(world: World) -> None:
    for _ in range(5 * ALLOWED):
        assert (await world.ask(path("wkd", f"gone@{DOMAIN}"))).status_code == 404
        assert (await world.ask(path("wkd", f"gone@{DOMAIN}").upper())).status_code == 404
    assert not any(world.waits)


async def test_who_is_hidden_is_counted_as_who_is_not_there(world: World) -> None:
    for _ in range(2 * ALLOWED - 1):
        await world.guess("wkd")
    assert (await world.ask(path("wkd", RED))).status_code == 404
    assert (await world.ask(path("wkd", RED))).status_code == 429


async def test_what_is_found_comes_as_late_as_what_is_not(world: World) -> None:
    """Else who guesses would leave as soon as an answer is late."""
    for _ in range(2 * ALLOWED - 1):
        await world.guess("wkd")
    world.waits.clear()
    assert (await world.ask(path("wkd", ZOE))).status_code == 200
    missed_again = await world.ask(path("wkd", f"nobody0@{DOMAIN}"))
    assert missed_again.status_code == 404
    assert world.waits[0] == world.waits[1] > 1


async def test_once_refused_nothing_tells_who_is_there(world: World) -> None:
    for _ in range(2 * ALLOWED):
        await world.guess("wkd")
    assert [(await world.ask(path(way, ZOE))).status_code for way in WAYS] == [429] * len(WAYS)
    assert (await world.ask(path("wkd", ZOE), "192.0.2.200")).status_code == 200


async def test_other_domains_and_keys_that_are_not_here_count_for_nothing(world: World) -> None:
    for number in range(5 * ALLOWED):
        assert (await world.ask(path("wkd", f"n{number}@elsewhere.example"))).status_code == 404
        assert (await world.ask(path("hkp", f"n{number}@elsewhere.example"))).status_code == 404
        assert (await world.ask(f"/pks/lookup?op=get&search=0x{number:040X}")).status_code == 404
    assert world.misses.askers == 0


async def test_from_where_a_listed_operator_s_letters_come_far_more_may_be_asked(world: World) -> None:
    world.guesses.listed(OPERATOR)
    for _ in range(10 * ALLOWED):
        assert (await world.guess("wkd", OPERATOR)).status_code == 404
    assert not any(world.waits)
    world.at += 9 * 24 * HOUR  # it has not written for long
    for _ in range(2 * ALLOWED):
        await world.guess("wkd", OPERATOR)
    assert (await world.guess("wkd", OPERATOR)).status_code == 429
