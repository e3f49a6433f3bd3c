"""Shared accounts under "Other Users/": each member logs in as themselves; who is removed sees nothing more."""

from __future__ import annotations

from dataclasses import replace

from mail_server.accounts.interface import Grant, Role
from mail_server.store.model import AccountId

M = b"Subject: m\r\n\r\nbody\r\n"


def ward(world) -> AccountId:
    return world.book.by_address("ward@example.org").id


async def test_namespaces(world):
    client = await world.client()
    assert (await client("NAMESPACE"))[0] == '* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL'


async def test_a_member_finds_the_ward(world):
    client = await world.client()
    assert r'* LIST (\Noselect \HasChildren) "/" "Other Users"' in await client('LIST "" %')
    answer = await client('LIST "Other Users/" *')
    assert answer[0] == r'* LIST (\HasChildren) "/" "Other Users/ward@example.org"'
    assert r'* LIST (\HasNoChildren) "/" "Other Users/ward@example.org/Sent"' in answer
    assert (await client('LIST "" "Other Users/%"'))[:-1] == answer[:1]


async def test_the_ward_itself_is_its_inbox(world):
    await world.file(M, account=ward(world))
    client = await world.client()
    for name in ("Other Users/ward@example.org", "Other Users/Ward@example.org/inbox"):
        answer = await client(f'SELECT "{name}"')
        assert "* 1 EXISTS" in answer
        assert answer[-1] == "tag OK [READ-WRITE] SELECT completed"
    await client("FETCH 1 BODY[]")
    (event,) = world.events
    assert (event.actor, event.subject) == (client.session.person.account, ward(world))
    assert (await client('STATUS "Other Users/ward@example.org" (MESSAGES UNSEEN)'))[0] == (
        '* STATUS "Other Users/ward@example.org" (MESSAGES 1 UNSEEN 0)'
    )


async def test_members_file_and_move_there(world):
    person = world.book.by_address("alice@example.org").id
    world.book.change(ward(world), grants=(Grant(person, Role.MEMBER, "eiklprstwx", 0),))
    client = await world.client()
    await client('CREATE "Other Users/ward@example.org/Done"')
    assert (await client(b'APPEND "Other Users/ward@example.org/Done" {17+}\r\nSubject: x\r\n\r\nabc'))[
        -1
    ].startswith("tag OK [APPENDUID")
    await client('SELECT "Other Users/ward@example.org/Done"')
    assert (await client("MOVE 1 INBOX"))[-1] == "tag OK MOVE completed"
    await client("SELECT INBOX")
    assert (await client('COPY 1 "Other Users/ward@example.org"'))[-1].startswith("tag OK [COPYUID")
    assert (await client('RENAME Archive "Other Users/ward@example.org/A"'))[-1].startswith("tag NO [CANNOT]")


async def test_what_goes_over_to_another_account_is_in_the_trace(world):
    await world.file(M, account=ward(world))
    client = await world.client()
    await client('SELECT "Other Users/ward@example.org"')
    await client('COPY 1 "Other Users/ward@example.org/Archive"')
    assert world.events == []
    await client("COPY 1 Archive")
    await client("MOVE 1 Archive")
    person = client.session.person.account
    assert [(event.action, event.actor, event.subject) for event in world.events] == [
        ("copy", person, ward(world)),
        ("move", person, ward(world)),
    ]
    assert len({event.reference for event in world.events}) == 1
    assert {event.detail["account"] for event in world.events} == {person}


async def test_who_is_no_member_sees_nothing(world):
    world.book.change(ward(world), members=())
    client = await world.client()
    assert "Other" not in " ".join(await client('LIST "" *'))
    for name in (
        "Other Users/ward@example.org",
        "Other Users/bob@example.org",
        "Other Users",
        "Other Users/",
    ):
        assert (await client(f'SELECT "{name}"'))[-1] == "tag NO [NONEXISTENT] No such mailbox", name
        assert (await client(f'CREATE "{name}/x"'))[-1] == "tag NO [NONEXISTENT] No such mailbox", name


async def test_a_member_removed_is_shut_out_at_the_next_command(world):
    client = await world.client()
    await client('SELECT "Other Users/ward@example.org"')
    world.book.change(ward(world), members=())
    await client.raw(b"x NOOP\r\n")
    said = await client.until(rb"^\* BYE")
    assert b"* OK [CLOSED]" in said
    await client.task


async def test_a_member_removed_is_shut_out_in_idle_too(world):
    client = await world.client()
    await client('SELECT "Other Users/ward@example.org"')
    await client.raw(b"x IDLE\r\n")
    await client.until(rb"^\+")
    assert client.session.withdrawn() is None
    world.book.change(ward(world), suspended=True)
    assert client.session.withdrawn() is not None
    client.link.wake()
    await client.until(rb"^\* BYE")


async def test_both_members_see_each_others_flags(world):
    await world.file(M, account=ward(world))
    alice, bob = await world.client(), await world.client("bob@example.org")
    await alice('SELECT "Other Users/ward@example.org"')
    await bob('SELECT "Other Users/ward@example.org"')
    await alice(r"STORE 1 +FLAGS (\Flagged)")
    assert (await bob("NOOP"))[0] == r"* 1 FETCH (UID 1 FLAGS (\Flagged))"


async def test_an_account_never_opened_gets_its_folders_at_the_first_login(world):
    newcomer = AccountId("carol" + "c" * 15)
    alice = world.book.by_address("alice@example.org")
    world.book.by[newcomer] = type(alice)(newcomer, "carol@example.org", alice.kind)
    client = await world.client("carol@example.org")
    assert (await client("SELECT INBOX"))[-1].startswith("tag OK")


async def test_while_the_trace_takes_no_more_no_body_is_read_and_nothing_goes_over(world):
    world.services = replace(world.services, trace_full=lambda: True)
    await world.file(M, account=ward(world))
    client = await world.client()
    await client('SELECT "Other Users/ward@example.org"')
    assert (await client("FETCH 1 BODY[]"))[-1].startswith("tag NO [UNAVAILABLE]")
    assert (await client("COPY 1 Archive"))[-1].startswith("tag NO [UNAVAILABLE]")
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent))"
    assert world.events == []
