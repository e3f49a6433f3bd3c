"""Mailboxes, flags and change numbers as IMAP (CONDSTORE, QRESYNC) needs them."""

from __future__ import annotations

import pytest

from mail_server.store.interface import MailboxExists, MailboxProtected, NoSuchMailbox, StoreError
from mail_server.store.model import Flag, FlagChange, SpecialUse


async def names(desk):
    return {box.name for box in await desk.store.read(lambda r: r.mailboxes(desk.account))}


async def test_a_mailbox_is_made_found_by_name_and_deleted(desk):
    made = await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "Été/Comptes rendus"))
    assert made == await desk.store.read(lambda r: r.mailbox_by_name(desk.account, "Été/Comptes rendus"))
    await desk.store.write(lambda tx: tx.delete_mailbox(made.id))
    with pytest.raises(NoSuchMailbox):
        await desk.store.read(lambda r: r.mailbox(made.id))


async def test_inbox_is_found_in_any_case(desk):
    inbox = await desk.inbox()
    assert await desk.store.read(lambda r: r.mailbox_by_name(desk.account, "inBox")) == inbox


async def test_a_name_exists_once(desk):
    for name in ("Sent", "inbox"):
        with pytest.raises(MailboxExists):
            await desk.store.write(lambda tx, name=name: tx.create_mailbox(desk.account, name))
    # Composed and decomposed spellings are one name.
    await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "\u00e9"))
    with pytest.raises(MailboxExists):
        await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "e\u0301"))


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "a\x00b", "a\r\nb", "x" * 1001])
async def test_what_is_no_name_is_refused(desk, name):
    with pytest.raises(StoreError):
        await desk.store.write(lambda tx: tx.create_mailbox(desk.account, name))


async def test_inbox_and_special_mailboxes_stay(desk):
    inbox, trash = await desk.inbox(), await desk.box(SpecialUse.TRASH)
    with pytest.raises(MailboxProtected):
        await desk.store.write(lambda tx: tx.rename_mailbox(inbox.id, "Other"))
    for box in (inbox, trash):
        with pytest.raises(MailboxProtected):
            await desk.store.write(lambda tx, box=box: tx.delete_mailbox(box.id))


async def test_renaming_takes_inferior_names_along(desk):
    for name in ("a", "a/b", "a/b/c", "ab"):
        await desk.store.write(lambda tx, name=name: tx.create_mailbox(desk.account, name))
    a = await desk.store.read(lambda r: r.mailbox_by_name(desk.account, "a"))
    await desk.store.write(lambda tx: tx.rename_mailbox(a.id, "z"))
    assert {"z", "z/b", "z/b/c", "ab"} <= await names(desk)
    assert not {"a", "a/b", "a/b/c"} & await names(desk)
    await desk.store.write(lambda tx: tx.rename_mailbox(a.id, "z/b"))
    assert {"z/b", "z/b/b", "z/b/b/c"} <= await names(desk)
    with pytest.raises(MailboxExists):
        await desk.store.write(lambda tx: tx.rename_mailbox(a.id, "ab"))
    await desk.store.write(lambda tx: tx.rename_mailbox(a.id, "z/b"))


async def test_a_name_made_again_has_another_uidvalidity(desk):
    one = await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "x"))
    await desk.store.write(lambda tx: tx.delete_mailbox(one.id))
    two = await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "x"))
    assert two.uidvalidity > one.uidvalidity
    assert two.object_id != one.object_id


async def test_deleting_a_mailbox_frees_its_messages(desk, big):
    box = await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "x"))
    await desk.file(await desk.verbatim(big, mailbox=box.id))
    await desk.store.write(lambda tx: tx.delete_mailbox(box.id))
    assert await desk.count("SELECT count(*) FROM message") == 0
    assert await desk.count("SELECT count(*) FROM blob") == 0


