"""LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE: folders as clients see them."""

from __future__ import annotations

import pytest

from mail_server.store.model import Flag, SpecialUse


def names(answer: list[str]) -> list[str]:
    return [line.rpartition('"/" ')[2].strip('"') for line in answer[:-1]]


async def test_list_shows_special_uses_and_children(world):
    client = await world.client("bob@example.org")
    await client("CREATE Work/2026")
    assert [line for line in await client('LIST "" *') if "Other" not in line] == [
        r'* LIST (\HasNoChildren) "/" "INBOX"',
        r'* LIST (\HasNoChildren \Archive) "/" "Archive"',
        r'* LIST (\HasNoChildren \Drafts) "/" "Drafts"',
        r'* LIST (\HasNoChildren \Junk) "/" "Junk"',
        r'* LIST (\HasNoChildren \Sent) "/" "Sent"',
        r'* LIST (\HasNoChildren \Trash) "/" "Trash"',
        r'* LIST (\Noselect \HasChildren) "/" "Work"',
        r'* LIST (\HasNoChildren) "/" "Work/2026"',
        "tag OK LIST completed",
    ]


async def test_list_of_the_root_tells_the_separator(world):
    client = await world.client()
    assert await client('LIST "" ""') == [r'* LIST (\Noselect) "/" ""', "tag OK LIST completed"]


async def test_percent_stops_at_the_separator_and_star_does_not(world):
    client = await world.client()
    for name in ("a/b/c", "a/d", "ab"):
        await client(f"CREATE {name}")
    assert names(await client('LIST "" a%')) == ["a", "ab"]
    assert names(await client('LIST "" a*')) == ["a", "a/b", "a/b/c", "a/d", "ab"]
    assert names(await client('LIST "" a/%')) == ["a/b", "a/d"]
    assert names(await client("LIST a/ %")) == ["a/b", "a/d"]
    assert names(await client('LIST "" %/%/c')) == ["a/b/c"]
    assert names(await client('LIST "" inbox')) == ["INBOX"]
    assert names(await client('LIST "" Nothing')) == []


async def test_a_hostile_pattern_costs_no_time(world):
    client = await world.client()
    await client("CREATE " + "a" * 200)
    assert names(await client('LIST "" ' + "*a" * 100 + "b")) == []


async def test_names_travel_in_modified_utf7(world):
    client = await world.client()
    assert (await client('CREATE "&AMk-t&AOk- &- co"'))[-1].startswith("tag OK [MAILBOXID (")
    assert names(await client('LIST "" "&AMk-*"')) == ["&AMk-t&AOk- &- co"]
    mailbox = await world.store.read(
        lambda reader: reader.mailbox_by_name(client.session.person.account, "Été & co")
    )
    assert mailbox.name == "Été & co"


async def test_names_that_are_no_mutf7_are_taken_as_they_are(world):
    client = await world.client()
    for name in (b'"&bad"', b'"&&&"', b'"caf\xc3\xa9"', b'"\xff\xfe"', b'"&2D0-"'):
        assert (await client(b"CREATE " + name))[-1].startswith("tag OK"), name
        assert (await client(b"SELECT " + name))[-1].startswith("tag OK"), name


async def test_nil_is_a_name(world):
    client = await world.client()
    assert (await client("CREATE NIL"))[-1].startswith("tag OK")
    assert (await client("SELECT NIL"))[-1].startswith("tag OK")
    assert r'* LIST (\HasNoChildren) "/" "NIL"' in await client('LIST "" NIL')


@pytest.mark.parametrize("name", ["a//b", '"a*b"', '"a%b"', '"/a"', '"a\tb"', "INBOX", "Sent"])
async def test_create_refuses(world, name):
    client = await world.client()
    assert (await client(f"CREATE {name}"))[-1].startswith(("tag NO", "tag BAD"))


async def test_create_takes_a_trailing_separator(world):
    client = await world.client()
    assert (await client("CREATE parent/"))[-1].startswith("tag OK")
    assert (await client("SELECT parent"))[-1].startswith("tag OK")


