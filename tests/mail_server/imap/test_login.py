"""Before the mailbox: greeting, ID, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, LOGOUT."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

PLAIN_ALICE = base64.b64encode(b"\0alice@example.org\0secret")


async def test_the_greeting_tells_the_capabilities(world):
    client = await world.connect(tls=False)
    assert b"[CAPABILITY IMAP4rev1" in client.link.said
    assert b"LOGINDISABLED" in client.link.said
    assert b"AUTH=" not in client.link.said


async def test_no_password_is_taken_in_clear(world):
    client = await world.connect(tls=False)
    assert (await client("LOGIN alice@example.org secret"))[-1].startswith("tag NO [PRIVACYREQUIRED]")
    assert (await client("AUTHENTICATE PLAIN " + PLAIN_ALICE.decode()))[-1].startswith("tag NO [PRIVACYREQ")


async def test_starttls_forgets_what_was_sent_after_it_in_clear(world):
    client = await world.connect(tls=False)
    await client.raw(b"a STARTTLS\r\nb LOGIN alice@example.org secret\r\n")
    assert await client.until(rb"^a OK") == b"a OK Begin TLS now\r\n"
    said = (await client("CAPABILITY"))[0]
    assert client.link.tls_started == 1
    assert b"b OK" not in client.link.said
    assert "AUTH=PLAIN" in said
    assert "LOGINDISABLED" not in said
    assert "STARTTLS" not in said
    assert (await client("STARTTLS"))[-1] == "tag BAD TLS is active already"


async def test_login_takes_atoms_quotes_and_literals(world):
    for line, then in (
        ("LOGIN alice@example.org secret", []),
        ('LOGIN "alice@example.org" "secret"', []),
        ("LOGIN {17+}\r\nalice@example.org {6+}\r\nsecret", []),
        ("LOGIN {17}", [b"alice@example.org {6}\r\n", b"secret\r\n"]),
    ):
        client = await world.connect()
        answer = await client(line, then)
        assert answer[-1].startswith("tag OK [CAPABILITY IMAP4rev1"), line


async def test_a_wrong_password_says_nothing_but_a_reference(world):
    client = await world.connect()
    answer = await client("LOGIN alice@example.org wrong")
    assert answer[-1].startswith("tag NO [AUTHENTICATIONFAILED] Wrong user or password (ref ")
    assert world.limits.counters.login_failures == 1


async def test_five_wrong_passwords_end_the_connection(world):
    client = await world.connect()
    for _ in range(4):
        await client("LOGIN alice@example.org wrong")
    await client.raw(b"x LOGIN alice@example.org wrong\r\n")
    assert b"Too many failed logins" in await client.until(rb"^\* BYE")


async def test_authenticate_plain_with_an_initial_response(world):
    client = await world.connect()
    assert (await client(b"AUTHENTICATE PLAIN " + PLAIN_ALICE))[-1].startswith("tag OK")


async def test_authenticate_plain_without_one(world):
    client = await world.connect()
    assert (await client("AUTHENTICATE plain", [PLAIN_ALICE + b"\r\n"]))[-1].startswith("tag OK")


async def test_authenticate_with_several_steps(world):
    client = await world.connect()
    name = base64.b64encode(b"alice@example.org") + b"\r\n"
    answer = await client("AUTHENTICATE CHALLENGE =", [name])
    assert answer[-1].startswith("tag OK")
    assert base64.b64encode(b"who?") in client.link.said


async def test_a_star_cancels_authenticate(world):
    client = await world.connect()
    assert (await client("AUTHENTICATE PLAIN", [b"*\r\n"]))[-1] == "tag BAD Authentication cancelled"
    await client.login()


async def test_bad_base64_is_bad(world):
    client = await world.connect()
    assert (await client("AUTHENTICATE PLAIN", [b"#####\r\n"]))[-1] == "tag BAD Invalid base64"


async def test_an_unknown_mechanism_is_refused(world):
    client = await world.connect()
    assert (await client("AUTHENTICATE NTLM"))[-1].startswith("tag NO [CANNOT]")


async def test_id_is_answered_and_may_be_long(world):
    client = await world.connect()
    assert await client("ID NIL") == ['* ID ("name" "Vaguemestre")', "tag OK ID completed"]
    pairs = " ".join(f'"key{n}" "{"v" * 1000}"' for n in range(30))
    assert (await client(f"ID ({pairs})"))[-1] == "tag OK ID completed"
    pairs += ' "one" "more"'
    assert (await client(f"ID ({pairs})"))[-1] == "tag BAD More than 30 ID fields"


async def test_enable_tells_only_what_is_new(world):
    client = await world.client()
    assert (await client("ENABLE CONDSTORE X-UNKNOWN"))[0] == "* ENABLED CONDSTORE"
    assert (await client("ENABLE CONDSTORE"))[0] == "* ENABLED"


async def test_logout_says_bye_and_ends(world):
    client = await world.client()
    assert await client("LOGOUT") == ["* BYE Au revoir", "tag OK LOGOUT completed"]
    await client.task


async def test_commands_are_refused_outside_their_state(world):
    client = await world.connect()
    assert (await client("SELECT INBOX"))[-1] == "tag BAD SELECT is not allowed now"
    await client.login()
    assert (await client("FETCH 1 FLAGS"))[-1] == "tag BAD FETCH is not allowed now"
    assert (await client("LOGIN a b"))[-1] == "tag BAD LOGIN is not allowed now"


async def test_a_suspended_account_is_told_bye_at_its_next_command(world):
    client = await world.client()
    account = world.book.by_address("alice@example.org")
    world.book.by[account.id] = replace(account, suspended=True)
    await client.raw(b"x NOOP\r\n")
    assert b"suspended" in await client.until(rb"^\* BYE")
    await client.task


async def test_too_many_connections_of_one_account(world):
    world.with_settings(max_connections_per_account=2)
    for _ in range(2):
        await world.client()
    client = await world.connect()
    assert (await client("LOGIN alice@example.org secret"))[-1].startswith("tag NO [LIMIT]")
    await world.clients[0].end()
    await client.login()


@pytest.mark.parametrize(
    "line", ["", "x", "x NONSENSE", "( x", "x LOGIN", "x LOGIN a", "x ID (a", "x SELECT"]
)
async def test_nonsense_is_bad_and_the_session_goes_on(world, line):
    client = await world.connect()
    await client.raw(line.encode() + b"\r\n")
    assert (await client("NOOP"))[-1] == "tag OK NOOP completed"


async def test_twenty_bad_commands_end_the_connection(world):
    client = await world.connect()
    await client.raw(b"x NONSENSE\r\n" * 20)
    assert b"Too many bad commands" in await client.until(rb"^\* BYE")
