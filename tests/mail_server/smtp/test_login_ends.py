"""A connection does not outlive what it was opened with."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from mail_server.accounts import channel_binding
from mail_server.accounts.channel_binding import BoundContext
from mail_server.delivery.interface import Road
from mail_server.smtp.server import Entrance
from mail_server.smtp.settings import SmtpSettings


def clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(SmtpSettings, "clock_period_seconds", property(lambda _: seconds))


@pytest.fixture
def quick(open_door, monkeypatch):
    """A door that looks at its sessions all the time."""
    clock(monkeypatch, 0.02)
    return open_door


@pytest.fixture
def slow(open_door, monkeypatch):
    """A door that looks at its sessions never: what ends them ends them at their next act."""
    clock(monkeypatch, 60)
    return open_door


OVER = "421 4.7.0 What you logged in with is no longer valid, log in again (ref "


async def test_a_waiting_session_is_told_when_its_password_was_revoked(quick):
    world = await quick()
    talker = await world.client()
    world.accounts.revoked.add("cred1")
    assert (await talker.reply()).startswith(OVER)
    assert await talker.closed()
    assert world.delivery.audited == ["credential-revoked"]


async def test_a_suspended_account_is_sent_away(quick):
    world = await quick()
    talker = await world.client()
    world.accounts.suspended = True
    assert (await talker.reply()).startswith(OVER)
    assert world.delivery.audited == ["account-suspended"]


async def test_a_session_opened_by_a_token_ends_with_its_half_hour(quick):
    world = await quick()
    talker = await world.client()
    (session,) = world.door._services.sessions
    session.identity = replace(session.identity, until=int(time.time() * 1000) + 600_000)
    assert await talker.ask("NOOP") == "250 2.0.0 OK"
    session.identity = replace(session.identity, until=int(time.time() * 1000))
    assert (await talker.reply()).startswith(OVER)
    assert world.delivery.audited == ["session-over"]


async def test_a_letter_whose_sender_was_revoked_while_it_came_in_is_not_taken(slow):
    world = await slow()
    talker = await world.client()
    await talker.begin_data()
    await talker.send(b"From: alice@example.org\r\n\r\nhalf of it\r\n")
    world.accounts.revoked.add("cred1")
    await talker.send(b"the rest\r\n.\r\n")
    assert (await talker.reply()).startswith(OVER)
    assert await talker.closed()
    assert world.delivery.begun == 0
    assert world.delivery.audited == ["credential-revoked"]


async def test_a_letter_that_is_still_coming_in_is_cut_off_by_the_clock(quick):
    world = await quick()
    talker = await world.client()
    await talker.begin_data()
    await talker.send(b"From: alice@example.org\r\n\r\nhalf of it\r\n")
    world.accounts.revoked.add("cred1")
    assert (await talker.reply()).startswith(OVER)
    assert world.delivery.begun == 0


async def test_chunks_are_no_way_around_it(slow):
    world = await slow()
    talker = await world.client()
    await talker.open_transaction()
    await talker.send(b"BDAT 4\r\nab\r\n")
    assert (await talker.reply()).startswith("250 2.0.0 4 octets")
    world.accounts.revoked.add("cred1")
    await talker.send(b"BDAT 4 LAST\r\ncd\r\n")
    assert (await talker.reply()).startswith(OVER)
    assert world.delivery.begun == 0


async def test_a_letter_already_handed_over_is_answered_first(quick):
    world = await quick()
    talker = await world.client()
    world.delivery.gate = asyncio.Event()
    await talker.begin_data()
    await talker.send(b"From: alice@example.org\r\n\r\nwhole\r\n.\r\n")
    await world.until(lambda: world.delivery.begun == 1)
    world.accounts.revoked.add("cred1")
    await asyncio.sleep(0.1)
    world.delivery.gate.set()
    assert (await talker.reply()).startswith("250 2.0.0 Accepted")
    assert (await talker.reply()).startswith(OVER)


async def test_the_operators_road_knows_no_login_that_could_end(quick):
    world = await quick()
    talker = await world.operator()
    world.accounts.revoked.add("cred1")
    await asyncio.sleep(0.1)
    assert await talker.ask("NOOP") == "250 2.0.0 OK"


@pytest.mark.parametrize("entrance", [Entrance.SUBMISSION, Entrance.SUBMISSIONS])
async def test_the_door_tells_what_a_login_can_be_bound_to_also_after_a_reload(open_door, pki, entrance):
    world = await open_door()

    def context(name):
        made = pki.server(name)
        bound = BoundContext(made.protocol)
        bound.load_cert_chain(pki.folder / f"{name}.pem", pki.folder / f"{name}.key")
        bound.load_verify_locations(pki.folder / "ca.pem")
        bound.verify_mode = made.verify_mode
        return bound

    seen = []
    begin = world.authenticator.begin
    world.authenticator.begin = lambda mechanism, peer: seen.append(peer.end_point) or begin(mechanism, peer)
    talkers = []
    for name in ("server", "server2"):
        world.door.reload_tls({road: context(name) for road in Road})
        talker = await world.connect(entrance)
        if entrance is Entrance.SUBMISSION:
            await talker.hello()
            await talker.starttls()
        await talker.hello()
        talkers.append(talker)
    for talker in talkers:  # the older connection keeps the certificate it was opened with
        await talker.login()
    assert seen == [channel_binding.end_point_of(pki.der(name)) for name in ("server", "server2")]
    assert None not in seen
