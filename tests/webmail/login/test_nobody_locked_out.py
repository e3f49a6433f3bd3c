"""Login back-off, door by door: who guesses waits; who knows their password enters at once, from elsewhere or not."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.accounts.interface import Peer
from mail_server.accounts.throttle import Throttle
from policies.refusal import Refusal
from tests.mail_server.accounts.conftest import House, house, store  # noqa: F401 - fixtures
from webmail.login.pressure import Pressure
from webmail.login.problems import Problem

GP = "gp@chu.mssante.fr"
_GUESSES = 40


def at(protocol: str, place: str) -> Peer:
    return Peer(place, 40000, protocol, f"{protocol}-{place}", tls=True)


@pytest.mark.parametrize("protocol", ["imap", "submission", "jmap"])
async def test_the_holder_enters_at_once_whoever_guesses_elsewhere(
    house: House,  # noqa: F811
    protocol: str,
) -> None:
    gp = await house.person(GP)
    guesser = at(protocol, "198.51.100.66")
    for number in range(_GUESSES):
        with pytest.raises(Refusal):
            await house.authenticator.login(GP, f"devine-{number}", guesser)
    assert max(house.slept) == 8.0  # the guesser waits, and longer each time
    waited = len(house.slept)
    for door in ("imap", "submission", "jmap"):
        identity = await house.authenticator.login(GP, house.passwords[GP], at(door, "192.0.2.7"))
        assert identity.account == gp.id
    assert len(house.slept) == waited


@pytest.mark.parametrize("protocol", ["imap", "submission", "jmap"])
async def test_even_from_the_guessers_own_place_a_right_password_does_not_wait(
    house: House,  # noqa: F811
    protocol: str,
) -> None:
    await house.person(GP)
    for number in range(_GUESSES):
        with pytest.raises(Refusal):
            await house.authenticator.login(GP, f"devine-{number}", at(protocol, "192.0.2.7"))
    waited = len(house.slept)
    await house.authenticator.login(GP, house.passwords[GP], at(protocol, "192.0.2.7"))
    assert len(house.slept) == waited


async def test_many_places_that_guess_one_address_keep_its_holder_out_of_no_door(
    house: House,  # noqa: F811
) -> None:
    await house.person(GP)
    for number in range(60):
        with pytest.raises(Refusal):
            await house.authenticator.login(GP, "devine", at("imap", f"198.51.100.{number}"))
    waited = len(house.slept)
    await house.authenticator.login(GP, house.passwords[GP], at("imap", "192.0.2.7"))
    assert len(house.slept) == waited


async def test_on_the_page_the_guessers_place_is_told_to_come_back_and_no_other_is() -> None:
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        await asleep.wait()

    pressure = Pressure(Throttle(0.5, 8.0, 600.0), sleep, 8.0)
    waiting = [asyncio.create_task(pressure.failed("198.51.100.66", "gp")) for _ in range(_GUESSES)]
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="too-many") as told:
        pressure.enter("198.51.100.66", "gp")
    assert told.value.retry_after == 8
    assert told.value.as_json()["retryAfter"] == 8
    pressure.enter("192.0.2.7", "gp")  # the holder, at home
    asleep.set()
    await asyncio.gather(*waiting)
