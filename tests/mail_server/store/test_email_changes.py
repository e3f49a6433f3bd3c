"""What happened between two states of an account: told once, whole, in pieces of any size."""

from __future__ import annotations

import random

import pytest

from mail_server.store.backup import backup_store
from mail_server.store.check import check_store
from mail_server.store.findings import Fault
from mail_server.store.model import Flag, FlagChange, SpecialUse
from mail_server.store.restore import restore_store
from mail_server.store.store import LocalStore


@pytest.fixture
def changes(desk):
    async def asking(since, limit=100, threads=False):
        told = await desk.store.read(
            lambda r: (r.thread_changes if threads else r.email_changes)(desk.account, since, limit)
        )
        return set(told.created), set(told.updated), set(told.destroyed), told.upto, told.more

    return asking


async def now(desk):
    return await desk.store.read(lambda r: r.modseq(desk.account))


async def test_what_came_is_created(desk, changes):
    start = await now(desk)
    one, two = [await desk.file(await desk.verbatim()) for _ in range(2)]
    assert await changes(start) == ({one.email_id, two.email_id}, set(), set(), two.modseq, False)
    assert await changes(one.modseq) == ({two.email_id}, set(), set(), two.modseq, False)
    assert await changes(two.modseq) == (set(), set(), set(), two.modseq, False)


async def test_flags_copies_and_moves_are_updates(desk, changes):
    filed = await desk.file(await desk.verbatim())
    archive = await desk.box(SpecialUse.ARCHIVE)
    updated = (set(), {filed.email_id}, set())
    since = filed.modseq
    await desk.store.write(
        lambda tx: tx.set_flags(filed.mailbox, [1], FlagChange.ADD, Flag.SEEN, frozenset())
    )
    assert (await changes(since))[:3] == updated
    since = await now(desk)
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], archive.id))
    assert (await changes(since))[:3] == updated
    since = await now(desk)
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [1]))
    assert (await changes(since))[:3] == updated  # it left one mailbox and is in another
    since = await now(desk)
    await desk.store.write(lambda tx: tx.move(archive.id, [1], filed.mailbox))
    assert (await changes(since))[:3] == updated
    since = await now(desk)
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [2]))
    assert (await changes(since))[:3] == (set(), set(), {filed.email_id})
    # Who asks from before it came never hears of it.
    assert (await changes(filed.modseq - 1))[:3] == (set(), set(), set())
    assert (await changes(filed.modseq))[:3] == (set(), set(), {filed.email_id})


async def test_a_reseal_destroys_and_creates(desk, changes):
    old = await desk.file(await desk.verbatim(message_ids=(b"<1@x>",)))
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(old.mailbox, [1], archive.id))
    since = await now(desk)
    new = await desk.split()
    filed = await desk.store.write(lambda tx: tx.replace(old.message, new))
    assert (await changes(since))[:3] == ({filed[0].email_id}, set(), {old.email_id})
    assert (await changes(since, threads=True))[:3] == (set(), {old.thread_id}, set())


async def test_a_deleted_mailbox_takes_its_messages_along(desk, changes):
    made = await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "Box"))
    filed = await desk.file(await desk.verbatim(mailbox=made.id))
    since = await now(desk)
    await desk.store.write(lambda tx: tx.delete_mailbox(made.id))
    assert (await changes(since))[:3] == (set(), set(), {filed.email_id})


async def test_nothing_of_another_account_is_told(desk, changes):
    since = await now(desk)
    filed = await desk.file(await desk.verbatim(account=desk.other))
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [1]))
    assert await changes(since) == (set(), set(), set(), since, False)


async def test_a_thread_changes_when_an_email_joins_or_leaves_it(desk, changes):
    start = await now(desk)
    one = await desk.file(await desk.verbatim(message_ids=(b"<1@x>",)))
    thread = {one.thread_id}
    assert (await changes(start, threads=True))[:3] == (thread, set(), set())
    await desk.store.write(lambda tx: tx.set_flags(one.mailbox, [1], FlagChange.ADD, Flag.SEEN, frozenset()))
    assert (await changes(one.modseq, threads=True))[:3] == (set(), set(), set())
    two = await desk.file(await desk.verbatim(message_ids=(b"<2@x>", b"<1@x>")))
    assert (await changes(one.modseq, threads=True))[:3] == (set(), thread, set())
    await desk.store.write(lambda tx: tx.expunge(one.mailbox, [1]))
    assert (await changes(two.modseq, threads=True))[:3] == (set(), thread, set())
    left = await now(desk)
    await desk.store.write(lambda tx: tx.expunge(one.mailbox, [2]))
    assert (await changes(left, threads=True))[:3] == (set(), set(), thread)
    assert (await changes(start, threads=True))[:3] == (set(), set(), set())
    empty = await now(desk)
    await desk.file(await desk.verbatim(message_ids=(b"<3@x>", b"<1@x>")))
    assert (await changes(empty, threads=True))[:3] == (thread, set(), set())


async def test_one_change_larger_than_the_limit_cannot_be_cut(desk, changes):
    uids = [(await desk.file(await desk.verbatim())).uid for _ in range(5)]
    box, since = (await desk.inbox()).id, await now(desk)
    await desk.store.write(lambda tx: tx.set_flags(box, uids, FlagChange.ADD, Flag.SEEN, frozenset()))
    assert await changes(since, 4) == (set(), set(), set(), since, True)
    assert len((await changes(since, 5))[1]) == 5


