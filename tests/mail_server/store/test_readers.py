"""Each reader's own \\Seen and subscriptions; copies in a Sent that several people share."""

from __future__ import annotations

from dataclasses import replace

from mail_server.store.model import AccountId, EmailQuery, Flag, FlagChange, SpecialUse

ALICE, BOB = AccountId("p" * 20), AccountId("q" * 20)
DAY = 86_400_000


async def as_person(desk, person, query):
    def read(reader):
        with reader.as_person(desk.account, person):
            return query(reader)

    return await desk.store.read(read)


async def change(desk, person, operation):
    def write(tx):
        with tx.as_person(desk.account, person):
            return operation(tx)

    return await desk.store.write(write)


async def seen(desk, person, filed, flags=Flag.SEEN, how=FlagChange.ADD, **more):
    return await change(
        desk, person, lambda tx: tx.set_flags(filed.mailbox, [filed.uid], how, flags, frozenset(), **more)
    )


async def flags(desk, person, filed):
    (row,) = await as_person(desk, person, lambda r: r.rows(filed.mailbox, [filed.uid]))
    (one,) = [
        m for m in await as_person(desk, person, lambda r: r.memberships(filed.mailbox)) if m.uid == filed.uid
    ]
    (email,) = await as_person(desk, person, lambda r: r.emails(desk.account, [filed.email_id]))
    placed = next(each for each in email.placements if each.mailbox == filed.mailbox)
    assert row.flags == one.flags == placed.flags
    return row.flags


async def test_what_one_reader_has_seen_the_others_have_not(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed)
    assert await flags(desk, ALICE, filed) == Flag.SEEN
    assert await flags(desk, BOB, filed) == Flag.NONE
    assert await flags(desk, None, filed) == Flag.NONE


async def test_other_flags_are_everybodys(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed, Flag.SEEN | Flag.FLAGGED)
    assert await flags(desk, BOB, filed) == Flag.FLAGGED
    assert await flags(desk, ALICE, filed) == Flag.SEEN | Flag.FLAGGED


async def test_what_was_seen_by_all_before_is_seen_until_one_says_otherwise(desk):
    filed = await desk.file(await desk.verbatim(flags=Flag.SEEN))
    assert await flags(desk, BOB, filed) == Flag.SEEN
    await seen(desk, ALICE, filed, how=FlagChange.REMOVE)
    assert await flags(desk, ALICE, filed) == Flag.NONE
    assert await flags(desk, BOB, filed) == Flag.SEEN


async def test_a_whole_set_replaced_leaves_the_common_seen_alone(desk):
    filed = await desk.file(await desk.verbatim(flags=Flag.SEEN | Flag.DRAFT))
    await seen(desk, ALICE, filed, Flag.ANSWERED, FlagChange.REPLACE)
    assert await flags(desk, ALICE, filed) == Flag.ANSWERED
    assert await flags(desk, None, filed) == Flag.SEEN | Flag.ANSWERED


async def test_counts_and_queries_are_the_readers_own(desk):
    one = await desk.file(await desk.verbatim())
    two = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, one)
    unseen = EmailQuery(mailbox=one.mailbox, flags_unset=Flag.SEEN)
    for person, left, found in ((ALICE, 1, {two.email_id}), (BOB, 2, {one.email_id, two.email_id})):
        counts = await as_person(desk, person, lambda r: r.counts(one.mailbox))
        assert counts.unseen == left
        assert await as_person(desk, person, lambda r: r.count_emails(desk.account, unseen)) == left
        page = await as_person(desk, person, lambda r: r.query_emails(desk.account, unseen, 0, 10))
        assert {email for email, _ in page.found} == found
        assert (await as_person(desk, person, lambda r: r.thread_counts(one.mailbox)))[1] == left
    everywhere = EmailQuery(flags_set=Flag.SEEN)
    assert await as_person(desk, ALICE, lambda r: r.count_emails(desk.account, everywhere)) == 1
    assert await as_person(desk, BOB, lambda r: r.count_emails(desk.account, everywhere)) == 0


async def test_a_reader_learns_of_it_in_their_other_sessions(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed)
    changed = await as_person(desk, ALICE, lambda r: r.memberships(filed.mailbox, filed.modseq))
    assert [(one.uid, one.flags) for one in changed] == [(filed.uid, Flag.SEEN)]
    told = await desk.store.read(lambda r: r.email_changes(desk.account, filed.modseq, 10))
    assert list(told.updated) == [filed.email_id]


