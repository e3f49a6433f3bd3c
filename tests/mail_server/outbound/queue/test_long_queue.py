"""A long queue costs what a short one does: what is due is found by indexes, and nothing is loaded whole."""

from __future__ import annotations

import tracemalloc

import pytest

from mail_server.outbound.interface import Outcome, Phase, Verdict
from mail_server.outbound.lanes import found
from mail_server.outbound.reports.interface import Fate

DAY = 86_400_000
LETTERS = 3000
NOT_THERE = Outcome(Verdict.LATER, Phase.CONNECT, "refused", 0, "4.4.1", "", "mx.dead.test")


async def fill(post, count, domain="dead.test"):
    letters = [await post.outgoing(f"p{number}@{domain}") for number in range(count)]
    for start in range(0, count, 500):
        await post.store.write(
            lambda tx, start=start: [post.queue.lay(tx, one) for one in letters[start : start + 500]]
        )


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT 1 FROM outbound_letter WHERE domain = 'a' AND state = 0 AND held = 0 AND due <= 5 ORDER BY due, id",
            "outbound_due",
        ),
        (
            "SELECT due FROM outbound_letter WHERE domain = 'a' AND state = 0 AND held = 0 ORDER BY due",
            "outbound_due",
        ),
        ("SELECT id FROM outbound_letter WHERE state = 1 AND lease_until <= 5 LIMIT 100", "outbound_leased"),
        (
            "SELECT id FROM outbound_letter WHERE state < 2 AND state = 0 AND expires <= 5 ORDER BY expires LIMIT 9",
            "outbound_expires",
        ),
        (
            "SELECT id FROM outbound_letter WHERE state < 2 AND delay_at <= 5 ORDER BY delay_at LIMIT 9",
            "outbound_delay",
        ),
        (
            "SELECT id FROM outbound_letter WHERE state = 2 AND done_at < 5 ORDER BY done_at LIMIT 9",
            "outbound_done",
        ),
    ],
)
async def test_what_is_asked_each_time_is_answered_by_an_index(local, statement, index):
    plan = await local.store.read(lambda r: r.sql.all(f"EXPLAIN QUERY PLAN {statement}"))
    assert [row[3] for row in plan if "SCAN" in row[3] or "TEMP" in row[3]] == []
    assert any(index in row[3] for row in plan)


async def test_a_start_on_a_long_queue_reads_one_row_a_domain_and_other_letters_leave_at_once(local):
    await fill(local, LETTERS)
    local.operators.does["dead.test"] = NOT_THERE
    ok = await local.lay("bob@b.test")
    assert len(await local.store.read(lambda r: found(r.sql))) == 2
    tracemalloc.start()
    await local.start()
    await local.quiet()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert await local.states(ok) == ["DELIVERED"]
    assert len(local.operators.asked) <= 1 + local.settings.connections_of_domain
    assert peak < 3_000_000


async def test_others_leave_while_a_long_queue_expires(local):
    await fill(local, LETTERS)
    local.operators.does["dead.test"] = NOT_THERE
    await local.start()
    await local.quiet()
    local.clock.now += 6 * DAY
    number = await local.lay("bob@b.test")
    await local.until(lambda: local.operators.took)
    assert sum(fate is Fate.EXPIRED for _, fate in local.told.fates) < LETTERS  # that goes on meanwhile
    await local.quiet()
    assert await local.states(number) == ["DELIVERED"]
    assert sum(fate is Fate.EXPIRED for _, fate in local.told.fates) == LETTERS
    assert await local.count("SELECT count(*) FROM blob") == 0
