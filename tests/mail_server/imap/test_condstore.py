"""CONDSTORE (RFC 7162): modseqs, CHANGEDSINCE, UNCHANGEDSINCE, MODIFIED."""

from __future__ import annotations

import re

M = b"Subject: m\r\n\r\nbody\r\n"


def modseq(line: str) -> int:
    found = re.search(r"MODSEQ \(?(\d+)", line)
    assert found, line
    return int(found[1])


async def highest(client) -> int:
    return modseq((await client("STATUS INBOX (HIGHESTMODSEQ)"))[-2].replace("HIGHEST", ""))


async def test_fetch_tells_modseqs_and_turns_them_on(world):
    client = await world.inbox(M)
    answer = await client("FETCH 1 (MODSEQ)")
    assert answer[0].startswith("* OK [HIGHESTMODSEQ ")
    assert re.fullmatch(r"\* 1 FETCH \(MODSEQ \(\d+\)\)", answer[1])
    assert "MODSEQ (" in (await client(r"STORE 1 +FLAGS (\Seen)"))[0]


async def test_without_it_no_modseq_is_told(world):
    client = await world.inbox(M)
    assert "MODSEQ" not in " ".join(await client(r"STORE 1 +FLAGS (\Seen)"))


async def test_changedsince_tells_only_what_changed(world):
    client = await world.inbox(M, M, M)
    before = await highest(client)
    await client(r"STORE 2 +FLAGS.SILENT (\Seen)")
    answer = await client(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")
    assert len(answer) == 2
    assert answer[0].startswith("* 2 FETCH (UID 2 MODSEQ (")


async def test_unchangedsince_leaves_alone_what_moved_on(world):
    client = await world.inbox(M, M)
    await client("ENABLE CONDSTORE")
    before = await highest(client)
    await client(r"STORE 1 +FLAGS.SILENT (\Seen)")
    answer = await client(rf"STORE 1:2 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (\Flagged)")
    assert answer[0].startswith("* 2 FETCH (MODSEQ (")
    assert answer[-1] == "tag OK [MODIFIED 1] STORE completed"
    answer = await client(rf"UID STORE 1 (UNCHANGEDSINCE {before}) +FLAGS (\Flagged)")
    assert answer[-1] == "tag OK [MODIFIED 1] STORE completed"
    assert r"\Flagged" not in (await client("FETCH 1 FLAGS"))[0]


async def test_silent_still_tells_the_modseq(world):
    client = await world.inbox(M)
    await client("ENABLE CONDSTORE")
    answer = await client(r"UID STORE 1 +FLAGS.SILENT (\Seen)")
    assert re.fullmatch(r"\* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)", answer[0])


async def test_search_by_modseq_tells_the_highest_found(world):
    client = await world.inbox(M, M)
    first = await highest(client)
    await client(r"STORE 2 +FLAGS.SILENT (\Seen)")
    now = await highest(client)
    assert (await client(f"SEARCH MODSEQ {first + 1}"))[-2] == f"* SEARCH 2 (MODSEQ {now})"
    assert (await client(f'SEARCH MODSEQ "/flags/\\\\seen" all {first + 1}'))[-2].startswith("* SEARCH 2 (")
    assert (await client(f"SEARCH RETURN (COUNT) MODSEQ {first + 1}"))[-2].endswith(f"COUNT 1 MODSEQ {now}")
    assert (await client(f"SEARCH MODSEQ {now + 1}"))[-2] == "* SEARCH"


async def test_select_with_condstore_makes_others_changes_carry_modseqs(world):
    await world.file(M)
    client, other = await world.client(), await world.client()
    await client("SELECT INBOX (CONDSTORE)")
    await other("SELECT INBOX")
    await other(r"STORE 1 +FLAGS (\Seen)")
    assert re.search(r"\* 1 FETCH \(UID 1 FLAGS \(.*\) MODSEQ \(\d+\)\)", " ".join(await client("NOOP")))
    assert (await client("SELECT INBOX (QRESYNC)"))[-1].startswith("tag BAD")
