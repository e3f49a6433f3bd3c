"""Lists by order of arrival: filters, pages, anchors, threads, counts."""

from __future__ import annotations

import random

import pytest

from mail_server.store.interface import NoSuchMessage
from mail_server.store.model import EmailQuery, Flag, FlagChange, MailboxId, SpecialUse


@pytest.fixture
async def letters(desk):
    """Ten in the inbox, filed in another order than they arrived; even ones are seen, threes carry $k."""
    filed = {}
    for at in (4, 2, 9, 1, 7, 3, 8, 6, 5, 0):
        filed[at] = await desk.file(
            await desk.verbatim(
                received_at=at * 1000,
                size=at * 10,
                flags=Flag.SEEN if at % 2 == 0 else Flag.NONE,
                keywords=frozenset({"$k" if at else "$K"} if at % 3 == 0 else {"$j"} if at == 1 else ()),
                message_ids=(b"<%d@x>" % at, b"<thread-%d@x>" % (at // 4)),
            )
        )
    return filed


@pytest.fixture
def ask(desk, letters):
    names = {one.email_id: at for at, one in letters.items()}

    async def asking(position=0, limit=100, anchor=None, account=None, **query):
        page = await desk.store.read(
            lambda r: r.query_emails(
                account or desk.account,
                EmailQuery(**query),
                position,
                limit,
                None if anchor is None else letters[anchor].email_id,
            )
        )
        for email_id, thread_id in page.found:
            assert letters[names[email_id]].thread_id == thread_id
        counted = await desk.store.read(
            lambda r: r.count_emails(account or desk.account, EmailQuery(**query))
        )
        if limit == 100 and position == 0 and anchor is None:
            assert counted == len(page.found)
        return [names[email_id] for email_id, _ in page.found], page.position

    return asking


@pytest.fixture
async def inbox(desk):
    return (await desk.inbox()).id


async def test_newest_first_whatever_the_order_of_filing(ask, inbox):
    assert await ask(mailbox=inbox) == ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 0)
    assert await ask(mailbox=inbox, ascending=True) == (list(range(10)), 0)
    assert await ask() == ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 0)
    assert await ask(ascending=True) == (list(range(10)), 0)


@pytest.mark.parametrize("whole", [False, True])
async def test_pages_follow_each_other(ask, inbox, whole):
    where = {} if whole else {"mailbox": inbox}
    assert await ask(0, 3, **where) == ([9, 8, 7], 0)
    assert await ask(3, 3, **where) == ([6, 5, 4], 3)
    assert await ask(9, 3, **where) == ([0], 9)
    assert await ask(20, 3, **where) == ([], 20)
    assert await ask(0, 0, **where) == ([], 0)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("ascending", [False, True])
async def test_a_page_around_an_anchor(ask, inbox, whole, ascending):
    where = {"ascending": ascending} | ({} if whole else {"mailbox": inbox})
    order = list(range(10)) if ascending else list(reversed(range(10)))
    for anchor, offset in ((5, 0), (5, 2), (5, -2), (9, -3), (0, -3), (0, 4)):
        start = max(order.index(anchor) + offset, 0)
        assert await ask(offset, 3, anchor, **where) == (order[start : start + 3], start)


async def test_an_anchor_that_is_not_in_the_result_is_told(desk, ask, letters, inbox):
    for query in ({"mailbox": inbox, "flags_set": Flag.SEEN}, {"keyword_set": "$k"}):
        with pytest.raises(NoSuchMessage):
            await ask(anchor=1, **query)
    with pytest.raises(NoSuchMessage):
        await desk.store.read(lambda r: r.query_emails(desk.account, EmailQuery(), 0, 1, "no id of ours"))
    foreign = await desk.file(await desk.verbatim(account=desk.other))
    with pytest.raises(NoSuchMessage):
        await desk.store.read(lambda r: r.query_emails(desk.account, EmailQuery(), 0, 1, foreign.email_id))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"before": 3000}, [2, 1, 0]),
        ({"after": 7000}, [9, 8, 7]),
        ({"after": 3000, "before": 5000}, [4, 3]),
        ({"min_size": 80}, [9, 8]),
        ({"max_size": 20}, [1, 0]),
        ({"flags_set": Flag.SEEN}, [8, 6, 4, 2, 0]),
        ({"flags_unset": Flag.SEEN}, [9, 7, 5, 3, 1]),
        ({"flags_set": Flag.SEEN, "flags_unset": Flag.SEEN}, []),
        ({"keyword_set": "$k"}, [9, 6, 3, 0]),
        ({"keyword_unset": "$k"}, [8, 7, 5, 4, 2, 1]),
        ({"keyword_set": "$K"}, [9, 6, 3, 0]),
        ({"keyword_set": ""}, []),
        ({"keyword_set": "$k", "flags_set": Flag.SEEN, "before": 5000}, [0]),
    ],
)
async def test_filters(ask, inbox, whole, query, expected):
    where = {} if whole else {"mailbox": inbox}
    assert (await ask(**where, **query))[0] == expected
    assert (await ask(**where, **query, ascending=True))[0] == expected[::-1]


async def test_a_collapsed_list_has_the_first_of_each_thread(ask, inbox):
    assert (await ask(mailbox=inbox, collapse_threads=True))[0] == [9, 7, 3]
    assert (await ask(mailbox=inbox, collapse_threads=True, ascending=True))[0] == [0, 4, 8]
    assert (await ask(collapse_threads=True))[0] == [9, 7, 3]
    assert (await ask(collapse_threads=True, flags_set=Flag.SEEN))[0] == [8, 6, 2]
    assert await ask(1, 1, collapse_threads=True) == ([7], 1)
    assert await ask(1, 1, anchor=9, collapse_threads=True) == ([7], 1)


