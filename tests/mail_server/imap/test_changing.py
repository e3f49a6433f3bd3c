"""STORE, COPY, MOVE, EXPUNGE, UID EXPUNGE (RFC 3501, 4315, 6851)."""

from __future__ import annotations

import pytest

M = b"Subject: m\r\n\r\nbody\r\n"


async def test_store_adds_removes_and_replaces(world):
    client = await world.inbox(M)
    await client("NOOP")
    assert (await client(r"STORE 1 +FLAGS (\Seen \Flagged)"))[0] == (
        r"* 1 FETCH (FLAGS (\Flagged \Seen \Recent))"
    )
    assert (await client(r"STORE 1 -FLAGS \Seen"))[0] == r"* 1 FETCH (FLAGS (\Flagged \Recent))"
    assert (await client(r"UID STORE 1 FLAGS (\Answered)"))[0] == (
        r"* 1 FETCH (UID 1 FLAGS (\Answered \Recent))"
    )
    assert await client(r"STORE 1 FLAGS.SILENT ()") == ["tag OK STORE completed"]
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent))"


async def test_keywords_are_kept_for_ever_whatever_their_case(world):
    client = await world.inbox(M, M)
    answer = await client("STORE 1 +FLAGS ($Label1 NonJunk nil)")
    assert answer[0] == r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label1 NonJunk nil)"
    assert answer[1].startswith("* OK [PERMANENTFLAGS (")
    assert answer[2] == r"* 1 FETCH (FLAGS (\Recent $Label1 NonJunk nil))"
    assert (await client("STORE 2 +FLAGS (NONJUNK)"))[0] == r"* 2 FETCH (FLAGS (\Recent NonJunk))"
    assert (await client("STORE 1:2 -FLAGS (nonjunk)"))[1] == r"* 2 FETCH (FLAGS (\Recent))"
    await client("COPY 1 Archive")
    await client("SELECT Archive")
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent $Label1 nil))"


@pytest.mark.parametrize("flags", [r"(\Nonsense)", "(", r"(\Seen", "", "(caf\u00e9)"])
async def test_flags_that_are_none_are_bad(world, flags):
    client = await world.inbox(M)
    assert (await client(f"STORE 1 +FLAGS {flags}"))[-1].startswith("tag BAD")


async def test_expunge_tells_numbers_as_they_are_then(world):
    client = await world.inbox(M, M, M, M)
    await client(r"STORE 2:3 +FLAGS.SILENT (\Deleted)")
    assert await client("EXPUNGE") == ["* 2 EXPUNGE", "* 2 EXPUNGE", "tag OK EXPUNGE completed"]
    assert list(await client("FETCH 1:* UID"))[:-1] == [
        "* 1 FETCH (UID 1)",
        "* 2 FETCH (UID 4)",
    ]


async def test_uid_expunge_takes_only_its_own(world):
    client = await world.inbox(M, M, M)
    await client(r"STORE 1:3 +FLAGS.SILENT (\Deleted)")
    assert await client("UID EXPUNGE 2,9") == ["* 2 EXPUNGE", "tag OK EXPUNGE completed"]


async def test_copy_says_where_and_keeps_flags(world):
    client = await world.inbox(M, M)
    await client(r"STORE 2 +FLAGS.SILENT (\Seen work)")
    answer = await client("COPY 1:2 Archive")
    assert answer[-1].startswith("tag OK [COPYUID ")
    assert answer[-1].endswith(" 1:2 1:2] COPY completed")
    await client("SELECT Archive")
    assert (await client("FETCH 2 FLAGS"))[0] == r"* 2 FETCH (FLAGS (\Seen \Recent work))"


async def test_copy_to_nowhere_says_trycreate(world):
    client = await world.inbox(M)
    assert (await client("COPY 1 Nowhere"))[-1].startswith("tag NO [TRYCREATE]")
    assert (await client("MOVE 1 Nowhere"))[-1].startswith("tag NO [TRYCREATE]")
    assert await client("UID COPY 99 Archive") == ["tag OK COPY completed"]


async def test_copy_onto_the_selected_mailbox_shows_the_copy(world):
    client = await world.inbox(M)
    answer = await client("COPY 1 INBOX")
    assert "* 2 EXISTS" in answer
    assert answer[-1].endswith(" 1 2] COPY completed")


async def test_move_tells_copyuid_then_expunge(world):
    client = await world.inbox(M, M, M)
    answer = await client("MOVE 1,3 Archive")
    assert answer[0].startswith("* OK [COPYUID ")
    assert answer[0].endswith(" 1,3 1:2] Moved")
    assert answer[1:] == ["* 1 EXPUNGE", "* 2 EXPUNGE", "tag OK MOVE completed"]
    assert (await client("UID MOVE 2 Trash"))[1] == "* 1 EXPUNGE"


async def test_move_onto_the_selected_mailbox(world):
    client = await world.inbox(M, M)
    answer = await client("MOVE 1 INBOX")
    assert answer[0].endswith(" 1 3] Moved")
    assert answer[1] == "* 1 EXPUNGE"
    assert "* 2 EXISTS" in answer
    assert list((await client("FETCH 1:2 UID"))[:-1]) == [
        "* 1 FETCH (UID 2)",
        "* 2 FETCH (UID 3)",
    ]


async def test_storing_on_a_thousand_messages_is_one_change(world):
    client = await world.client()
    await world.file(M)
    await client("SELECT INBOX")
    for _ in range(7):
        await client("COPY 1:* INBOX")
    answer = await client(r"UID STORE 1:* +FLAGS (\Flagged)")
    assert len([line for line in answer if r"\Flagged" in line]) == 128
