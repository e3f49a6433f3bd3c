"""APPEND: what a mail program keeps here, from its literal to its UID."""

from __future__ import annotations

import pytest

from policies.refusal import Refusal


async def test_append_with_flags_and_date_tells_the_uid(world):
    client = await world.inbox()
    answer = await client(
        b'APPEND INBOX (\\Seen $Forwarded) "02-Mar-2026 13:00:00 +0100" {20}',
        [b"Subject: x\r\n\r\nbody\r\n\r\n"],
    )
    assert "* 1 EXISTS" in answer
    assert answer[-1].startswith("tag OK [APPENDUID ")
    assert answer[-1].endswith(" 1] APPEND completed")
    await client.raw(b"x FETCH 1 (FLAGS INTERNALDATE BODY[])\r\n")
    said = await client.until(rb"^x OK")
    assert b'FLAGS (\\Seen \\Recent $Forwarded) INTERNALDATE " 2-Mar-2026 12:00:00 +0000"' in said
    assert b"{20}\r\nSubject: x\r\n\r\nbody\r\n)" in said


async def test_non_synchronizing_literals_need_no_continuation(world):
    client = await world.client()
    answer = await client(b"APPEND {5+}\r\nDraft {3+}\r\nabc")
    assert answer[-1].startswith("tag NO [TRYCREATE]")
    answer = await client(b"APPEND {6+}\r\nDrafts (\\Draft) {15+}\r\nSubject: x\r\n\r\nb")
    assert answer[-1].startswith("tag OK [APPENDUID")
    assert b"+ OK" not in client.link.said


async def test_a_mailbox_that_is_not_there_is_said_before_the_message_is_sent(world):
    client = await world.client()
    assert (await client("APPEND Nowhere {1000}"))[-1].startswith("tag NO [TRYCREATE]")
    assert (await client("NOOP"))[-1].startswith("tag OK")


async def test_too_large_is_said_before_and_read_past_when_it_comes_anyway(world):
    world.with_settings(max_message=2000)
    client = await world.client()
    assert (await client("APPEND Drafts {2001}"))[-1].startswith("tag NO [TOOBIG]")
    answer = await client(b"APPEND Drafts {3000+}\r\n" + b"x" * 3000)
    assert answer[-1].startswith("tag NO [TOOBIG]")
    assert (await client("NOOP"))[-1].startswith("tag OK")


async def test_all_messages_in_flight_share_one_budget(world):
    world.with_settings(append_budget=1500)
    first, second = await world.client(), await world.client()
    await first.raw(b"a APPEND Drafts {1000}\r\n")
    await first.until(rb"^\+")
    assert (await second("APPEND Drafts {600}"))[-1].startswith("tag NO [UNAVAILABLE]")
    await first.raw(b"Subject: x\r\n\r\n" + b"y" * 986 + b"\r\n")
    await first.until(rb"^a OK")
    assert world.limits.counters.append_octets == 0
    assert (await second("APPEND Drafts {600}", [b"z" * 600 + b"\r\n"]))[-1].startswith("tag OK")


async def test_a_client_that_leaves_in_the_middle_gives_the_budget_back(world):
    client = await world.client()
    await client.raw(b"a APPEND Drafts {1000}\r\n")
    await client.until(rb"^\+")
    assert world.limits.counters.append_octets == 1000
    await client.end()
    assert world.limits.counters.append_octets == 0


@pytest.mark.parametrize(
    ("code", "answer"),
    [(552, "[TOOBIG]"), (452, "[OVERQUOTA]"), (451, "[UNAVAILABLE]"), (550, "[CANNOT]")],
)
async def test_what_delivery_refuses_is_said_with_its_reference(world, code, answer):
    world.keeper.refusal = refusal = Refusal(code, "5.3.4", "Not this one", "why")
    client = await world.client()
    said = await client("APPEND Drafts {3+}\r\nabc")
    assert said[-1] == f"tag NO {answer} Not this one (ref {refusal.id})"


async def test_several_messages_at_once_are_refused_whole(world):
    client = await world.client()
    answer = await client(b"APPEND Drafts {3+}\r\nabc {3+}\r\ndef")
    assert answer[-1].startswith("tag BAD")
    assert (await client("STATUS Drafts (MESSAGES)"))[0].endswith("(MESSAGES 0)")


async def test_an_empty_message_and_nul_octets_are_refused(world):
    client = await world.client()
    assert (await client("APPEND Drafts {0+}\r\n"))[-1].startswith("tag NO [CANNOT]")
    assert (await client(b"APPEND Drafts ~{3+}\r\na\0b"))[-1].startswith("tag NO [UNKNOWN-CTE]")
    assert (await client(b"APPEND Drafts ~{14+}\r\nSubject: a\r\n\r\n"))[-1].startswith("tag OK")


async def test_an_append_without_a_literal_is_bad(world):
    client = await world.client()
    assert (await client("APPEND Drafts"))[-1].startswith("tag BAD")
    assert (await client('APPEND Drafts "text"'))[-1].startswith("tag BAD")
    assert (await client("APPEND Drafts nonsense {3+}\r\nabc"))[-1].startswith("tag BAD")
    assert (await client("NOOP"))[-1].startswith("tag OK")


async def test_a_message_of_megabytes_arrives_whole(world):
    client = await world.client()
    message = b"Subject: big\r\n\r\n" + bytes(range(32, 127)) * 20_000
    await client.raw(b"a APPEND Drafts {%d+}\r\n" % len(message))
    for start in range(0, len(message), 65_536):
        await client.raw(message[start : start + 65_536])
    await client.raw(b"\r\n")
    assert b"APPENDUID" in await client.until(rb"^a OK")
    await client("SELECT Drafts")
    await client.raw(b"x FETCH 1 BODY[]\r\n")
    assert message in await client.until(rb"^x OK")
