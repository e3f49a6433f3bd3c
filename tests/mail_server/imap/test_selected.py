"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK: what is told, and what remains."""

from __future__ import annotations

from mail_server.store.model import Flag


async def test_select_tells_everything_rfc_3501_asks_for(world):
    await world.file(flags=Flag.SEEN)
    await world.file()
    client = await world.client()
    answer = await client("SELECT inbox")
    assert answer[0] == r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)"
    assert answer[1] == (
        r"* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags permitted"
    )
    assert answer[2:5] == ["* 2 EXISTS", "* 2 RECENT", "* OK [UNSEEN 2] First unseen"]
    codes = [line.split("[")[1].split()[0] for line in answer[5:-1]]
    assert codes == ["UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MAILBOXID"]
    assert answer[-1] == "tag OK [READ-WRITE] SELECT completed"


async def test_only_the_first_session_sees_recent(world):
    await world.file()
    first, second = await world.client(), await world.client()
    assert "* 1 RECENT" in await first("SELECT INBOX")
    assert "* 0 RECENT" in await second("SELECT INBOX")
    assert (await first("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent))"


async def test_examine_is_read_only_and_leaves_recent(world):
    await world.file()
    client = await world.client()
    answer = await client("EXAMINE INBOX")
    assert "* OK [PERMANENTFLAGS ()] Flags permitted" in answer
    assert answer[-1] == "tag OK [READ-ONLY] EXAMINE completed"
    assert (await client(r"STORE 1 +FLAGS (\Seen)"))[-1].startswith("tag NO [READ-ONLY]")
    assert (await client("EXPUNGE"))[-1].startswith("tag NO [READ-ONLY]")
    await client("FETCH 1 BODY[]")
    assert "* 1 RECENT" in await client("EXAMINE INBOX")
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent))"


async def test_close_expunges_silently_but_not_after_examine(world):
    await world.file(flags=Flag.DELETED)
    client = await world.client()
    await client("EXAMINE INBOX")
    assert await client("CLOSE") == ["tag OK CLOSE completed"]
    assert "* 1 EXISTS" in await client("SELECT INBOX")
    assert await client("CLOSE") == ["tag OK CLOSE completed"]
    assert "* 0 EXISTS" in await client("SELECT INBOX")


async def test_unselect_keeps_what_is_deleted(world):
    await world.file(flags=Flag.DELETED)
    client = await world.client()
    await client("SELECT INBOX")
    assert await client("UNSELECT") == ["tag OK UNSELECT completed"]
    assert (await client("FETCH 1 FLAGS"))[-1] == "tag BAD FETCH is not allowed now"
    assert "* 1 EXISTS" in await client("SELECT INBOX")


async def test_a_select_that_fails_leaves_nothing_selected(world):
    client = await world.inbox()
    answer = await client("SELECT Nowhere")
    assert answer == [
        "* OK [CLOSED] Previous mailbox closed",
        "tag NO [NONEXISTENT] No such mailbox",
    ]
    assert (await client("CHECK"))[-1] == "tag BAD CHECK is not allowed now"


async def test_check_is_ok(world):
    client = await world.inbox()
    assert await client("CHECK") == ["tag OK CHECK completed"]


async def test_keywords_are_known_at_the_next_select(world):
    client = await world.inbox(b"Subject: a\r\n\r\n")
    await client("STORE 1 +FLAGS ($Forwarded NIL)")
    other = await world.client()
    answer = await other("SELECT INBOX")
    assert answer[0] == r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded NIL)"
    assert (await other("FETCH 1 FLAGS"))[0] == "* 1 FETCH (FLAGS ($Forwarded NIL))"


async def test_below_the_free_space_floor_the_mailbox_is_read_only(world, monkeypatch):
    await world.file()
    client = await world.client()
    monkeypatch.setattr(type(world.store), "writable", property(lambda _: False))
    assert (await client("SELECT INBOX"))[-1] == "tag OK [READ-ONLY] SELECT completed"
    assert (await client("FETCH 1 BODY[TEXT]"))[-1] == "tag OK FETCH completed"
    for command in ("CREATE new", "COPY 1 Trash", "APPEND Trash {3+}\r\nabc"):
        assert (await client(command))[-1].startswith("tag NO [UNAVAILABLE]"), command
    monkeypatch.undo()