async def test_subscription_is_kept(desk):
    inbox = await desk.inbox()
    await desk.store.write(lambda tx: tx.subscribe(inbox.id, False))
    assert not (await desk.inbox()).subscribed


async def test_recent_is_claimed_once(desk):
    filed = await desk.file(await desk.verbatim())
    await desk.file(await desk.verbatim())
    counts = await desk.store.read(lambda r: r.counts(filed.mailbox))
    assert (counts.messages, counts.unseen, counts.recent) == (2, 2, 2)
    assert await desk.store.write(lambda tx: tx.claim_recent(filed.mailbox)) == 1
    assert await desk.store.write(lambda tx: tx.claim_recent(filed.mailbox)) == 3
    assert (await desk.store.read(lambda r: r.counts(filed.mailbox))).recent == 0


async def test_counts_add_up(desk):
    filed = await desk.file(await desk.verbatim(size=10, flags=Flag.SEEN))
    await desk.file(await desk.verbatim(size=5, flags=Flag.DELETED))
    counts = await desk.store.read(lambda r: r.counts(filed.mailbox))
    assert (counts.messages, counts.unseen, counts.deleted, counts.size) == (2, 1, 1, 15)


async def flags_of(desk, mailbox):
    return {
        one.uid: (one.flags, one.keywords) for one in await desk.store.read(lambda r: r.memberships(mailbox))
    }


async def store_flags(desk, mailbox, uids, change, flags=Flag.NONE, keywords=frozenset(), since=None):
    return await desk.store.write(
        lambda tx: tx.set_flags(mailbox, uids, change, flags, frozenset(keywords), since)
    )


async def test_flags_are_added_removed_replaced(desk):
    for flags in (Flag.NONE, Flag.SEEN, Flag.DRAFT):
        filed = await desk.file(await desk.verbatim(flags=flags))
    box = filed.mailbox
    await store_flags(desk, box, [1, 2, 3], FlagChange.ADD, Flag.FLAGGED, {"$Work"})
    assert await flags_of(desk, box) == {
        1: (Flag.FLAGGED, {"$Work"}),
        2: (Flag.FLAGGED | Flag.SEEN, {"$Work"}),
        3: (Flag.FLAGGED | Flag.DRAFT, {"$Work"}),
    }
    await store_flags(desk, box, [1, 3], FlagChange.REMOVE, Flag.FLAGGED, {"$Work", "$None"})
    await store_flags(desk, box, [2], FlagChange.REPLACE, Flag.ANSWERED, {"é"})
    assert await flags_of(desk, box) == {
        1: (Flag.NONE, frozenset()),
        2: (Flag.ANSWERED, {"é"}),
        3: (Flag.DRAFT, frozenset()),
    }


async def test_a_change_takes_one_modseq_and_tells_what_it_did(desk):
    for _ in range(3):
        filed = await desk.file(await desk.verbatim())
    outcome = await store_flags(desk, filed.mailbox, [1, 3, 99], FlagChange.ADD, Flag.SEEN)
    assert [(one.uid, one.flags, one.modseq) for one in outcome.changed] == [
        (1, Flag.SEEN, filed.modseq + 1),
        (3, Flag.SEEN, filed.modseq + 1),
    ]
    assert (await desk.inbox()).highestmodseq == filed.modseq + 1
    changed = await desk.store.read(lambda r: r.memberships(filed.mailbox, filed.modseq))
    assert [one.uid for one in changed] == [1, 3]


async def test_a_change_that_changes_nothing_takes_no_modseq(desk):
    filed = await desk.file(await desk.verbatim(flags=Flag.SEEN))
    outcome = await store_flags(desk, filed.mailbox, [1], FlagChange.ADD, Flag.SEEN)
    assert [one.modseq for one in outcome.changed] == [filed.modseq]
    assert (await desk.inbox()).highestmodseq == filed.modseq


