"""RFC 4314: each right lets its acts through and no other; RIGHTS=texk; who reads is told and changed as ACL says."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest

from mail_server.accounts.changes import AccountError
from mail_server.accounts.grants import role_for
from mail_server.accounts.interface import Account, Grant, Kind, Role
from mail_server.store.model import AccountId, Flag
from tests.mail_server.imap.conftest import ALICE, BOB, WARD

M = b"Subject: m\r\n\r\nbody\r\n"
HERE = '"Other Users/ward@example.org"'
LETTERS = "aeiklprstwx"


@dataclass
class Shares:
    """Changes the book at once; refuses who is told so."""

    book: object
    refusing: bool = False

    async def let(self, by, account, person, rights, until):
        if self.refusing:
            raise AccountError("no-key", "They have no key.")
        found = self.book.by_id(account)
        made = Grant(person, role_for(found.kind), rights, 0, until)
        others = tuple(each for each in found.grants if each.person != person)
        self.book.change(account, grants=(*others, made))
        return made

    async def end(self, by, account, person):
        found = self.book.by_id(account)
        self.book.change(account, grants=tuple(each for each in found.grants if each.person != person))


def give(world, rights, account=WARD, person=ALICE, **more):
    """`rights` is all this person has there; nobody else reads it."""
    role = Role.MEMBER if world.book.by_id(account).kind is Kind.ORG else Role.DELEGATE
    grants = (Grant(person, role, rights, more.get("since", 0), more.get("until")),) if rights else ()
    world.book.change(account, grants=grants, members=())


def sharing(world, **what):
    world.services = replace(world.services, sharing=Shares(world.book, **what))
    world.with_settings(sharing_by_password=True)


async def last(client, command):
    return (await client(command))[-1]


async def opened(world, rights):
    """The ward's INBOX with one message, opened with all rights; then these alone are left."""
    give(world, LETTERS)
    await world.file(M, account=WARD)
    client = await world.client()
    assert (await last(client, f"SELECT {HERE}")).startswith("tag OK [READ-WRITE]")
    give(world, rights)
    return client


# ── each right, alone against all others ──


@pytest.mark.parametrize(
    ("needed", "command"),
    [
        ("r", f"SELECT {HERE}"),
        ("r", f"EXAMINE {HERE}"),
        ("r", f"STATUS {HERE} (MESSAGES)"),
        ("l", f"SUBSCRIBE {HERE}"),
        ("k", 'CREATE "Other Users/ward@example.org/New"'),
        ("x", 'DELETE "Other Users/ward@example.org/Old"'),
        ("i", "COPY 1 " + HERE),
        ("i", b"APPEND " + HERE.encode() + b" {17+}\r\nSubject: x\r\n\r\nabc"),
        ("a", f"GETACL {HERE}"),
        ("a", f"LISTRIGHTS {HERE} bob@example.org"),
        ("a", f"SETACL {HERE} bob@example.org lr"),
        ("a", f"DELETEACL {HERE} bob@example.org"),
    ],
)
async def test_what_needs_one_right_is_refused_with_all_others(world, needed, command):
    await world.store.write(lambda tx: tx.create_mailbox(WARD, "Old"))
    await world.file(M)
    sharing(world)
    give(world, LETTERS.replace(needed, ""))
    client = await world.client()
    await client("SELECT INBOX")
    answer = await client(command)
    assert answer[-1].startswith("tag NO [NOPERM]"), answer
    (event,) = world.events
    assert (event.action, event.actor, event.subject) == ("refuse", ALICE, WARD)
    assert event.outcome == f"right-{needed}-missing"
    give(world, LETTERS)
    assert (await last(client, command)).startswith("tag OK")


