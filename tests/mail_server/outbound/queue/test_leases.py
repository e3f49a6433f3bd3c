"""Who has which letter: nodes that share a queue, ends that are orderly, and ends that are not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mail_server.outbound import leases
from mail_server.outbound.interface import Outcome, Phase, Verdict
from mail_server.outbound.leases import Lease
from mail_server.outbound.rows import LetterState

MINUTE = 60_000
TAKEN = Outcome(Verdict.DELIVERED, Phase.CONTENT, "taken", 250, "2.0.0", "Ok", "mx.b.test")
CUT_OFF = Outcome(Verdict.LATER, Phase.CONTENT, "cut-off", unsure=True)


@pytest.fixture
async def two(postgresql_database, make_post):
    first = await make_post(postgresql_database)
    second = await make_post(postgresql_database, "second", clock=first.clock, chain="second")
    return first, second


async def test_two_nodes_share_a_queue_and_hand_each_letter_over_once(two):
    first, second = two

    async def slowly(_letter):
        while not (first.operators.asked and second.operators.asked):  # each has its first turn
            await asyncio.sleep(0.002)
        return TAKEN

    for post in two:
        post.operators.does = {"b.test": slowly, "c.test": slowly}
        post.settings = post.settings.model_copy(update={"connections_of_domain": 1})
    for count in range(120):
        await first.lay(f"p{count}@{'bc'[count % 2]}.test")
    await asyncio.gather(first.start(), second.start())
    await first.until(lambda: len(first.operators.took) + len(second.operators.took) >= 120)
    await asyncio.gather(first.quiet(), second.quiet())
    took = [address for post in two for _, address, _ in post.operators.took]
    assert sorted(took) == sorted(f"p{count}@{'bc'[count % 2]}.test" for count in range(120))
    assert first.operators.took
    assert second.operators.took
    assert len(first.told.rows) + len(second.told.rows) == 120
    assert await first.count("SELECT count(*) FROM outbound_letter WHERE state <> 2") == 0
    assert await first.count("SELECT count(*) FROM queued") == 0


async def test_a_letter_laid_by_a_node_that_went_leaves_by_the_other(two):
    first, second = two
    await second.start()
    await first.lay()  # nobody dispatches there
    await second.passes(MINUTE)
    assert len(second.operators.took) == 1


async def test_a_lease_counts_while_it_lasts_and_is_extended_while_the_letter_is_in_hand(two):
    first, second = two
    go = asyncio.Event()

    async def slow(_letter):
        await go.wait()
        return TAKEN

    first.operators.does["b.test"] = slow
    await first.lay()
    await first.start()
    await first.until(lambda: first.operators.asked)
    await second.start()
    for _ in range(12):  # an hour, with a lease of 15 minutes
        first.clock.now += 5 * MINUTE
        first.dispatcher.wake()
        await asyncio.sleep(0.03)
        await second.passes(0)
    assert second.operators.asked == []
    go.set()
    await first.quiet()
    assert len(first.operators.took) == 1


async def test_a_lease_that_ended_is_taken_up_and_counted_when_bytes_went_out(two):
    first, second = two
    sent, unsent = await first.lay("sent@b.test"), await first.lay("unsent@b.test")
    now = first.clock.now
    claimed = await first.store.write(
        lambda tx: leases.claim(tx.sql, first.wraps, "b.test", now, 9, Lease("gone", now + 900_000))
    )
    handed = next(each for each in claimed.letters if each.letter.id == sent)
    assert await first.store.write(lambda tx: leases.mark_handed(tx.sql, handed, "gone", now))
    await second.start()
    await second.quiet()
    assert second.operators.asked == []
    await second.passes(16 * MINUTE)
    assert sorted(address for _, address, _ in second.operators.took) == ["sent@b.test", "unsent@b.test"]
    assert second.dispatcher.counters.possibly_twice == 1
    assert [each.unsure for number in (sent, unsent) for each in await second.recipients(number)] == [1, 0]


async def test_a_node_that_starts_again_takes_up_what_it_had_at_once_and_nothing_of_another(two):
    first, second = two
    mine, theirs = await first.lay("mine@b.test"), await first.lay("theirs@c.test")
    now = first.clock.now
    for number, domain, owner in ((mine, "b.test", "node.1"), (theirs, "c.test", "node2.1")):
        lease = Lease(owner, now + 900_000)
        claimed = await first.store.write(
            lambda tx, domain=domain, lease=lease: leases.claim(tx.sql, first.wraps, domain, now, 9, lease)
        )
        [one] = claimed.letters
        assert one.letter.id == number
        assert await first.store.write(
            lambda tx, one=one, owner=owner: leases.mark_handed(tx.sql, one, owner, now)
        )
    await second.start()
    await first.start()
    await first.until(lambda: first.operators.took)
    await asyncio.gather(first.quiet(), second.quiet())
    assert [address for _, address, _ in first.operators.took] == ["mine@b.test"]
    assert second.operators.took == []
    assert first.dispatcher.counters.possibly_twice == 1


async def test_who_lost_the_lease_sends_nothing(two):
    first, second = two
    number = await first.lay()
    stopped, go = asyncio.Event(), asyncio.Event()

    async def stalls(_letter):
        stopped.set()
        await go.wait()
        return TAKEN  # the peer accepted RCPT; now the bytes are asked for

    first.operators.does["b.test"] = stalls
    await first.start()
    await stopped.wait()
    await first.store.write(lambda tx: leases.take_back(tx.sql, None, 10))
    await second.start()
    await second.until(lambda: second.operators.took)
    await second.quiet()
    go.set()
    await first.until(lambda: first.dispatcher.idle)
    assert first.operators.took == []
    assert len(second.operators.took) == 1
    assert await second.states(number) == ["DELIVERED"]
    assert len(first.told.rows) + len(second.told.rows) == 1


async def test_who_lost_the_lease_after_the_bytes_settles_what_it_knows(two):
    first, second = two
    number = await first.lay()
    stopped, go = asyncio.Event(), asyncio.Event()

    class Late(type(first.operators)):
        async def hand_over(self, domain, leaving, content):
            self.took.append((domain, leaving.recipients[0].address, await content()))
            stopped.set()
            await go.wait()
            return [TAKEN]

    first.operators = Late()
    await first.start()
    await stopped.wait()
    await first.store.write(lambda tx: leases.take_back(tx.sql, None, 10))
    go.set()
    await first.until(lambda: first.dispatcher.idle)
    assert first.dispatcher.counters.leases_lost == 1
    assert (await first.letter(number)).state is LetterState.DONE  # so that nobody sends it again
    await second.start()
    await second.quiet()
    assert second.operators.asked == []
    assert await first.count("SELECT count(*) FROM queued") == 0


async def test_an_orderly_end_finishes_what_is_in_hand_and_gives_the_rest_back(post):
    go = asyncio.Event()

    async def slow(_letter):
        await go.wait()
        return TAKEN

    post.operators.does["b.test"] = slow
    numbers = [await post.lay(f"p{count}@b.test") for count in range(30)]
    await post.start()
    await post.until(lambda: post.operators.asked)
    asyncio.get_running_loop().call_later(0.05, go.set)
    await post.stop()
    assert post.operators.closed
    done = [number for number in numbers if (await post.letter(number)).state is LetterState.DONE]
    assert len(done) == len(post.operators.took) == len(post.operators.asked)
    assert await post.count("SELECT count(*) FROM outbound_letter WHERE state = 1") == 0
    assert await post.count("SELECT count(*) FROM outbound_letter WHERE state = 0") == 30 - len(done)


async def test_what_the_grace_cuts_off_is_noted_where_its_bytes_went_out(post):
    class Hangs(type(post.operators)):
        async def hand_over(self, domain, leaving, content):
            self.asked.append((domain, leaving.id))
            if domain == "b.test":
                await content()
            await asyncio.Event().wait()

    post.operators = Hangs()
    sent, unsent = await post.lay("bob@b.test"), await post.lay("carl@c.test")
    await post.start()
    await post.until(lambda: len(post.operators.asked) == 2)
    await asyncio.sleep(0.05)
    await post.stop(grace=0.05)
    assert [each.unsure for number in (sent, unsent) for each in await post.recipients(number)] == [1, 0]
    assert await post.count("SELECT count(*) FROM outbound_letter WHERE state = 0") == 2


async def test_after_a_crash_everything_of_the_one_node_waits_again(local):
    for count in range(5):
        await local.lay(f"p{count}@b.test")
    now = local.clock.now
    await local.store.write(
        lambda tx: leases.claim(tx.sql, local.wraps, "b.test", now, 9, Lease("gone", now + 900_000))
    )
    assert await local.count("SELECT count(*) FROM outbound_letter WHERE state = 1") == 5
    await local.start()
    await local.quiet()
    assert len(local.operators.took) == 5
    assert local.dispatcher.counters.possibly_twice == 0


async def test_a_letter_cancelled_while_it_was_in_hand_is_not_tried_again(post):
    number = await post.lay()
    post.operators.does["b.test"] = replace(CUT_OFF, unsure=False)
    now = post.clock.now
    await post.store.write(
        lambda tx: leases.claim(tx.sql, post.wraps, "b.test", now, 9, Lease("gone", now + 900_000))
    )
    await post.store.write(lambda tx: tx.sql.run("UPDATE outbound_letter SET cancelled = 1"))
    await post.store.write(lambda tx: leases.take_back(tx.sql, None, 10))
    await post.start()
    await post.quiet()
    assert await post.states(number) == ["CANCELLED"]
    assert post.operators.asked == []
    assert await post.count("SELECT count(*) FROM queued") == 0
