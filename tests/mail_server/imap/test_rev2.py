"""A client that enables IMAP4rev2 (RFC 9051): UTF-8 names, ESEARCH always, no \\Recent, LIST at SELECT."""

from __future__ import annotations

M = b"Subject: m\r\n\r\nbody\r\n"


async def test_it_is_told_once_enabled(world):
    client = await world.client()
    assert (await client("ENABLE IMAP4rev2"))[0] == "* ENABLED IMAP4rev2"


async def test_names_are_utf8_both_ways(world):
    client = await world.client()
    await client("ENABLE IMAP4rev2")
    assert (await client('CREATE "Été"'.encode()))[-1].startswith("tag OK")
    assert r'* LIST (\HasNoChildren) "/" "Été"' in await client('LIST "" *')
    answer = await client('SELECT "Été"'.encode())
    assert '* LIST () "/" "Été"' in answer
    old = await world.client()
    assert r'* LIST (\HasNoChildren) "/" "&AMk-t&AOk-"' in await old('LIST "" *')


async def test_search_answers_esearch(world):
    client = await world.inbox(M, M)
    await client("ENABLE IMAP4rev2")
    assert (await client("SEARCH ALL"))[0] == f'* ESEARCH (TAG "t{client._tag}") ALL 1:2'
    assert (await client("UID SEARCH SEEN"))[0] == f'* ESEARCH (TAG "t{client._tag}") UID'


async def test_recent_is_gone(world):
    await world.file(M)
    client = await world.client()
    await client("ENABLE IMAP4rev2")
    answer = await client("SELECT INBOX")
    assert "RECENT" not in " ".join(answer)
    assert "UNSEEN" not in " ".join(answer)
    assert (await client("FETCH 1 FLAGS"))[0] == "* 1 FETCH (FLAGS ())"
    assert "RECENT" not in " ".join(await client(r"STORE 1 +FLAGS (\Seen)")).upper()


async def test_what_rev2_folds_in_is_there(world):
    client = await world.inbox(M)
    for command in (
        "NAMESPACE",
        "SEARCH RETURN (SAVE) ALL",
        "FETCH $ (BINARY.PEEK[1] BINARY.SIZE[1])",
        'LIST (SUBSCRIBED) "" * RETURN (STATUS (SIZE DELETED))',
        "UID MOVE 1 Archive",
        "UNSELECT",
    ):
        assert (await client(command))[-1].startswith("tag OK"), command
