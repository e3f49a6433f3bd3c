"""Copies, moves, removals, re-seals: memberships, tombstones, references."""

from __future__ import annotations

import pytest

from mail_server.store.interface import NoSuchMessage, StoreError
from mail_server.store.model import Flag, Form, MessageId, SpecialUse, State, VerbatimContent


async def test_a_copy_is_one_more_membership_of_the_same_message(desk, big):
    filed = await desk.file(await desk.verbatim(big, flags=Flag.SEEN, keywords=frozenset({"$k"})))
    archive = await desk.box(SpecialUse.ARCHIVE)
    copied = await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1, 7], archive.id))
    assert (copied.uidvalidity, list(copied.source_uids), list(copied.target_uids)) == (
        archive.uidvalidity,
        [1],
        [1],
    )
    (there,) = await desk.store.read(lambda r: r.rows(archive.id, [1]))
    assert (there.message, there.email_id, there.flags, there.keywords) == (
        filed.message,
        filed.email_id,
        Flag.SEEN,
        {"$k"},
    )
    assert await desk.count("SELECT count(*) FROM message") == 1
    assert await desk.count("SELECT refcount FROM blob") == 1


async def test_the_last_mailbox_to_let_go_frees_the_message(desk, big):
    filed = await desk.file(await desk.verbatim(big))
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], archive.id))
    assert await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [1, 2])) == [1]
    assert await desk.store.read(lambda r: r.content(filed.message)) == big
    await desk.store.write(lambda tx: tx.expunge(archive.id, [1]))
    with pytest.raises(NoSuchMessage):
        await desk.store.read(lambda r: r.content(filed.message))
    destroyed = "SELECT destroyed FROM tombstone WHERE mailbox_id = ?"
    assert await desk.count(destroyed, filed.mailbox) == 0
    assert await desk.count(destroyed, archive.id) == 1


async def test_a_move_leaves_a_tombstone_behind(desk):
    filed = await desk.file(await desk.verbatim())
    trash = await desk.box(SpecialUse.TRASH)
    moved = await desk.store.write(lambda tx: tx.move(filed.mailbox, [1], trash.id))
    assert list(moved.target_uids) == [1]
    assert await desk.store.read(lambda r: r.memberships(filed.mailbox)) == []
    assert await desk.store.read(lambda r: r.vanished(filed.mailbox, filed.modseq)) == [1]
    (there,) = await desk.store.read(lambda r: r.memberships(trash.id))
    assert there.message == filed.message


async def test_vanished_names_what_was_known_and_went(desk):
    one = await desk.file(await desk.verbatim())
    two = await desk.file(await desk.verbatim())
    box = one.mailbox
    await desk.store.write(lambda tx: tx.expunge(box, [2]))
    highest = (await desk.inbox()).highestmodseq
    assert await desk.store.read(lambda r: r.vanished(box, two.modseq)) == [2]
    # Who last looked before it came never saw it.
    assert await desk.store.read(lambda r: r.vanished(box, one.modseq)) == []
    assert await desk.store.read(lambda r: r.vanished(box, highest)) == []


async def test_a_uid_is_never_given_twice(desk):
    filed = await desk.file(await desk.verbatim())
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [1]))
    again = await desk.file(await desk.verbatim())
    assert again.uid == 2
    assert again.message != filed.message


async def test_a_verbatim_message_copied_to_another_account_lies_under_its_key(desk, big):
    filed = await desk.file(await desk.verbatim(big, keywords=frozenset({"$k"}), flags=Flag.FLAGGED))
    target = await desk.inbox(desk.other)
    copied = await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], target.id))
    (row,) = await desk.store.read(lambda r: r.rows(target.id, copied.target_uids))
    assert row.message != filed.message
    assert (row.keywords, row.flags, row.rendered) == ({"$k"}, Flag.FLAGGED, desk.rendered())
    assert await desk.store.read(lambda r: r.content(row.message)) == big
    assert await desk.count("SELECT count(DISTINCT owner) FROM blob") == 2


async def test_a_sealed_message_copied_to_another_account_shares_the_body(desk, big):
    filed = await desk.file(await desk.split(big))
    target = await desk.inbox(desk.other)
    copied = await desk.store.write(lambda tx: tx.move(filed.mailbox, [1], target.id))
    (row,) = await desk.store.read(lambda r: r.rows(target.id, copied.target_uids))
    assert row.form is Form.SPLIT
    assert await desk.store.read(lambda r: r.key_packets(row.message)) == b"key"
    assert (await desk.store.read(lambda r: r.content(row.message))).startswith(b"head\r\n")
    assert await desk.count("SELECT refcount FROM blob") == 1