async def test_a_state_from_the_future_or_too_long_ago_is_not_told(desk, changes, monkeypatch):
    start = await now(desk)
    for _ in range(4):
        await desk.file(await desk.verbatim())
    assert await changes(start + 100) == (set(), set(), set(), start + 100, True)
    monkeypatch.setattr("mail_server.store.changes._MOST", 3)
    assert await changes(start) == (set(), set(), set(), start, True)
    assert len((await changes(start + 1))[0]) == 3


async def test_a_restore_tells_nothing_of_before(desk, tmp_path, make_postgresql_database):
    await desk.file(await desk.verbatim())
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")
    known = await now(desk)
    lost = await desk.file(await desk.verbatim())
    settings = desk.settings
    if settings.is_postgresql():
        settings = settings.model_copy(update={"database": make_postgresql_database()})
    restore_store(settings, tmp_path / "new", tmp_path / "b")
    store = LocalStore(settings, tmp_path / "new", desk.keys)
    await store.start()
    state = await store.read(lambda r: r.modseq(desk.account))
    assert state > lost.modseq
    for since in (known, lost.modseq):
        told = await store.read(lambda r, since=since: r.email_changes(desk.account, since, 100))
        assert (told.upto, told.more) == (since, True)
    told = await store.read(lambda r: r.email_changes(desk.account, state, 100))
    assert (told.upto, told.more) == (state, False)
    await store.stop()


class Client:
    """Holds what a mail program would: the ids it was told, by small pieces."""

    def __init__(self, threads: bool, since: int) -> None:
        self.threads, self.since = threads, since
        self.known: set[str] = set()
        self.touched: set[str] = set()

    async def sync(self, desk, limit):
        while True:
            told = await desk.store.read(
                lambda r: (r.thread_changes if self.threads else r.email_changes)(
                    desk.account, self.since, limit
                )
            )
            assert not (told.more and told.upto == self.since)
            assert len(told.created) + len(told.updated) + len(told.destroyed) <= limit
            assert not self.known & set(told.created)
            assert set(told.updated) <= self.known
            self.known |= set(told.created)
            self.known -= set(told.destroyed)
            self.touched |= set(told.updated)
            self.since = told.upto
            if not told.more:
                return


@pytest.mark.parametrize("seed", range(4))
async def test_clients_that_sync_by_pieces_end_where_the_account_is(desk, seed):
    """Random changes; some clients sync now and then, some hardly, each with a limit of its own."""
    chance = random.Random(seed)
    boxes = [(await desk.box(use)).id for use in (SpecialUse.INBOX, SpecialUse.ARCHIVE, SpecialUse.TRASH)]
    start = await now(desk)
    clients = [(Client(threads, start), limit) for threads in (False, True) for limit in (4, 7, 50)]

    async def truth(threads):
        column = "thread_id" if threads else "email_id"
        statement = f"SELECT DISTINCT {column} FROM message WHERE account_id = ?"
        return {row[0] for row in await desk.store.read(lambda r: r.sql.all(statement, (desk.account,)))}

    for step in range(120):
        box, target = chance.sample(boxes, 2)
        members = await desk.store.read(lambda r, box=box: r.memberships(box))
        chosen = chance.sample(members, min(len(members), chance.randrange(1, 4)))
        uids = [one.uid for one in chosen]
        action = chance.choice(["file", "file", "flag", "copy", "move", "expunge", "reseal", "place"])
        if action == "file":
            conversation = b"<%d@x>" % chance.randrange(8)
            letter = await desk.verbatim(mailbox=box, message_ids=(b"<own-%d@x>" % step, conversation))
            await desk.file(letter)
        elif action == "flag":
            flag = Flag(chance.randrange(8))
            await desk.store.write(
                lambda tx, b=box, u=uids, f=flag: tx.set_flags(b, u, FlagChange.REPLACE, f, frozenset())
            )
        elif action == "copy":
            await desk.store.write(lambda tx, b=box, u=uids, t=target: tx.copy(b, u, t))
        elif action == "move":
            await desk.store.write(lambda tx, b=box, u=uids, t=target: tx.move(b, u, t))
        elif action == "expunge":
            await desk.store.write(lambda tx, b=box, u=uids: tx.expunge(b, u))
        elif chosen and action == "reseal":
            new = await desk.split()
            await desk.store.write(lambda tx, m=chosen[0].message, n=new: tx.replace(m, n))
        elif chosen:
            (row,) = await desk.store.read(lambda r, b=box, u=uids[:1]: r.rows(b, u))
            where = frozenset(chance.sample(boxes, chance.randrange(3)))
            await desk.store.write(
                lambda tx, i=row.email_id, w=where: tx.place(desk.account, i, w, Flag.SEEN, frozenset())
            )
        for number, (client, limit) in enumerate(clients):
            if chance.random() < (0.4, 0.1, 0.02)[number % 3]:
                await client.sync(desk, limit)
                assert client.known == await truth(client.threads)
    for client, limit in clients:
        await client.sync(desk, limit)
        assert client.known == await truth(client.threads)
    faults = {one.fault for one in check_store(desk.settings, desk.home, desk.keys)}
    assert faults <= {Fault.SIZE}  # the test's sizes are not true