async def test_unchanged_since_leaves_alone_what_moved_on(desk):
    one = await desk.file(await desk.verbatim())
    two = await desk.file(await desk.verbatim())
    outcome = await store_flags(desk, one.mailbox, [1, 2], FlagChange.ADD, Flag.DELETED, since=one.modseq)
    assert [member.uid for member in outcome.changed] == [1]
    assert list(outcome.modified) == [two.uid]
    assert (await flags_of(desk, one.mailbox))[2] == (Flag.NONE, frozenset())


async def test_cached_rows_follow_a_flag_change(desk):
    filed = await desk.file(await desk.verbatim())
    for flag in (Flag.SEEN, Flag.FLAGGED):
        await desk.store.read(lambda r: r.rows(filed.mailbox, [1]))
        await store_flags(desk, filed.mailbox, [1], FlagChange.REPLACE, flag)
        (row,) = await desk.store.read(lambda r: r.rows(filed.mailbox, [1]))
        assert row.flags == flag


async def test_rows_read_in_a_transaction_that_fails_are_not_remembered(desk):
    filed = await desk.file(await desk.verbatim())

    def fails(tx):
        tx.set_flags(filed.mailbox, [1], FlagChange.ADD, Flag.DELETED, frozenset())
        assert tx.rows(filed.mailbox, [1])[0].flags == Flag.DELETED
        raise LookupError

    with pytest.raises(LookupError):
        await desk.store.write(fails)
    # The next change takes the very modseq that the failed one had.
    await store_flags(desk, filed.mailbox, [1], FlagChange.ADD, Flag.SEEN)
    (row,) = await desk.store.read(lambda r: r.rows(filed.mailbox, [1]))
    assert row.flags == Flag.SEEN


async def test_many_distinct_flags_in_a_thousand_messages_change_at_once(desk):
    message = await desk.split(b"x")

    def fill(tx):
        return [tx.file(message) for _ in range(300)]

    filed = await desk.store.write(fill)
    box = filed[0].mailbox
    await store_flags(desk, box, range(1, 301, 3), FlagChange.ADD, Flag.SEEN)
    await store_flags(desk, box, range(1, 301), FlagChange.ADD, Flag.FLAGGED)
    found = await flags_of(desk, box)
    assert sum(flags == Flag.SEEN | Flag.FLAGGED for flags, _ in found.values()) == 100
    assert sum(flags == Flag.FLAGGED for flags, _ in found.values()) == 200


async def test_a_listing_is_the_same_whatever_part_of_it_is_in_memory(desk):
    filed = [await desk.file(await desk.verbatim(received_at=number)) for number in range(12)]
    box = filed[0].mailbox

    async def listed(uids):
        return await desk.store.read(lambda r: [(row.uid, row.flags) for row in r.rows(box, uids)])

    assert await listed([5, 3, 4, 4, 99]) == [(3, Flag.NONE), (4, Flag.NONE), (5, Flag.NONE)]
    await desk.store.write(lambda tx: tx.set_flags(box, [4, 9], FlagChange.ADD, Flag.SEEN, frozenset()))
    await desk.store.write(lambda tx: tx.expunge(box, [5]))
    expected = [(uid, Flag.SEEN if uid in (4, 9) else Flag.NONE) for uid in range(1, 13) if uid != 5]
    for _ in range(2):
        assert await listed(range(1, 13)) == expected
        assert await listed([12, 1, 7]) == [(1, Flag.NONE), (7, Flag.NONE), (12, Flag.NONE)]


async def test_a_row_in_a_message_of_an_error_shows_nothing_of_the_letter(desk):
    filed = await desk.file(await desk.verbatim(rendered=desk.rendered(b"SECRET")))
    (row,) = await desk.store.read(lambda r: r.rows(filed.mailbox, [1]))
    (email,) = await desk.store.read(lambda r: r.emails(desk.account, [filed.email_id]))
    assert b"SECRET" in row.rendered.header
    for shown in (row, row.rendered, email):
        assert "SECRET" not in f"{shown!r}{shown}"