@pytest.mark.parametrize(
    ("rights", "command", "allowed"),
    [
        ("rs", r"STORE 1 +FLAGS (\Seen)", True),
        ("rtw", r"STORE 1 +FLAGS (\Seen)", False),
        ("rt", r"STORE 1 +FLAGS (\Deleted)", True),
        ("rsw", r"STORE 1 +FLAGS (\Deleted)", False),
        ("rw", r"STORE 1 +FLAGS (\Flagged $Forwarded)", True),
        ("rst", r"STORE 1 +FLAGS (\Flagged)", False),
        ("rst", "STORE 1 +FLAGS ($Forwarded)", False),
        ("rw", "STORE 1 -FLAGS (word)", True),
        ("re", "EXPUNGE", True),
        ("rstw", "EXPUNGE", False),
        ("rte", "MOVE 1 INBOX", True),
        ("re", "MOVE 1 INBOX", False),
        ("rt", "MOVE 1 INBOX", False),
        ("r", "COPY 1 INBOX", True),
        ("r", "FETCH 1 BODY.PEEK[]", True),
    ],
)
async def test_changing_needs_its_own_right(world, rights, command, allowed):
    client = await opened(world, rights)
    answer = await last(client, command)
    assert answer.startswith("tag OK" if allowed else "tag NO [NOPERM]"), answer


async def test_renaming_takes_leave_of_the_old_name_and_to_make_the_new_one(world):
    await world.store.write(lambda tx: tx.create_mailbox(WARD, "Old"))
    client = await world.client()
    command = 'RENAME "Other Users/ward@example.org/Old" "Other Users/ward@example.org/New"'
    for rights, allowed in (("lrx", False), ("lrk", False), ("lrkx", True)):
        give(world, rights)
        assert (await last(client, command)).startswith("tag OK" if allowed else "tag NO [NOPERM]")


async def test_a_store_of_several_flags_changes_those_one_may(world):
    client = await opened(world, "rs")
    answer = await client(r"STORE 1 +FLAGS (\Seen \Flagged \Deleted word)")
    assert answer == [r"* 1 FETCH (FLAGS (\Seen \Recent))", "tag OK STORE completed"]


async def test_a_whole_set_replaced_leaves_alone_what_one_may_not_set(world):
    client = await opened(world, LETTERS)
    await client(r"STORE 1 FLAGS (\Flagged \Answered word)")
    give(world, "rs")
    answer = await client(r"STORE 1 FLAGS (\Seen)")
    assert answer[0] == r"* 1 FETCH (FLAGS (\Answered \Flagged \Seen \Recent word))"
    assert await last(client, r"STORE 1 FLAGS (\Draft)") == "tag OK STORE completed"


async def test_close_without_the_right_to_expunge_leaves_everything(world):
    client = await opened(world, LETTERS)
    await client(r"STORE 1 +FLAGS (\Deleted)")
    give(world, "rst")
    assert await last(client, "CLOSE") == "tag OK CLOSE completed"
    assert "* 1 EXISTS" in await client(f"EXAMINE {HERE}")


async def test_a_body_read_without_the_right_to_mark_it_stays_unseen(world):
    client = await opened(world, "rw")
    answer = await client("FETCH 1 BODY[]")
    assert answer[-1] == "tag OK FETCH completed"
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Recent))"


async def test_who_may_change_nothing_opens_read_only(world):
    give(world, "lr")
    client = await world.client()
    answer = await client(f"SELECT {HERE}")
    assert answer[-1] == "tag OK [READ-ONLY] SELECT completed"
    assert "* OK [PERMANENTFLAGS ()] Flags permitted" in answer
    assert (
        await last(client, r"STORE 1:* +FLAGS (\Seen)") == "tag NO [READ-ONLY] The mailbox is open read-only"
    )


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ("lrs", rb"\Seen"),
        ("lrt", rb"\Deleted"),
        ("lrw", rb"\Answered \Flagged \Draft \*"),
        ("lre", b""),
    ],
)
async def test_permanent_flags_are_those_one_may_change(world, rights, told):
    give(world, rights)
    client = await world.client()
    answer = await client(f"SELECT {HERE}")
    assert f"* OK [PERMANENTFLAGS ({told.decode()})] Flags permitted" in answer
    assert answer[-1] == "tag OK [READ-WRITE] SELECT completed"