async def test_delete_keeps_special_uses_and_says_when_only_children_are_left(world):
    client = await world.client()
    await client("CREATE a")
    await client("CREATE a/b")
    assert (await client("DELETE a"))[-1] == "tag OK DELETE completed"
    assert (await client("DELETE a"))[-1].startswith("tag NO [HASCHILDREN]")
    assert r'* LIST (\Noselect \HasChildren) "/" "a"' in await client('LIST "" a')
    assert (await client("DELETE a/b"))[-1] == "tag OK DELETE completed"
    assert (await client("DELETE a/b"))[-1] == "tag NO [NONEXISTENT] No such mailbox"
    assert (await client("DELETE Sent"))[-1].startswith("tag NO [CANNOT]")
    assert (await client("DELETE INBOX"))[-1].startswith("tag NO [CANNOT]")


async def test_rename_takes_the_children_along(world):
    client = await world.client()
    for name in ("a", "a/b", "x/y/z"):
        await client(f"CREATE {name}")
    assert (await client("RENAME a c"))[-1] == "tag OK RENAME completed"
    assert (await client("RENAME x/y w"))[-1] == "tag OK RENAME completed"
    assert names(await client('LIST "" c*')) == ["c", "c/b"]
    assert names(await client('LIST "" w*')) == ["w", "w/z"]
    assert (await client("RENAME c c/d"))[-1].startswith("tag NO [CANNOT]")
    assert (await client("RENAME c Sent"))[-1].startswith("tag NO [ALREADYEXISTS]")
    assert (await client("RENAME nothing more"))[-1].startswith("tag NO [NONEXISTENT]")


async def test_renaming_inbox_moves_its_messages_and_leaves_it(world):
    client = await world.client()
    await world.file()
    await client("CREATE INBOX/sub")
    assert (await client("RENAME INBOX old"))[-1] == "tag OK RENAME completed"
    assert (await client("STATUS old (MESSAGES)"))[0] == '* STATUS "old" (MESSAGES 1)'
    assert (await client("STATUS INBOX (MESSAGES)"))[0] == '* STATUS "INBOX" (MESSAGES 0)'
    assert "INBOX/sub" in names(await client('LIST "" *'))


async def test_status_counts(world):
    await world.file(flags=Flag.SEEN)
    await world.file(flags=Flag.DELETED)
    filed = await world.file()
    client = await world.client()
    items = "MESSAGES RECENT UNSEEN DELETED UIDNEXT UIDVALIDITY"
    assert (await client(f"STATUS INBOX ({items})"))[0] == (
        f'* STATUS "INBOX" (MESSAGES 3 RECENT 3 UNSEEN 2 DELETED 1 UIDNEXT 4 UIDVALIDITY {filed.uidvalidity})'
    )
    answer = await client("STATUS INBOX (SIZE HIGHESTMODSEQ MAILBOXID)")
    assert "SIZE 558" in answer[0] or "SIZE " in answer[0]
    assert "MAILBOXID (F" in answer[0]
    assert (await client("STATUS Nothing (MESSAGES)"))[-1].startswith("tag NO [NONEXISTENT]")
    assert (await client("STATUS INBOX (NONSENSE)"))[-1].startswith("tag BAD")


async def test_subscriptions(world):
    client = await world.client()
    await client("CREATE a/b")
    assert (await client("SUBSCRIBE a/b"))[-1] == "tag OK SUBSCRIBE completed"
    assert '* LSUB () "/" "a/b"' in await client('LSUB "" *')
    assert r'* LSUB (\Noselect) "/" "a"' in await client('LSUB "" %')
    assert (await client("UNSUBSCRIBE a/b"))[-1] == "tag OK UNSUBSCRIBE completed"
    assert names(await client('LSUB "" a*')) == []
    assert (await client("SUBSCRIBE Nothing"))[-1].startswith("tag NO [NONEXISTENT]")


async def test_deleting_the_selected_mailbox_closes_it(world):
    client = await world.client()
    await client("CREATE gone")
    await client("SELECT gone")
    assert (await client("DELETE gone"))[0].startswith("* OK [CLOSED]")
    assert (await client("CHECK"))[-1].startswith("tag BAD")


async def test_a_mailbox_deleted_elsewhere_ends_the_session(world):
    first, second = await world.client(), await world.client()
    await first("CREATE gone")
    await second("SELECT gone")
    await first("DELETE gone")
    await second.raw(b"x NOOP\r\n")
    assert b"The selected mailbox was deleted" in await second.until(rb"^\* BYE")


async def test_every_special_use_is_there_once(world):
    client = await world.client()
    listing = "\n".join(await client('LIST "" *'))
    for use in SpecialUse:
        if use is not SpecialUse.INBOX:
            assert listing.count("\\" + use.value.capitalize()) == 1
