"""A connection does not outlive what it was opened with; a handshake that fails is told."""

from __future__ import annotations

import asyncio
import ssl
import time
import warnings
from dataclasses import replace

import pytest

from mail_server.accounts import channel_binding
from mail_server.accounts.channel_binding import BoundContext


def over_in(client, milliseconds: int) -> None:
    client.session.identity = replace(client.session.identity, until=int(time.time() * 1000) + milliseconds)


async def test_a_session_opened_by_a_token_ends_with_its_half_hour_at_the_next_command(world):
    client = await world.client()
    over_in(client, 60_000)
    assert (await client("NOOP"))[-1].startswith("tag OK")
    over_in(client, 0)
    await client.raw(b"x NOOP\r\n")
    assert b"* BYE [EXPIRED] Your session is over" in await client.until(rb"^\* BYE")
    event = world.events[-1]
    assert (event.action, event.outcome) == ("session-cut", "session-over")
    assert event.actor == world.book.by_address("alice@example.org").id


async def test_it_ends_in_idle_too(world):
    client = await world.inbox()
    await client.raw(b"x IDLE\r\n")
    await client.until(rb"^\+")
    over_in(client, 30)
    await asyncio.sleep(0.04)
    assert client.session.withdrawn() is not None
    client.link.wake()
    assert b"[EXPIRED]" in await client.until(rb"^\* BYE")


async def test_a_closed_account_is_told_bye(world):
    client = await world.client()
    account = world.book.by_address("alice@example.org")
    world.book.change(account.id, closed=True)
    await client.raw(b"x NOOP\r\n")
    assert b"closed" in await client.until(rb"^\* BYE")


async def test_the_door_ends_a_session_in_idle_within_two_seconds(world, door, tls):
    reader, writer = await asyncio.open_connection("localhost", door.ports[1], ssl=tls.client)
    await reader.readline()
    writer.write(b"a LOGIN alice@example.org secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
    while not (await asyncio.wait_for(reader.readline(), 120)).startswith(b"+"):
        pass
    (session,) = [each for each in door._sessions.values() if each.identity is not None]
    session.identity = replace(session.identity, until=int(time.time() * 1000))
    assert (await asyncio.wait_for(reader.readline(), 120)).startswith(b"* BYE [EXPIRED]")
    assert await asyncio.wait_for(reader.read(), 120) == b""
    writer.close()


async def refused_tls(port: int, start: bool) -> None:
    """A client too old for us."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    reader, writer = await asyncio.open_connection("localhost", port)
    if start:
        await reader.readline()
        writer.write(b"a STARTTLS\r\n")
        await reader.readline()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await writer.start_tls(context, server_hostname="localhost")
    writer.close()


@pytest.mark.parametrize("start", [False, True], ids=["993", "STARTTLS"])
async def test_a_handshake_that_fails_is_in_the_trace(world, door, start):
    await refused_tls(door.ports[0 if start else 1], start)
    async with asyncio.timeout(60):
        while not world.events:
            await asyncio.sleep(0.01)
    (event,) = world.events
    assert (event.action, event.actor, event.outcome) == ("refuse", "client-road", "handshake-failed")
    assert dict(event.detail) == {"protocol": "imap", "cause": "tls-protocol"}
    assert event.network == "127.0.0.1"
    assert door.counters.handshakes_failed == 1


async def test_a_port_scan_is_counted_but_not_told(world, door):
    _, writer = await asyncio.open_connection("localhost", door.ports[1])
    writer.close()
    async with asyncio.timeout(60):
        while not door.counters.handshakes_failed:
            await asyncio.sleep(0.01)
    assert not world.events


@pytest.mark.parametrize("start", [False, True], ids=["993", "STARTTLS"])
async def test_the_door_tells_what_a_login_can_be_bound_to(world, door, tls, start):
    bound = BoundContext(ssl.PROTOCOL_TLS_SERVER)
    bound.load_cert_chain(tls.ca)
    door.reload_tls(bound)
    if start:
        reader, writer = await asyncio.open_connection("localhost", door.ports[0])
        await reader.readline()
        writer.write(b"a STARTTLS\r\n")
        await reader.readline()
        await writer.start_tls(tls.client, server_hostname="localhost")
    else:
        reader, writer = await asyncio.open_connection("localhost", door.ports[1], ssl=tls.client)
        await reader.readline()
    writer.write(b"b LOGIN alice@example.org secret\r\n")
    assert (await asyncio.wait_for(reader.readline(), 120)).startswith(b"b OK")
    (session,) = door._sessions.values()
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert session.peer.end_point == channel_binding.end_point_of(shown)
    assert session.peer.end_point
    writer.close()