async def test_flags_one_may_not_set_do_not_come_with_a_message(world):
    give(world, "lris")
    client = await world.client()
    message = b"APPEND " + HERE.encode() + rb" (\Seen \Flagged word) {17+}" + b"\r\nSubject: x\r\n\r\nabc"
    assert (await last(client, message)).startswith("tag OK")
    await world.file(M, flags=Flag.SEEN | Flag.FLAGGED)
    await client("SELECT INBOX")
    assert (await last(client, f"COPY 1 {HERE}")).startswith("tag OK")
    await client(f"SELECT {HERE}")
    answer = await client("FETCH 1:2 FLAGS")
    assert answer[:2] == [r"* 1 FETCH (FLAGS (\Seen \Recent))", r"* 2 FETCH (FLAGS (\Seen \Recent))"]


async def test_without_the_right_to_look_up_a_mailbox_is_not_listed(world):
    give(world, "r")
    client = await world.client()
    assert "ward" not in " ".join(await client('LIST "" *'))
    assert (await last(client, f"SELECT {HERE}")).startswith("tag OK")


# ── delegates ──


async def test_a_delegate_finds_the_holders_mailboxes_and_acts_as_themselves(world):
    give(world, "lrs", account=BOB)
    await world.file(M, account=BOB)
    client = await world.client()
    assert r'* LIST (\HasChildren) "/" "Other Users/bob@example.org"' in await client('LIST "Other Users/" *')
    assert "* 1 EXISTS" in await client('SELECT "Other Users/bob@example.org"')
    await client("FETCH 1 BODY[]")
    (event,) = world.events
    assert (event.action, event.actor, event.subject) == ("read", ALICE, BOB)


async def test_a_delegation_counts_from_its_beginning_to_its_end(world):
    now = int(time.time() * 1000)
    client = await world.client()
    for since, until, allowed in (
        (now + 60_000, None, False),
        (now - 60_000, now - 1, False),
        (now - 60_000, now + 60_000, True),
    ):
        give(world, "lr", account=BOB, since=since, until=until)
        answer = await last(client, 'SELECT "Other Users/bob@example.org"')
        assert answer.startswith("tag OK" if allowed else "tag NO [NONEXISTENT]")


async def test_the_mailbox_closes_under_whose_time_is_over(world, monkeypatch):
    give(world, "lr", account=BOB, until=int(time.time() * 1000) + 600_000)
    client = await world.client()
    await client('SELECT "Other Users/bob@example.org"')
    assert client.session.withdrawn() is None
    later = (time.time() + 601, time.time_ns() + 601 * 10**9)
    monkeypatch.setattr(time, "time", lambda: later[0])
    monkeypatch.setattr(time, "time_ns", lambda: later[1])
    assert client.session.withdrawn() is not None
    client.link.wake()
    said = await client.until(rb"^\* BYE")
    assert b"* OK [CLOSED]" in said


async def test_asking_for_somebody_elses_mailbox_is_in_the_trace(world):
    give(world, "")
    client = await world.client()
    assert await last(client, f"SELECT {HERE}") == "tag NO [NONEXISTENT] No such mailbox"
    assert [(e.action, e.actor, e.subject, e.outcome) for e in world.events] == [
        ("refuse", ALICE, WARD, "mailbox-not-yours")
    ]


# ── ACL commands ──


async def test_the_capability_names_the_new_rights(world):
    client = await world.client()
    words = (await client("CAPABILITY"))[0].split()
    assert {"ACL", "RIGHTS=texk"} <= set(words)


