"""The door on real sockets: STARTTLS and TLS, standard clients, limits, silence, and the end."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from dataclasses import replace

import imapclient
import pytest

from mail_server.imap.limits import Limits
from mail_server.imap.settings import ImapSettings

M = b"From: a@example.org\r\nSubject: =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\nbody\r\n"


async def hello(door, tls=None):
    port = door.ports[1 if tls else 0]
    if tls is None:
        return await asyncio.open_connection("127.0.0.1", port)
    return await asyncio.open_connection("127.0.0.1", port, ssl=tls.client, server_hostname="localhost")


async def test_starttls_with_plaintext_injected_behind_it(door, tls):
    reader, writer = await hello(door)
    assert b"STARTTLS" in await reader.readline()
    writer.write(b"a STARTTLS\r\nb LOGIN alice@example.org secret\r\n")
    assert (await reader.readline()).startswith(b"a OK")
    await writer.start_tls(tls.client, server_hostname="localhost")
    writer.write(b"c CAPABILITY\r\n")
    assert b"AUTH=PLAIN" in await reader.readline()
    assert (await reader.readline()).startswith(b"c OK")
    writer.write(b"d LOGIN alice@example.org secret\r\ne LOGOUT\r\n")
    assert (await reader.readline()).startswith(b"d OK")
    assert (await reader.readline()).startswith(b"* BYE")
    assert (await reader.readline()).startswith(b"e OK")
    assert await reader.read() == b""


async def test_implicit_tls(door, tls):
    reader, writer = await hello(door, tls)
    assert b"AUTH=PLAIN" in await reader.readline()
    writer.close()


async def test_a_client_that_speaks_no_tls_disturbs_nobody(door, tls):
    _, writer = await asyncio.open_connection("127.0.0.1", door.ports[1])
    writer.write(b"a LOGIN x y\r\n" * 100)
    await asyncio.sleep(0.05)
    writer.close()
    await test_implicit_tls(door, tls)
    async with asyncio.timeout(60):
        while door.counters.open:
            await asyncio.sleep(0.01)


def _imaplib(port: int, context: ssl.SSLContext) -> None:
    with imaplib.IMAP4("localhost", port) as client:
        client.starttls(context)
        client.authenticate("PLAIN", lambda _: b"\0alice@example.org\0secret")
        assert client.append("Drafts", r"(\Draft)", None, M)[0] == "OK"
        assert client.select("Drafts") == ("OK", [b"1"])
        assert client.search(None, "SUBJECT", '"draft none"') == ("OK", [b""])
        _, data = client.fetch("1", "(FLAGS BODY[])")
        assert data[0][1] == M
        assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])


async def test_imaplib(door, tls):
    await asyncio.to_thread(_imaplib, door.ports[0], tls.client)


def _imapclient(port: int, context: ssl.SSLContext) -> None:
    with imapclient.IMAPClient("localhost", port, ssl_context=context) as client:
        client.login("alice@example.org", "secret")
        assert client.has_capability("CONDSTORE")
        assert "Other Users/ward@example.org" in [name for _, _, name in client.list_folders()]
        client.create_folder("Été & co")
        uid = client.append("Été & co", M, [b"$Work"])
        assert b"APPENDUID" in uid
        assert client.select_folder("Été & co")[b"EXISTS"] == 1
        assert client.search(["SUBJECT", "été"], "UTF-8") == [1]
        fetched = client.fetch([1], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "BODY.PEEK[]", "MODSEQ"])[1]
        assert fetched[b"ENVELOPE"].subject == b"=?utf-8?q?=C3=A9t=C3=A9?="
        assert fetched[b"BODY[]"] == M
        client.idle()
        assert client.idle_check(timeout=0.01) == []
        client.idle_done()
        client.move([1], "Archive")
        assert client.folder_status("Archive", ["MESSAGES"]) == {b"MESSAGES": 1}
        assert client.namespace().other == (("Other Users/", "/"),)
        client.delete_folder("Été & co")


async def test_imapclient(door, tls):
    await asyncio.to_thread(_imapclient, door.ports[1], tls.client)


async def test_a_slow_reader_holds_back_its_answers_and_gets_them_all(world, door, tls):
    big = b"Subject: b\r\n\r\n" + b"x" * 3_000_000 + b"\r\n"
    await world.file(big)
    reader, writer = await hello(door, tls)
    await reader.readline()
    writer.write(
        b"a LOGIN alice@example.org secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\nd LOGOUT\r\n"
    )
    await asyncio.sleep(0.3)
    said = await reader.read()
    assert big in said
    assert b"d OK LOGOUT" in said


async def test_too_many_connections_from_one_address(world, door):
    door.limits.settings = door.settings.model_copy(update={"max_connections_per_ip": 1})
    _, first = await hello(door)
    reader, _ = await hello(door)
    assert (await reader.read()).startswith(b"* BYE [UNAVAILABLE]")
    first.close()
    async with asyncio.timeout(60):
        while door.counters.open:
            await asyncio.sleep(0.01)
    reader, writer = await hello(door)
    assert (await reader.readline()).startswith(b"* OK")
    writer.close()


async def test_who_does_not_log_in_is_sent_away(world, door):
    door.settings = door.settings.model_copy(update={"login_timeout": 0.1})
    reader, _ = await hello(door)
    await reader.readline()
    assert b"* BYE Too long" in await asyncio.wait_for(reader.read(), 120)


async def test_a_member_removed_leaves_idle_within_a_second(world, door, tls):
    reader, writer = await hello(door, tls)
    writer.write(b'a LOGIN alice@example.org secret\r\nb SELECT "Other Users/ward@example.org"\r\nc IDLE\r\n')
    while not (await reader.readline()).startswith(b"+"):
        pass
    ward = world.book.by_address("ward@example.org")
    world.book.by[ward.id] = replace(ward, members=())
    said = await asyncio.wait_for(reader.read(), 120)  # a second, where nothing else runs
    assert b"* OK [CLOSED]" in said
    assert b"* BYE" in said


async def test_stopping_says_bye(world, door, tls):
    reader, writer = await hello(door, tls)
    writer.write(b"a LOGIN alice@example.org secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
    while not (await reader.readline()).startswith(b"+"):
        pass
    await door.stop()
    assert b"* BYE Server shutting down" in await reader.read()
    assert door.counters.open == 0


async def test_certificates_are_read_again_for_new_connections(door, tls):
    door.reload_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # without a certificate no handshake succeeds
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await hello(door, tls)
    door.reload_tls(tls.server)
    _, writer = await hello(door, tls)
    writer.close()


def test_connections_are_counted_for_an_ipv6_network_together():
    limits = Limits(ImapSettings(max_connections_per_ip=2))
    assert limits.connect("2001:db8::1")
    assert limits.connect("2001:db8::2")
    assert not limits.connect("2001:db8::3")
    assert limits.connect("2001:db8:0:1::1")
    limits.disconnect("2001:db8::1")
    assert limits.connect("2001:db8::3")
