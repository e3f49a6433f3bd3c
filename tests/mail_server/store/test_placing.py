"""One set of mailboxes and one set of keywords for a message, as IMAP then sees it."""

from __future__ import annotations

import pytest

from mail_server.store.identifiers import new_id
from mail_server.store.interface import NoSuchMailbox, NoSuchMessage
from mail_server.store.model import Flag, MailboxId, SpecialUse


@pytest.fixture
async def boxes(desk):
    return {use: (await desk.box(use)).id for use in SpecialUse}


@pytest.fixture
def place(desk, boxes):
    async def placing(filed, *uses, flags=Flag.NONE, keywords=()):
        mailboxes = frozenset(boxes[use] for use in uses)
        await desk.store.write(
            lambda tx: tx.place(filed.account, filed.email_id, mailboxes, flags, frozenset(keywords))
        )

    return placing


async def members(desk, mailbox):
    return await desk.store.read(lambda r: r.memberships(mailbox))


INBOX, ARCHIVE, TRASH = SpecialUse.INBOX, SpecialUse.ARCHIVE, SpecialUse.TRASH


async def test_keywords_are_written_to_every_place_at_once(desk, boxes, place):
    filed = await desk.file(await desk.verbatim(flags=Flag.FLAGGED))
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], boxes[ARCHIVE]))
    await place(filed, INBOX, ARCHIVE, flags=Flag.SEEN, keywords={"$k"})
    (here,) = await members(desk, boxes[INBOX])
    (there,) = await members(desk, boxes[ARCHIVE])
    assert (here.flags, here.keywords) == (there.flags, there.keywords) == (Flag.SEEN, {"$k"})
    assert here.modseq == there.modseq == (await desk.inbox()).highestmodseq
    assert here.modseq == await desk.store.read(lambda r: r.modseq(desk.account))


async def test_deleted_stays_as_each_place_has_it(desk, boxes, place):
    filed = await desk.file(await desk.verbatim(flags=Flag.DELETED))
    await place(filed, INBOX, ARCHIVE, flags=Flag.SEEN | Flag.DELETED)
    (here,) = await members(desk, boxes[INBOX])
    (there,) = await members(desk, boxes[ARCHIVE])
    assert (here.flags, there.flags) == (Flag.SEEN | Flag.DELETED, Flag.SEEN)


async def test_a_mailbox_left_keeps_a_tombstone_and_one_joined_gives_a_new_uid(desk, boxes, place):
    other = await desk.file(await desk.verbatim(mailbox=TRASH))
    filed = await desk.file(await desk.verbatim(received_at=33, size=44))
    await place(filed, TRASH)
    assert await members(desk, boxes[INBOX]) == []
    assert await desk.store.read(lambda r: r.vanished(boxes[INBOX], filed.modseq)) == [1]
    _, joined = await members(desk, boxes[TRASH])
    assert (joined.uid, joined.message) == (other.uid + 1, filed.message)
    (row,) = await desk.store.read(lambda r: r.rows(boxes[TRASH], [2]))
    assert (row.received_at, row.size, row.email_id) == (33, 44, filed.email_id)
    gone = (await desk.inbox()).highestmodseq
    assert gone == joined.modseq == (await desk.box(TRASH)).highestmodseq


async def test_a_place_that_stays_the_same_is_not_touched(desk, boxes, place):
    filed = await desk.file(await desk.verbatim(flags=Flag.SEEN))
    await place(filed, INBOX, ARCHIVE, flags=Flag.SEEN)
    (here,) = await members(desk, boxes[INBOX])
    assert here.modseq == filed.modseq


async def test_to_set_what_is_is_no_change(desk, place):
    filed = await desk.file(await desk.verbatim(flags=Flag.SEEN, keywords=frozenset({"$k"})))
    before = await desk.store.read(lambda r: r.modseq(desk.account))
    await place(filed, INBOX, flags=Flag.SEEN, keywords={"$k"})
    assert await desk.store.read(lambda r: r.modseq(desk.account)) == before


async def test_a_keyword_stays_as_it_was_first_spelled(desk, boxes, place):
    filed = await desk.file(await desk.verbatim(keywords=frozenset({"$Forwarded", "Urgent"})))
    await place(filed, INBOX, keywords={"$forwarded", "$new"})
    (here,) = await members(desk, boxes[INBOX])
    assert here.keywords == {"$Forwarded", "$new"}
    await place(filed, INBOX, keywords={"$forwarded", "$NEW"})
    assert await members(desk, boxes[INBOX]) == [here]


async def test_no_mailbox_destroys_the_message(desk, boxes, place, big):
    filed = await desk.file(await desk.verbatim(big))
    await place(filed, INBOX, ARCHIVE)
    await place(filed)
    assert await desk.count("SELECT count(*) FROM message") == 0
    assert await desk.count("SELECT count(*) FROM blob") == 0
    assert await desk.count("SELECT sum(destroyed) FROM tombstone") >= 1
    assert desk.store.used(desk.account) == 0
    assert await desk.store.read(lambda r: r.vanished(boxes[INBOX], filed.modseq)) == [1]
    with pytest.raises(NoSuchMessage):
        await place(filed, INBOX)


async def test_every_copy_within_one_mailbox_is_set_or_leaves(desk, boxes, place):
    filed = await desk.file(await desk.verbatim())
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], filed.mailbox))
    await place(filed, INBOX, flags=Flag.SEEN)
    assert [one.flags for one in await members(desk, boxes[INBOX])] == [Flag.SEEN, Flag.SEEN]
    await place(filed, TRASH)
    assert await members(desk, boxes[INBOX]) == []
    assert await desk.store.read(lambda r: r.vanished(boxes[INBOX], filed.modseq)) == [1]  # 2 came after
    assert len(await members(desk, boxes[TRASH])) == 1


async def test_only_own_messages_and_own_mailboxes(desk, boxes):
    filed = await desk.file(await desk.verbatim())
    foreign = (await desk.inbox(desk.other)).id

    async def placing(account, email_id, mailbox):
        await desk.store.write(
            lambda tx: tx.place(account, email_id, frozenset({mailbox}), Flag.NONE, frozenset())
        )

    with pytest.raises(NoSuchMessage):
        await placing(desk.other, filed.email_id, foreign)
    for mailbox in (foreign, MailboxId(4711)):
        with pytest.raises(NoSuchMailbox):
            await placing(desk.account, filed.email_id, mailbox)
    for email_id in (new_id("M"), "M\0", ""):
        with pytest.raises(NoSuchMessage):
            await placing(desk.account, email_id, boxes[TRASH])
    (here,) = await members(desk, boxes[INBOX])
    assert here.modseq == filed.modseq