async def test_what_was_one_thread_is_one_thread_in_the_other_account(desk):
    one = await desk.file(await desk.verbatim(message_ids=(b"<1@x>",)))
    await desk.file(await desk.verbatim(message_ids=(b"<2@x>", b"<1@x>")))
    await desk.file(await desk.verbatim(message_ids=(b"<9@x>",)))
    target = await desk.inbox(desk.other)
    await desk.store.write(lambda tx: tx.copy(one.mailbox, [1, 2, 3], target.id))
    threads = [row.thread_id for row in await desk.store.read(lambda r: r.rows(target.id, [1, 2, 3]))]
    assert threads[0] == threads[1] != threads[2]
    assert one.thread_id not in threads


async def test_copying_nothing_is_no_change(desk):
    inbox, trash = await desk.inbox(), await desk.box(SpecialUse.TRASH)
    copied = await desk.store.write(lambda tx: tx.copy(inbox.id, [5], trash.id))
    assert (list(copied.source_uids), list(copied.target_uids)) == ([], [])
    assert await desk.store.write(lambda tx: tx.expunge(inbox.id, [5])) == []
    assert await desk.inbox() == inbox


async def test_a_reseal_destroys_and_creates_in_every_mailbox_at_once(desk, big):
    old = await desk.file(
        await desk.verbatim(message_ids=(b"<1@x>",), flags=Flag.SEEN, keywords=frozenset({"$k"}), savedate=42)
    )
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(old.mailbox, [1], archive.id))
    new = await desk.split(big, received_at=1, tag="abcd")
    filed = await desk.store.write(lambda tx: tx.replace(old.message, new))
    assert {(one.mailbox, one.uid) for one in filed} == {(old.mailbox, 2), (archive.id, 2)}
    assert len({(one.message, one.email_id, one.modseq) for one in filed}) == 1
    (row,) = await desk.store.read(lambda r: r.rows(old.mailbox, [2]))
    assert row.email_id != old.email_id
    assert (row.thread_id, row.received_at, row.savedate) == (old.thread_id, 1_700_000_000_000, 42)
    assert (row.flags, row.keywords, row.state, row.form) == (Flag.SEEN, {"$k"}, State.SEALED, Form.SPLIT)
    assert await desk.store.read(lambda r: r.vanished(old.mailbox, old.modseq)) == [1]
    assert await desk.count("SELECT count(*) FROM message") == 1
    assert await desk.count("SELECT count(*) FROM blob") == 1
    later = await desk.file(await desk.verbatim(message_ids=(b"<2@x>", b"<1@x>")))
    assert later.thread_id == old.thread_id


async def test_key_packets_change_without_touching_the_body(desk, big):
    old = await desk.file(await desk.split(big))
    body = await desk.store.read(lambda r: r.stored_body(old.message))
    new = await desk.split(body, key_packets=b"other")
    (filed,) = await desk.store.write(lambda tx: tx.replace(old.message, new))
    assert await desk.store.read(lambda r: r.key_packets(filed.message)) == b"other"
    assert await desk.count("SELECT refcount FROM blob") == 1
    assert await desk.count("SELECT count(*) FROM segment WHERE garbage > 0") == 0


async def test_a_message_is_replaced_only_within_its_account(desk):
    old = await desk.file(await desk.verbatim())
    new = await desk.verbatim(account=desk.other)
    with pytest.raises(StoreError):
        await desk.store.write(lambda tx: tx.replace(old.message, new))
    with pytest.raises(NoSuchMessage):
        await desk.store.write(lambda tx: tx.replace(MessageId(4711), new))


async def test_messages_in_a_state_are_walked_in_order(desk):
    filed = []
    for state in (State.WAITING, State.SEALED, State.CUSTODY, State.WAITING, State.KEPT):
        blob = await desk.store.stage(desk.account, b"x", compress=False)
        filed.append((await desk.file(desk.new(VerbatimContent(blob), state=state))).message)

    async def walk(states, after, limit):
        return await desk.store.read(
            lambda r: r.messages_in_state(desk.account, states, MessageId(after), limit)
        )

    assert await walk([State.WAITING, State.CUSTODY], 0, 2) == [filed[0], filed[2]]
    assert await walk([State.WAITING, State.CUSTODY], filed[2], 9) == [filed[3]]
    assert await walk([State.SEALED], 0, 9) == [filed[1]]


async def test_the_origin_tells_what_a_reseal_needs(desk):
    filed = await desk.file(await desk.split(b"x", tag="abcd", message_ids=(b"<1@x>",), size=33))
    origin = await desk.store.read(lambda r: r.message_origin(filed.message))
    assert (origin.account, origin.email_id, origin.thread_id) == (
        desk.account,
        filed.email_id,
        filed.thread_id,
    )
    assert (origin.tag, origin.form, origin.state, origin.size) == ("abcd", Form.SPLIT, State.SEALED, 33)