async def test_my_rights(world):
    give(world, "elr")
    client = await world.client()
    assert await client("MYRIGHTS INBOX") == [
        '* MYRIGHTS "INBOX" aeiklprstwxcd',
        "tag OK MYRIGHTS completed",
    ]
    assert (await client(f"MYRIGHTS {HERE}"))[0] == f"* MYRIGHTS {HERE} elrd"
    give(world, "s")
    assert await last(client, f"MYRIGHTS {HERE}") == "tag NO [NONEXISTENT] No such mailbox"


async def test_who_reads_is_told_to_who_may_know(world):
    world.book.change(
        WARD,
        members=(),
        grants=(Grant(ALICE, Role.MEMBER, LETTERS, 0), Grant(BOB, Role.MEMBER, "lr", 0)),
    )
    client = await world.client()
    assert (await client(f"GETACL {HERE}"))[0] == (
        f"* ACL {HERE} alice@example.org aeiklprstwxcd bob@example.org lr"
    )
    assert (await client('GETACL "Other Users/ward@example.org/Sent"'))[0].endswith("bob@example.org lr")
    assert (await client("GETACL INBOX"))[0] == '* ACL "INBOX" alice@example.org aeiklprstwxcd'


async def test_whose_time_is_over_is_told_no_more(world):
    give(world, "lr", account=ALICE, person=BOB, until=1)
    client = await world.client()
    assert (await client("GETACL INBOX"))[0] == '* ACL "INBOX" alice@example.org aeiklprstwxcd'


async def test_rights_that_can_be_given(world):
    client = await world.client()
    assert (await client("LISTRIGHTS INBOX bob@example.org"))[0] == (
        '* LISTRIGHTS "INBOX" bob@example.org "" a e i k l p r s t w x'
    )
    assert (await client("LISTRIGHTS INBOX alice@example.org"))[0] == (
        '* LISTRIGHTS "INBOX" alice@example.org aeiklprstwx'
    )


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        ("", "lr", "lr"),
        ("lr", "+s", "lrs"),
        ("lrs", "-s", "lr"),
        ("lrsw", "lr", "lr"),
        ("lr", "+d", "elrt"),
        ("lr", "+c", "klrx"),
        ("lr", '""', ""),
        ("lr", "-lr", ""),
    ],
)
async def test_setting_rights(world, before, given, after):
    sharing(world)
    give(world, before, account=ALICE, person=BOB)
    client = await world.client()
    assert await last(client, f"SETACL INBOX bob@example.org {given}") == "tag OK SETACL completed"
    grants = world.book.by_id(ALICE).grants
    assert "".join(each.rights for each in grants) == after


async def test_a_reader_is_taken_out(world):
    sharing(world)
    give(world, "lr", account=ALICE, person=BOB)
    client = await world.client()
    assert await last(client, "DELETEACL INBOX bob@example.org") == "tag OK DELETEACL completed"
    assert world.book.by_id(ALICE).grants == ()
    assert await last(client, "DELETEACL INBOX bob@example.org") == "tag OK DELETEACL completed"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("SETACL INBOX bob@example.org lrQ", "tag BAD"),
        ("SETACL INBOX bob@example.org", "tag BAD"),
        ("SETACL INBOX anyone lr", "tag NO [CANNOT]"),
        ("SETACL INBOX -bob@example.org lr", "tag NO [CANNOT]"),
        ("SETACL INBOX nobody@example.org lr", "tag NO [NONEXISTENT]"),
        ("SETACL INBOX alice@example.org lr", "tag NO [CANNOT]"),
        ("DELETEACL INBOX alice@example.org", "tag NO [CANNOT]"),
        ("SETACL Sent bob@example.org lr", "tag NO [CANNOT]"),
        ("SETACL Nowhere bob@example.org lr", "tag NO [NONEXISTENT]"),
    ],
)
async def test_what_cannot_be_set_is_refused_with_the_reason(world, command, answer):
    sharing(world)
    client = await world.client()
    assert (await last(client, command)).startswith(answer)
    assert world.book.by_id(ALICE).grants == ()