async def test_it_goes_along_when_the_letter_moves_is_copied_or_sealed_anew(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed)
    archive, trash = await desk.box(SpecialUse.ARCHIVE), await desk.box(SpecialUse.TRASH)
    moved = await desk.store.write(lambda tx: tx.move(filed.mailbox, [filed.uid], archive.id))
    await desk.store.write(lambda tx: tx.copy(archive.id, moved.target_uids, trash.id))
    again = replace(await desk.split(), size=10)
    placed = await desk.store.write(lambda tx: tx.replace(filed.message, again))
    assert [await flags(desk, ALICE, one) for one in placed] == [Flag.SEEN, Flag.SEEN]
    assert [await flags(desk, BOB, one) for one in placed] == [Flag.NONE, Flag.NONE]
    await seen(desk, ALICE, placed[0], how=FlagChange.REMOVE)
    assert [await flags(desk, ALICE, one) for one in placed] == [Flag.NONE, Flag.NONE]


async def test_a_keyword_set_of_jmap_is_the_readers_own(desk):
    filed = await desk.file(await desk.verbatim())
    sent = await desk.box(SpecialUse.ARCHIVE)
    where = frozenset({filed.mailbox, sent.id})
    await change(
        desk, ALICE, lambda tx: tx.place(desk.account, filed.email_id, where, Flag.SEEN, frozenset({"x"}))
    )
    assert await flags(desk, ALICE, filed) == Flag.SEEN
    assert await flags(desk, None, filed) == Flag.NONE
    (email,) = await as_person(desk, ALICE, lambda r: r.emails(desk.account, [filed.email_id]))
    assert [(p.flags, p.keywords) for p in email.placements] == [(Flag.SEEN, frozenset({"x"}))] * 2


async def test_what_goes_takes_what_was_said_of_it_along(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed)
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [filed.uid]))
    assert await desk.count("SELECT count(*) FROM seen") == 0


async def test_who_reads_no_more_leaves_nothing_behind(desk):
    filed = await desk.file(await desk.verbatim())
    await seen(desk, ALICE, filed)
    await change(desk, ALICE, lambda tx: tx.subscribe(filed.mailbox, False))
    await desk.store.write(lambda tx: tx.forget_reader(desk.account, ALICE))
    for table in ("seen", "reader", "reader_subscription"):
        assert await desk.count(f"SELECT count(*) FROM {table}") == 0
    assert await flags(desk, ALICE, filed) == Flag.NONE


async def test_a_reader_subscribes_for_themselves(desk):
    inbox = await desk.inbox()
    await change(desk, ALICE, lambda tx: tx.subscribe(inbox.id, False))

    async def subscribed(person):
        found = await as_person(desk, person, lambda r: r.mailboxes(desk.account))
        return next(each.subscribed for each in found if each.id == inbox.id)

    assert [await subscribed(each) for each in (ALICE, BOB, None)] == [False, True, True]


async def test_flags_that_one_may_not_touch_stay(desk):
    filed = await desk.file(await desk.verbatim(flags=Flag.FLAGGED, keywords=frozenset({"kept"})))
    await desk.store.write(
        lambda tx: tx.set_flags(
            filed.mailbox, [filed.uid], FlagChange.REPLACE, Flag.SEEN | Flag.DELETED, frozenset({"no"}),
            among=Flag.SEEN, words_too=False,
        )
    )  # fmt: skip
    (one,) = await desk.store.read(lambda r: r.memberships(filed.mailbox))
    assert (one.flags, one.keywords) == (Flag.FLAGGED | Flag.SEEN, frozenset({"kept"}))


async def test_a_copy_in_sent_is_known_for_a_day_while_it_lies_there(desk):
    filed = await desk.file(await desk.verbatim(mailbox=SpecialUse.SENT))
    await desk.store.write(lambda tx: tx.note_sent(b"<1@x>", filed, DAY))
    found = await desk.store.read(lambda r: r.sent_copy(desk.account, b"<1@x>", 1))
    assert (found.message, found.uid, found.mailbox) == (filed.message, filed.uid, filed.mailbox)
    for account, name, since in (
        (desk.account, b"<2@x>", 1),
        (desk.other, b"<1@x>", 1),
        (desk.account, b"<1@x>", DAY + 1),
    ):
        assert await desk.store.read(lambda r, a=account, n=name, s=since: r.sent_copy(a, n, s)) is None
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [filed.uid]))
    assert await desk.store.read(lambda r: r.sent_copy(desk.account, b"<1@x>", 1)) is None
