"""Completeness of the trace at the IMAP door: whatever takes the text of a letter from the store writes an entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mail_server.store.reader import StoreReader
from tests.mail_server.imap.conftest import ALICE, WARD

LETTER = b"From: anne@example.org\r\nSubject: one\r\n\r\nLe dosage est normal\r\n"
HERE = '"Other Users/ward@example.org"'


@pytest.fixture
def taken(monkeypatch):
    """Every text taken from the store by a reader."""
    found = []
    content = StoreReader.content

    def counted(self, message):
        found.append(message)
        return content(self, message)

    monkeypatch.setattr(StoreReader, "content", counted)
    return found


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("FETCH 1 BODY[]", "read"),
        ("FETCH 1 BODY.PEEK[]", "read"),
        ("FETCH 1 BODY.PEEK[]<0.4>", "read"),
        ("FETCH 1 BODY.PEEK[TEXT]", "read"),
        ("FETCH 1 BODY.PEEK[1]", "read"),
        ("FETCH 1 BINARY.PEEK[1]", "read"),
        ("FETCH 1 RFC822", "read"),
        ("FETCH 1 RFC822.TEXT", "read"),
        ("UID FETCH 1 BODY[]", "read"),
        ("SEARCH BODY dosage", "search"),
        ("SEARCH TEXT dosage", "search"),
        ("SEARCH NOT BODY nothing", "search"),
        ("UID SEARCH RETURN (COUNT) BODY dosage", "search"),
        ("SEARCH RETURN (SAVE) TEXT dosage", "search"),
    ],
)
async def test_a_command_that_takes_text_is_told(world, taken, command, action):
    client = await world.inbox(LETTER)
    answer = await client(command)
    assert answer[-1].startswith("tag OK"), answer
    assert taken, "the text was taken"
    (event,) = world.events
    assert (event.action, event.actor, event.subject) == (action, ALICE, ALICE)
    assert (event.door, event.kind, event.session) == ("imap", "message", "session-1")


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (UID FLAGS ENVELOPE BODYSTRUCTURE)",
        "FETCH 1 BODY.PEEK[HEADER]",
        "SEARCH SUBJECT one",
        "SEARCH SEEN",
    ],
)
async def test_what_needs_no_text_takes_none(world, taken, command):
    client = await world.inbox(LETTER)
    await client(command)
    assert (taken, world.events) == ([], [])


async def test_a_search_is_told_with_how_many_letters_it_looked_through(world):
    client = await world.inbox(LETTER, LETTER, LETTER)
    await client("SEARCH BODY dosage")
    assert world.events[0].detail == {"count": "3"}
    assert "dosage" not in repr(world.events)


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
async def test_letters_taken_over_into_another_account_are_told_to_the_first(world, command):
    filed = await world.file(LETTER, account=WARD)
    client = await world.client()
    assert (await client(f"SELECT {HERE}"))[-1].startswith("tag OK")
    assert (await client(f"{command} 1 INBOX"))[-1].startswith("tag OK")
    told = [event for event in world.events if event.action in ("copy", "move")]
    assert [(event.action, event.actor, event.subject) for event in told] == [(command.lower(), ALICE, WARD)]
    assert told[0].detail == {"account": ALICE}
    assert told[0].reference == filed.email_id


async def test_a_read_in_a_shared_account_names_the_person_and_the_account(world):
    await world.file(LETTER, account=WARD)
    client = await world.client()
    await client(f"SELECT {HERE}")
    await client("FETCH 1 BODY.PEEK[]")
    (event,) = world.events
    assert (event.actor, event.subject) == (ALICE, WARD)


async def test_when_the_trace_takes_no_more_nothing_is_searched_either(world):
    world.services = replace(world.services, trace_full=lambda: True)
    client = await world.inbox(LETTER)
    assert (await client("SEARCH BODY dosage"))[-1].startswith("tag NO")