@pytest.mark.parametrize("command", ["LISTRIGHTS INBOX {}", "SETACL INBOX {} lr", "DELETEACL INBOX {}"])
async def test_acl_tells_nobody_who_is_a_patient(world, command):
    sharing(world)
    patient = AccountId("patientaaaaaaaaaaaaa")
    world.book.by[patient] = Account(patient, "patient@patient.example.org", Kind.PATIENT)
    client = await world.client()
    here, nobody = [
        await last(client, command.format(f"{name}@patient.example.org")) for name in ("patient", "personne")
    ]
    assert here == nobody == "tag NO [NONEXISTENT] Nobody here has this address"


async def test_a_reader_without_a_key_is_refused_in_words(world):
    sharing(world, refusing=True)
    client = await world.client()
    assert await last(client, "SETACL INBOX bob@example.org lr") == "tag NO [NOPERM] They have no key."


async def test_a_password_lets_nobody_new_in_but_may_shut_people_out(world):
    sharing(world)
    world.with_settings(sharing_by_password=False)
    give(world, "lrs", account=ALICE, person=BOB)
    client = await world.client()
    assert (await last(client, "SETACL INBOX bob@example.org +w")).startswith("tag NO [NOPERM]")
    assert world.events[-1].outcome == "sharing-needs-strong-login"
    assert await last(client, "SETACL INBOX bob@example.org -s") == "tag OK SETACL completed"
    client.session.identity = replace(client.session.person, acr=2)
    assert await last(client, "SETACL INBOX bob@example.org +w") == "tag OK SETACL completed"
    assert world.book.by_id(ALICE).grants[0].rights == "lrw"


# ── \Seen of each ──


async def test_each_reader_has_their_own_seen_where_the_ward_chose_so(world):
    world.book.change(WARD, seen_per_person=True)
    await world.file(M, account=WARD)
    alice, bob = await world.client(), await world.client("bob@example.org")
    await alice(f"SELECT {HERE}")
    await bob(f"SELECT {HERE}")
    assert (await alice(r"STORE 1 +FLAGS (\Seen \Flagged)"))[
        0
    ] == r"* 1 FETCH (FLAGS (\Flagged \Seen \Recent))"
    assert (await bob("NOOP"))[0] == r"* 1 FETCH (UID 1 FLAGS (\Flagged))"
    assert (await bob(f"STATUS {HERE} (UNSEEN)"))[0] == f"* STATUS {HERE} (UNSEEN 1)"
    assert (await alice(f"STATUS {HERE} (UNSEEN)"))[0] == f"* STATUS {HERE} (UNSEEN 0)"
    assert (await bob("SEARCH UNSEEN"))[0] == "* SEARCH 1"
    again = await world.client()
    await again(f"SELECT {HERE}")
    assert (await again("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Flagged \Seen))"
    assert (await again("SEARCH UNSEEN"))[0] == "* SEARCH"


async def test_what_one_saw_in_the_ward_is_seen_in_ones_own_copy(world):
    world.book.change(WARD, seen_per_person=True)
    await world.file(M, account=WARD)
    client = await world.client()
    await client(f"SELECT {HERE}")
    await client(r"STORE 1 +FLAGS (\Seen)")
    await client("COPY 1 Archive")
    await client("SELECT Archive")
    assert (await client("FETCH 1 FLAGS"))[0] == r"* 1 FETCH (FLAGS (\Seen \Recent))"


async def test_each_reader_subscribes_for_themselves_where_the_ward_chose_so(world):
    world.book.change(WARD, seen_per_person=True)
    alice, bob = await world.client(), await world.client("bob@example.org")
    await alice(f"UNSUBSCRIBE {HERE}")
    assert f'* LSUB () "/" {HERE}' not in await alice('LSUB "" *')
    assert f'* LSUB () "/" {HERE}' in await bob('LSUB "" *')
    await alice(f"SUBSCRIBE {HERE}")
    assert f'* LSUB () "/" {HERE}' in await alice('LSUB "" *')
