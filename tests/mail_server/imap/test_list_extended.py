"""LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), special-use selection (RFC 6154)."""

from __future__ import annotations


def names(answer: list[str]) -> list[str]:
    return [line.rpartition('"/" ')[2].split('"')[1] for line in answer[:-1] if line.startswith("* LIST")]


async def test_only_subscribed_mailboxes(world):
    client = await world.client("bob@example.org")
    await client("CREATE a/b")
    await client("SUBSCRIBE a/b")
    await client("UNSUBSCRIBE Junk")
    answer = await client('LIST (SUBSCRIBED) "" *')
    assert "a/b" in names(answer)
    assert "Junk" not in names(answer)
    assert r'* LIST (\Subscribed \HasNoChildren) "/" "a/b"' in answer


async def test_recursive_match_tells_the_parent_of_a_subscribed_child(world):
    client = await world.client()
    await client("CREATE a/b")
    await client("SUBSCRIBE a/b")
    answer = await client('LIST (SUBSCRIBED RECURSIVEMATCH) "" a')
    assert answer[0] == (r'* LIST (\NonExistent \Noselect \HasChildren) "/" "a" ("CHILDINFO" ("SUBSCRIBED"))')
    assert (await client('LIST (RECURSIVEMATCH) "" a'))[-1].startswith("tag BAD")


async def test_several_patterns_and_children(world):
    client = await world.client()
    answer = await client('LIST "" (INBOX Sent) RETURN (CHILDREN SUBSCRIBED)')
    assert answer[:-1] == [
        r'* LIST (\Subscribed \HasNoChildren) "/" "INBOX"',
        r'* LIST (\Subscribed \HasNoChildren \Sent) "/" "Sent"',
    ]


async def test_only_special_uses(world):
    client = await world.client()
    assert names(await client('LIST (SPECIAL-USE) "" *')) == ["Archive", "Drafts", "Junk", "Sent", "Trash"]


async def test_status_comes_after_each_name(world):
    await world.file()
    client = await world.client()
    await client("CREATE a/b")
    answer = await client('LIST "" (INBOX a) RETURN (STATUS (MESSAGES UNSEEN))')
    assert answer[:-1] == [
        r'* LIST (\HasNoChildren) "/" "INBOX"',
        '* STATUS "INBOX" (MESSAGES 1 UNSEEN 1)',
        r'* LIST (\NonExistent \Noselect \HasChildren) "/" "a"',
    ]


async def test_an_unknown_option_is_bad(world):
    client = await world.client()
    assert (await client('LIST (NONSENSE) "" *'))[-1].startswith("tag BAD")
    assert (await client('LIST "" * RETURN (NONSENSE)'))[-1].startswith("tag BAD")