async def test_a_message_in_several_places_stands_once(desk, ask, letters, inbox):
    archive = await desk.box(SpecialUse.ARCHIVE)
    uids = [letters[at].uid for at in (3, 5, 9)]
    await desk.store.write(lambda tx: tx.copy(inbox, uids, archive.id))
    await desk.store.write(lambda tx: tx.copy(inbox, uids, inbox))
    await desk.store.write(lambda tx: tx.move(inbox, [letters[8].uid], archive.id))
    everything = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await ask() == (everything, 0)
    assert await ask(3, 4) == (everything[3:7], 3)
    assert (await ask(mailbox=inbox))[0] == [9, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await ask(0, 2, anchor=5, mailbox=inbox) == ([5, 4], 3)
    assert (await ask(mailbox=archive.id))[0] == [9, 8, 5, 3]


async def test_other_than_asks_for_a_place_elsewhere(desk, ask, letters, inbox):
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(inbox, [letters[3].uid], archive.id))
    await desk.store.write(lambda tx: tx.move(inbox, [letters[4].uid], archive.id))
    assert (await ask(other_than=frozenset({inbox})))[0] == [4, 3]
    assert (await ask(mailbox=inbox, other_than=frozenset({inbox})))[0] == [3]
    assert (await ask(mailbox=inbox, other_than=frozenset({archive.id}), after=8000))[0] == [9, 8]
    assert (await ask(mailbox=inbox, other_than=frozenset({inbox, archive.id})))[0] == []


async def test_nothing_of_another_account_is_listed_or_counted(ask, inbox, desk):
    assert await ask(account=desk.other) == ([], 0)
    assert await ask(account=desk.other, mailbox=inbox) == ([], 0)
    assert await ask(account=desk.other, mailbox=inbox, collapse_threads=True) == ([], 0)
    assert await ask(mailbox=MailboxId(4711)) == ([], 0)


async def test_letters_of_one_moment_are_paged_without_gap_or_repeat(desk):
    chance = random.Random(3)
    ids = [
        (await desk.file(await desk.verbatim(received_at=chance.randrange(3)))).email_id for _ in range(40)
    ]
    for query in (EmailQuery(), EmailQuery(mailbox=(await desk.inbox()).id), EmailQuery(ascending=True)):
        seen = []
        for position in range(0, 40, 7):
            page = await desk.store.read(lambda r, q=query, p=position: r.query_emails(desk.account, q, p, 7))
            seen += [email_id for email_id, _ in page.found]
        assert sorted(seen) == sorted(ids)


async def test_a_walk_longer_than_one_step_misses_nothing(desk, monkeypatch):
    monkeypatch.setattr("mail_server.store.queries._FIRST", 3)
    monkeypatch.setattr("mail_server.store.queries._MOST", 4)
    chance = random.Random(5)
    inbox, archive = (await desk.inbox()).id, (await desk.box(SpecialUse.ARCHIVE)).id
    filed = []
    for number in range(30):
        at = chance.randrange(8)
        one = await desk.file(await desk.verbatim(received_at=at, mailbox=chance.choice([inbox, archive])))
        filed.append((at, one.message, one.email_id))
        if number % 5 == 0:
            await desk.store.write(lambda tx, one=one: tx.copy(one.mailbox, [one.uid], one.mailbox))
    for ascending in (False, True):
        expected = [email_id for *_, email_id in sorted(filed, reverse=not ascending)]
        query = EmailQuery(ascending=ascending, collapse_threads=True)
        page = await desk.store.read(lambda r, q=query: r.query_emails(desk.account, q, 0, 100))
        assert [email_id for email_id, _ in page.found] == expected


async def test_counts_follow_every_change(desk, letters, inbox):
    async def counted():
        return await desk.store.read(
            lambda r: (
                r.counts(inbox).messages,
                r.counts(inbox).unseen,
                r.count_emails(desk.account, EmailQuery(mailbox=inbox)),
                r.count_emails(desk.account, EmailQuery(mailbox=inbox, flags_unset=Flag.SEEN)),
                r.count_emails(desk.account, EmailQuery(collapse_threads=True)),
                r.thread_counts(inbox),
            )
        )

    assert await counted() == (10, 5, 10, 5, 3, (3, 3))
    assert await counted() == (10, 5, 10, 5, 3, (3, 3))
    await desk.store.write(
        lambda tx: tx.set_flags(inbox, [letters[9].uid], FlagChange.ADD, Flag.SEEN, frozenset())
    )
    assert await counted() == (10, 4, 10, 4, 3, (3, 2))
    await desk.store.write(lambda tx: tx.expunge(inbox, [letters[9].uid, letters[8].uid]))
    assert await counted() == (8, 4, 8, 4, 2, (2, 2))
    await desk.file(await desk.verbatim(flags=Flag.DRAFT))
    assert await counted() == (9, 5, 9, 5, 3, (3, 2))


async def test_what_a_commit_counts_before_it_fails_is_not_remembered(desk, letters, inbox):
    def and_fail(tx):
        tx.expunge(inbox, [1])
        assert tx.counts(inbox).messages == 9
        assert tx.count_emails(desk.account, EmailQuery(mailbox=inbox)) == 9
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await desk.store.write(and_fail)
    await desk.store.write(
        lambda tx: tx.set_flags(inbox, [1], FlagChange.ADD, Flag.FLAGGED, frozenset())
    )  # takes the same modseq
    assert (await desk.store.read(lambda r: r.counts(inbox))).messages == 10
    assert await desk.store.read(lambda r: r.count_emails(desk.account, EmailQuery(mailbox=inbox))) == 10
