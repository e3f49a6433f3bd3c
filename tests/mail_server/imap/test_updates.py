"""What others do is told when it may be: NOOP, IDLE, and never an EXPUNGE inside FETCH, STORE or SEARCH."""

from __future__ import annotations

from dataclasses import replace

M = b"Subject: m\r\n\r\nbody\r\n"


async def test_new_mail_is_told_at_noop(world):
    client = await world.inbox()
    await world.file(M)
    assert await client("NOOP") == ["* 1 EXISTS", "* 1 RECENT", "tag OK NOOP completed"]
    assert await client("NOOP") == ["tag OK NOOP completed"]


async def test_flags_and_expunges_of_another_session(world):
    client = await world.inbox(M, M, M)
    other = await world.client()
    await other("SELECT INBOX")
    await other(r"STORE 1 +FLAGS (\Deleted)")
    await other(r"STORE 3 +FLAGS (\Seen new)")
    await other("EXPUNGE")
    answer = await client("NOOP")
    assert answer[0] == "* 1 EXPUNGE"
    assert answer[1] == r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft new)"
    assert answer[3] == r"* 2 FETCH (UID 3 FLAGS (\Seen \Recent new))"


async def test_no_expunge_while_numbers_are_in_use(world):
    client = await world.inbox(M, M)
    other = await world.client()
    await other("SELECT INBOX")
    await other(r"STORE 1 +FLAGS (\Deleted)")
    await other("EXPUNGE")
    for command in ("SEARCH ALL", "FETCH 2 UID", r"STORE 2 +FLAGS (\Seen)"):
        answer = await client(command)
        assert not [line for line in answer if "EXPUNGE" in line], command
    assert "* 2 FETCH (UID 2)" in await client("FETCH 2 UID")
    assert (await client(r"STORE 1 +FLAGS (\Seen)"))[-1].startswith("tag NO [EXPUNGEISSUED]")
    assert "* 1 EXPUNGE" in await client("UID FETCH 2 FLAGS")


async def test_idle_tells_as_it_happens(world):
    client = await world.inbox(M)
    await client.raw(b"x IDLE\r\n")
    await client.until(rb"^\+ idling")
    await world.file(M)
    assert b"* 2 EXISTS" in await client.until(rb"RECENT")
    other = await world.client()
    await other("SELECT INBOX")
    await other(r"STORE 1 +FLAGS (\Deleted)")
    await client.until(rb"FETCH \(UID 1 FLAGS")
    await other("EXPUNGE")
    await client.until(rb"^\* 1 EXPUNGE")
    await client.raw(b"done\r\n")
    assert await client.until(rb"^x") == b"x OK IDLE completed\r\n"


async def test_idle_without_a_mailbox_waits_for_done(world):
    client = await world.client()
    await client.raw(b"x IDLE\r\nDONE\r\ny NOOP\r\n")
    await client.until(rb"^y OK")


async def test_anything_but_done_ends_idle_as_bad(world):
    client = await world.inbox()
    await client.raw(b"x IDLE\r\n")
    await client.until(rb"^\+")
    await client.raw(b"y NOOP\r\n")
    assert await client.until(rb"^x") == b"x BAD Expected DONE\r\n"


async def test_suspension_ends_idle(world):
    client = await world.inbox()
    await client.raw(b"x IDLE\r\n")
    await client.until(rb"^\+")
    account = world.book.by_address("alice@example.org")
    world.book.by[account.id] = replace(account, suspended=True)
    assert client.session.withdrawn() is not None
    client.link.wake()
    await client.until(rb"^\* BYE")


async def test_a_revoked_password_ends_idle_and_commands(world):
    idle, other = await world.inbox(), await world.client()
    await idle.raw(b"x IDLE\r\n")
    await idle.until(rb"^\+")
    world.book.revoked.add("app-1")
    assert idle.session.withdrawn() is not None
    idle.link.wake()
    assert b"* BYE [EXPIRED]" in await idle.until(rb"^\* BYE")
    await other.raw(b"x SELECT INBOX\r\n")
    assert b"* BYE [EXPIRED]" in await other.until(rb"^\* BYE")
    cut = [event.outcome for event in world.events if event.action == "session-cut"]
    assert cut == ["credential-revoked", "credential-revoked"]


async def test_new_messages_are_no_longer_recent_for_who_comes_next(world):
    client = await world.inbox()
    await world.file(M)
    await client("NOOP")
    await client("LOGOUT")
    await client.task
    other = await world.client()
    assert "* 0 RECENT" in await other("SELECT INBOX")


async def test_one_read_however_many_changes(world):
    client = await world.inbox()
    for _ in range(5):
        await world.file(M)
    assert (await client("NOOP"))[0] == "* 5 EXISTS"
