"""OBJECTID (RFC 8474) and SAVEDATE (RFC 8514)."""

from __future__ import annotations

import re

M = b"Subject: m\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n"


async def test_messages_and_mailboxes_have_ids(world):
    filed = await world.file(M)
    client = await world.inbox()
    assert (await client("FETCH 1 (EMAILID THREADID)"))[0] == (
        f"* 1 FETCH (EMAILID ({filed.email_id}) THREADID ({filed.thread_id}))"
    )
    await client("COPY 1 Archive")
    made = re.search(r"MAILBOXID \((\w+)\)", (await client("CREATE new"))[-1])
    told = re.search(r"MAILBOXID \((\w+)\)", " ".join(await client("STATUS new (MAILBOXID)")))
    assert made
    assert told
    assert made[1] == told[1]
    answer = await client("SELECT Archive")
    assert "* OK [MAILBOXID (" in " ".join(answer)
    assert filed.email_id in (await client("FETCH 1 EMAILID"))[0]


async def test_search_by_id(world):
    filed = await world.file(M)
    await world.file()
    client = await world.inbox()
    assert (await client(f"SEARCH EMAILID {filed.email_id}"))[0] == "* SEARCH 1"
    assert (await client(f"SEARCH THREADID {filed.thread_id}"))[0] == "* SEARCH 1"
    assert (await client("SEARCH NOT EMAILID nothing"))[0] == "* SEARCH 1 2"


async def test_savedate_is_when_it_came_here(world):
    await world.file(M, received_at=1_000_000_000_000)
    client = await world.inbox()
    answer = await client("FETCH 1 (INTERNALDATE)")
    assert answer[0] == '* 1 FETCH (INTERNALDATE " 9-Sep-2001 01:46:40 +0000")'
    await client("COPY 1 Archive")
    await client("SELECT Archive")
    assert re.search(r'SAVEDATE "[ \d]\d-\w{3}-20[2-9]\d', (await client("FETCH 1 SAVEDATE"))[0])
    assert (await client("SEARCH SAVEDSINCE 1-Jan-2020 BEFORE 1-Jan-2020"))[0] == "* SEARCH 1"
