"""Laying messages down and reading them back."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.store.interface import (
    AlreadyFiled,
    NoSpace,
    NoSuchAccount,
    NoSuchMailbox,
    StoreError,
    TagTaken,
)
from mail_server.store.model import AccountId, Flag, MailboxId, SpecialUse, State, VerbatimContent

DAY = 24 * 3600 * 1000


async def test_a_new_account_has_its_six_mailboxes(desk):
    boxes = await desk.store.read(lambda reader: reader.mailboxes(desk.account))
    assert [(box.name, box.special_use) for box in boxes] == [
        ("INBOX", SpecialUse.INBOX),
        ("Drafts", SpecialUse.DRAFTS),
        ("Sent", SpecialUse.SENT),
        ("Trash", SpecialUse.TRASH),
        ("Junk", SpecialUse.JUNK),
        ("Archive", SpecialUse.ARCHIVE),
    ]
    assert all(box.uidnext == 1 and box.subscribed for box in boxes)


async def test_opening_an_account_twice_changes_nothing(desk):
    before = await desk.inbox()
    await desk.store.write(lambda tx: tx.open_account(desk.account))
    assert await desk.inbox() == before


@pytest.mark.parametrize("length", [0, 10, 900, 5000, 200_000])
async def test_a_verbatim_message_comes_back_byte_for_byte(desk, length):
    data = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    filed = await desk.file(await desk.verbatim(data))
    assert await desk.store.read(lambda reader: reader.content(filed.message)) == data
    assert await desk.store.read(lambda reader: reader.key_packets(filed.message)) == b""


async def test_a_split_message_is_head_armor_tail(desk, big):
    filed = await desk.file(await desk.split(big))
    content = await desk.store.read(lambda reader: reader.content(filed.message))
    assert content.startswith(b"head\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n")
    assert content.endswith(b"\r\n-----END PGP MESSAGE-----\r\n--tail\r\n")
    assert await desk.store.read(lambda reader: reader.key_packets(filed.message)) == b"key"
    assert content == await desk.store.read(lambda reader: reader.content(filed.message))


async def test_filing_tells_uid_and_modseq(desk):
    one = await desk.file(await desk.verbatim())
    two = await desk.file(await desk.verbatim())
    assert (one.uid, two.uid) == (1, 2)
    assert two.modseq == one.modseq + 1
    inbox = await desk.inbox()
    assert (inbox.uidnext, inbox.highestmodseq, inbox.uidvalidity) == (3, two.modseq, one.uidvalidity)


async def test_rows_hold_what_was_rendered(desk):
    rendered = desk.rendered(b"-mark")
    message = await desk.verbatim(
        rendered=rendered, flags=Flag.SEEN, keywords=frozenset({"$Forwarded"}), size=7, savedate=5
    )
    filed = await desk.file(message)
    (row,) = await desk.store.read(lambda reader: reader.rows(filed.mailbox, [filed.uid]))
    assert row.rendered == rendered
    assert (row.uid, row.flags, row.keywords, row.modseq) == (1, Flag.SEEN, {"$Forwarded"}, filed.modseq)
    assert (row.size, row.received_at, row.savedate) == (7, message.received_at, 5)
    assert (row.email_id, row.thread_id, row.state) == (filed.email_id, filed.thread_id, State.CUSTODY)


async def test_rows_come_by_uid_and_only_those_asked_for(desk):
    for _ in range(6):
        filed = await desk.file(await desk.verbatim())
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [3]))
    for _ in range(2):  # cold, then from the cache
        for asked, found in (
            ([5, 1], [1, 5]),
            ([1, 2, 3, 4], [1, 2, 4]),
            ([1, 2, 4], [1, 2, 4]),
            ([9], []),
            ([], []),
        ):
            rows = await desk.store.read(lambda reader, asked=asked: reader.rows(filed.mailbox, asked))
            assert [row.uid for row in rows] == found


async def test_nothing_is_filed_for_an_account_that_was_never_opened(desk):
    message = await desk.split(account=AccountId("z" * 20))
    with pytest.raises(NoSuchAccount):
        await desk.file(message)
    with pytest.raises(NoSuchAccount):
        await desk.store.stage(AccountId("z" * 20), b"x", compress=False)


async def test_nothing_is_filed_in_a_mailbox_of_another_account(desk):
    other = await desk.inbox(desk.other)
    message = await desk.verbatim(mailbox=other.id)
    with pytest.raises(NoSuchMailbox):
        await desk.file(message)
    with pytest.raises(NoSuchMailbox):
        await desk.store.read(lambda reader: reader.mailbox(MailboxId(99999)))


async def test_a_blob_under_one_account_s_key_is_not_filed_in_another(desk):
    blob = await desk.store.stage(desk.account, b"data", compress=False)
    with pytest.raises(StoreError):
        await desk.file(desk.new(VerbatimContent(blob), account=desk.other))
    shared = await desk.store.stage(None, b"data", compress=False)
    with pytest.raises(StoreError):
        await desk.file(desk.new(VerbatimContent(shared)))


async def test_a_letter_sent_again_within_a_day_is_filed_once(desk):
    print_ = desk.store.submission_fingerprint(b"envelope", b"bytes")
    message = await desk.verbatim()

    def submit(now):
        def operation(tx):
            tx.remember_submission(print_, now)
            return tx.file(message)

        return desk.store.write(operation)

    await submit(1_000_000_000)
    with pytest.raises(AlreadyFiled):
        await submit(1_000_000_000 + DAY - 1)
    assert (
        await desk.store.read(lambda r: r.counts(r.mailbox_by_use(desk.account, SpecialUse.INBOX).id))
    ).messages == 1
    await submit(1_000_000_000 + DAY + 1)


async def test_the_same_letter_twice_in_one_commit_is_filed_once(desk):
    print_ = desk.store.submission_fingerprint(b"x")
    messages = [await desk.verbatim() for _ in range(8)]

    def submit(message):
        def operation(tx):
            tx.remember_submission(print_, 1_000_000_000)
            return tx.file(message)

        return desk.store.write(operation)

    outcomes = await asyncio.gather(*map(submit, messages), return_exceptions=True)
    assert sum(isinstance(one, AlreadyFiled) for one in outcomes) == 7


def test_fingerprints_tell_where_one_part_ends(desk):
    assert desk.store.submission_fingerprint(b"ab", b"c") != desk.store.submission_fingerprint(b"a", b"bc")


async def test_below_the_floor_nothing_new_is_accepted(desk):
    message = await desk.verbatim()
    filed = await desk.file(await desk.verbatim())
    await desk.restart(free_space_floor=1 << 62)
    assert not desk.store.writable
    with pytest.raises(NoSpace):
        await desk.store.stage(desk.account, b"x", compress=False)
    with pytest.raises(NoSpace):
        await desk.file(message)
    with pytest.raises(NoSpace):
        await desk.store.write(lambda tx: tx.create_mailbox(desk.account, "New"))
    # What is there stays usable: space comes from deleting.
    assert await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [filed.uid])) == [filed.uid]


async def test_an_answer_joins_the_thread_of_what_it_answers(desk):
    first = await desk.file(await desk.split(message_ids=(b"<1@x>",), tag="abcd"))
    known = await desk.store.read(lambda r: r.conversations([desk.account, desk.other], [b"<2@x>", b"<1@x>"]))
    assert known[desk.account].thread_id == first.thread_id
    assert known[desk.account].tag == "abcd"
    assert desk.other not in known
    answer = await desk.file(await desk.split(message_ids=(b"<2@x>", b"<1@x>"), tag="abcd"))
    third = await desk.file(await desk.verbatim(message_ids=(b"<3@x>", b"<2@x>")))
    assert first.thread_id == answer.thread_id == third.thread_id


async def test_the_nearest_ancestor_decides_and_threads_never_merge(desk):
    one = await desk.file(await desk.split(message_ids=(b"<1@x>",)))
    two = await desk.file(await desk.split(message_ids=(b"<2@x>",)))
    both = await desk.file(await desk.split(message_ids=(b"<3@x>", b"<1@x>", b"<2@x>")))
    assert both.thread_id == two.thread_id != one.thread_id
    again = await desk.file(await desk.split(message_ids=(b"<4@x>", b"<1@x>")))
    assert again.thread_id == one.thread_id


async def test_a_tag_stands_for_one_thread_of_an_account(desk):
    await desk.file(await desk.split(message_ids=(b"<1@x>",), tag="abcd"))
    with pytest.raises(TagTaken):
        await desk.file(await desk.split(message_ids=(b"<2@x>",), tag="abcd"))
    await desk.file(await desk.split(message_ids=(b"<2@x>",), tag="abcd", account=desk.other))
    taken = await desk.store.read(lambda r: r.tags_taken([desk.account, desk.other], ["abcd", "efgh"]))
    assert taken == {"abcd"}
    # The refused one left nothing behind.
    assert not await desk.store.read(lambda r: r.conversations([desk.account], [b"<2@x>"]))


async def test_a_thread_may_take_a_second_tag_that_is_free(desk):
    first = await desk.file(await desk.split(message_ids=(b"<1@x>",), tag="abcd"))
    later = await desk.file(await desk.split(message_ids=(b"<2@x>", b"<1@x>"), tag="efgh"))
    assert first.thread_id == later.thread_id
    known = await desk.store.read(lambda r: r.conversations([desk.account], [b"<2@x>"]))
    assert known[desk.account].tag == "abcd"
    with pytest.raises(TagTaken):
        await desk.file(await desk.split(message_ids=(b"<9@x>",), tag="efgh"))


async def test_a_thread_without_a_tag_takes_the_first_one(desk):
    await desk.file(await desk.verbatim(message_ids=(b"<1@x>",)))
    await desk.file(await desk.split(message_ids=(b"<2@x>", b"<1@x>"), tag="wxyz"))
    known = await desk.store.read(lambda r: r.conversations([desk.account], [b"<1@x>"]))
    assert known[desk.account].tag == "wxyz"


async def test_one_sealed_body_is_stored_once_for_all_its_readers(desk, big):
    body = await desk.store.stage(None, big, compress=False)
    one = await desk.file(await desk.split(body, key_packets=b"for one"))
    two = await desk.file(await desk.split(body, key_packets=b"for two", account=desk.other))
    assert await desk.count("SELECT count(*) FROM blob") == 1
    assert await desk.count("SELECT refcount FROM blob") == 2
    await desk.store.write(lambda tx: tx.expunge(one.mailbox, [one.uid]))
    assert b"BEGIN PGP" in await desk.store.read(lambda r: r.content(two.message))
    await desk.store.write(lambda tx: tx.expunge(two.mailbox, [two.uid]))
    assert await desk.count("SELECT count(*) FROM blob") == 0
    assert await desk.count("SELECT count(*) FROM segment WHERE garbage = length") == 1


async def test_reprs_tell_nothing_of_content(desk):
    message = await desk.verbatim(
        b"Subject: SECRETWORD\r\n\r\nSECRETWORD", rendered=desk.rendered(b"SECRETWORD")
    )
    assert "SECRETWORD" not in repr(message)
    filed = await desk.file(message)
    (row,) = await desk.store.read(lambda reader: reader.rows(filed.mailbox, [1]))
    assert "SECRETWORD" not in repr(row)
