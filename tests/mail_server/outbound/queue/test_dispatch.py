"""What leaves the queue, when, and what becomes of it: one clock, moved by the test, and operators that do as told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mail_server.outbound import dispatch
from mail_server.outbound.interface import Form, NotOpened, Outcome, Phase, Readable, Verdict
from mail_server.outbound.reports.interface import Fate
from mail_server.outbound.rows import LetterState, RecipientState
from mail_server.store.interface import StoreUnavailable

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TAKEN = Outcome(Verdict.DELIVERED, Phase.CONTENT, "taken", 250, "2.0.0", "Ok", "mx.b.test")
BUSY = Outcome(Verdict.LATER, Phase.RCPT, "peer-4yz", 450, "4.2.1", "busy", "mx.b.test")
UNKNOWN = Outcome(
    Verdict.FAILED, Phase.RCPT, "peer-5yz", 550, "5.1.1", "<bob@b.test> is unknown", "mx.b.test"
)
NOT_THERE = Outcome(Verdict.LATER, Phase.CONNECT, "refused", 0, "4.4.1", "", "mx.b.test")
CUT_OFF = Outcome(Verdict.LATER, Phase.CONTENT, "cut-off", 0, "4.4.2", "", "mx.b.test", unsure=True)
NO_MORE = Outcome(Verdict.LATER, Phase.MAIL, "peer-4yz", 452, "4.3.1", "full", "mx.b.test")


async def test_a_letter_laid_leaves_at_once_and_its_bytes_are_dropped(post):
    await post.start()
    number = await post.lay(data=b"x" * 5000)
    await post.until(lambda: post.told.rows)
    await post.quiet()
    assert post.operators.took == [("b.test", "bob@b.test", b"x" * 5000)]
    assert (await post.letter(number)).state is LetterState.DONE
    assert await post.states(number) == ["DELIVERED"]
    assert (
        await post.count("SELECT count(*) FROM blob") == await post.count("SELECT count(*) FROM queued") == 0
    )
    assert post.told.rows == [("r0", "bob@b.test", Fate.RELAYED, TAKEN)]
    assert post.told.woken >= 1
    assert post.dispatcher.counters.delivered == {"sealed": 1}


async def test_nothing_that_names_a_person_lies_in_clear(post):
    number = await post.lay(
        "176129900112345@patient.b.test", mail_from="docteur.martin@a.test", envid="QQ31415"
    )
    await post.start()
    post.operators.does["patient.b.test"] = replace(UNKNOWN, said="<176129900112345@patient.b.test> unknown")
    await post.until(lambda: post.told.rows)
    await post.quiet()

    def everything(reader):
        return b"|".join(
            str(value).encode() if not isinstance(value, bytes | memoryview) else bytes(value)
            for table in ("outbound_letter", "outbound_recipient", "outbound_domain", "audit_entry")
            for row in reader.sql.all(f"SELECT * FROM {table}")
            for value in row
        )

    lies = await post.store.read(everything)
    for secret in (b"176129900112345", b"martin", b"QQ31415"):
        assert secret not in lies
    shown = await post.recipients(number)
    assert shown[0].recipient.address == "176129900112345@patient.b.test"
    assert "176129900112345" in shown[0].last.said
    assert "176129900112345" not in repr(shown) + repr(await post.letter(number))


async def test_what_is_put_off_is_tried_again_after_waits_that_double_to_the_longest(local):
    local.operators.does["b.test"] = BUSY
    await local.lay()
    await local.start()
    await local.quiet()
    waits = []
    for _ in range(12):
        number = 1
        due = (await local.letter(number)).due
        waits.append(due - local.clock.now)
        tried = len(local.operators.asked)
        await local.passes(due - local.clock.now - 1)
        assert len(local.operators.asked) == tried
        await local.passes(1)
        assert len(local.operators.asked) == tried + 1
    for count, wait in enumerate(waits):
        usual = min(60_000 * 2**count, 4 * HOUR)
        assert 0.8 * usual <= wait <= 1.2 * usual


async def test_recipients_of_one_letter_have_each_their_own_fate(local):
    local.operators.does["b.test"] = lambda letter: [
        {"ann@b.test": TAKEN, "bob@b.test": UNKNOWN, "eve@b.test": BUSY}[each.address]
        for each in letter.recipients
    ]
    number = await local.lay("ann@b.test", "bob@b.test", "eve@b.test")
    await local.start()
    await local.quiet()
    assert await local.states(number) == ["DELIVERED", "FAILED", "WAITING"]
    assert local.told.fates == [("ann@b.test", Fate.RELAYED), ("bob@b.test", Fate.FAILED)]
    local.operators.does["b.test"] = TAKEN
    await local.passes(2 * MINUTE)
    assert await local.states(number) == ["DELIVERED", "FAILED", "DELIVERED"]
    assert [address for _, address, _ in local.operators.took] == ["ann@b.test", "eve@b.test"]
    assert local.told.fates[2:] == [("eve@b.test", Fate.RELAYED)]


async def test_a_domain_that_does_not_answer_is_left_alone_as_a_whole_and_found_again(post):
    post.operators.does["b.test"] = NOT_THERE
    for _ in range(40):
        await post.lay()
    await post.start()
    await post.quiet()
    first = len(post.operators.asked)
    assert first <= post.settings.connections_of_domain
    await post.passes(50 * HOUR)  # days: one probe each time, never forty
    again = len(post.operators.asked) - first
    assert again == 1
    post.operators.does["b.test"] = TAKEN
    due = await post.count("SELECT retry_at FROM outbound_domain")
    await post.passes(due - post.clock.now)
    await post.quiet()
    assert len(post.operators.took) == 40
    assert await post.count("SELECT failures FROM outbound_domain") == 0


async def test_a_server_that_puts_off_letter_after_letter_is_left_alone_too(local):
    local.operators.does["b.test"] = NO_MORE
    for _ in range(100):
        await local.lay()
    await local.start()
    await local.quiet()
    assert len(local.operators.asked) <= 30
    assert await local.count("SELECT failures FROM outbound_domain") == 1


async def test_a_domain_that_is_down_holds_up_no_other(local):
    slow = asyncio.Event()

    async def hangs(_letter):
        await slow.wait()
        return NOT_THERE

    local.operators.does["dead.test"] = hangs
    for _ in range(300):
        await local.lay("x@dead.test")
    await local.start()
    for name in ("b.test", "c.test", "d.test"):
        await local.lay(f"bob@{name}")
    await local.until(lambda: len(local.operators.took) == 3)
    assert local.operators.most["dead.test"] <= local.settings.connections_of_domain
    slow.set()
    await local.quiet()


async def test_domains_take_turns(local):
    for _ in range(60):
        await local.lay("bob@b.test")
    await local.lay("carl@c.test")
    local.settings = local.settings.model_copy(update={"connections": 1, "connections_of_domain": 1})
    await local.start()
    await local.until(lambda: len(local.operators.took) == 61)
    asked = [domain for domain, _ in local.operators.asked]
    assert asked.index("c.test") <= 20  # after one turn of the other, not after all of it


async def test_no_more_connections_than_the_settings_say(local):
    local.settings = local.settings.model_copy(update={"connections": 6, "connections_of_domain": 2})
    at_once, most = 0, 0

    async def watched(_letter):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        return TAKEN

    for count in range(90):
        name = f"d{count % 9}.test"
        local.operators.does[name] = watched
        await local.lay(f"bob@{name}")
    await local.start()
    await local.until(lambda: len(local.operators.took) == 90)
    assert most <= 6
    assert max(local.operators.most.values()) <= 2


async def test_a_sender_is_told_once_that_it_is_late_then_that_it_did_not_leave(post):
    post.operators.does["b.test"] = NOT_THERE
    number = await post.lay()
    await post.start()
    await post.quiet()
    await post.passes(3 * HOUR)
    assert post.told.rows == []
    await post.passes(2 * HOUR)
    assert post.told.fates == [("bob@b.test", Fate.DELAYED)]
    for _ in range(10):
        await post.passes(11 * HOUR)
    assert post.told.fates == [("bob@b.test", Fate.DELAYED)]
    await post.passes(10 * HOUR)
    assert post.told.fates == [("bob@b.test", Fate.DELAYED), ("bob@b.test", Fate.EXPIRED)]
    assert post.told.rows[-1][3].reason == "refused"  # why, as far as it is known
    assert await post.states(number) == ["EXPIRED"]
    assert await post.count("SELECT count(*) FROM blob") == 0
    asked = len(post.operators.asked)
    await post.passes(DAY)
    assert len(post.operators.asked) == asked


async def test_a_letter_never_tried_itself_expires_with_the_reason_of_its_domain(local):
    local.operators.does["b.test"] = NOT_THERE
    for _ in range(3):
        await local.lay()
    await local.start()
    await local.quiet()
    await local.passes(5 * DAY + MINUTE)
    expired = [(fate, last.reason) for _, _, fate, last in local.told.rows if fate is Fate.EXPIRED]
    assert expired == [(Fate.EXPIRED, "refused")] * 3


async def test_what_left_is_forgotten_after_the_days_that_are_kept(local):
    number = await local.lay()
    await local.start()
    await local.quiet()
    await local.passes(6 * DAY)
    assert (await local.fates("r0"))[0].state is RecipientState.DELIVERED
    await local.passes(2 * DAY)
    assert await local.letter(number) is None
    assert await local.fates("r0") == []
    assert await local.count("SELECT count(*) FROM outbound_recipient") == 0


class Gate:
    """`Egress`: opens by turning the bytes round."""

    def __init__(self):
        self.opened = []
        self.fails = None

    async def open(self, fingerprint, form, queued):
        if self.fails is not None:
            raise self.fails
        self.opened.append((fingerprint, form))
        return queued[::-1]


async def test_a_gated_letter_is_opened_only_when_the_other_side_asks_for_its_bytes(local):
    local.egress = Gate()
    local.operators.does["b.test"] = BUSY
    number = await local.lay(data=b"dessecret", form=Form.GATED, egress="F" * 40, readable=Readable.GATED)
    await local.start()
    await local.quiet()
    assert local.egress.opened == []
    local.operators.does["b.test"] = TAKEN
    await local.passes(2 * MINUTE)
    assert local.egress.opened == [("F" * 40, Form.GATED)]
    assert local.operators.took[0][2] == b"terces" + b"sed"
    assert await local.states(number) == ["DELIVERED"]
    assert local.dispatcher.counters.delivered == {"gated": 1}


@pytest.mark.parametrize(("lasting", "state"), [(True, "FAILED"), (False, "WAITING")])
async def test_a_gate_that_does_not_open_fails_or_waits_as_it_says(local, lasting, state):
    local.egress = Gate()
    local.egress.fails = NotOpened("key-gone", lasting=lasting)
    number = await local.lay(form=Form.GATED, egress="F" * 40, readable=Readable.GATED)
    await local.start()
    await local.quiet()
    assert await local.states(number) == [state]
    assert (await local.recipients(number))[0].last.reason == "key-gone"


async def test_an_attempt_cut_off_after_the_content_is_noted_as_possibly_twice(post):
    post.operators.does["b.test"] = CUT_OFF
    number = await post.lay()
    await post.start()
    await post.quiet()
    assert post.dispatcher.counters.possibly_twice == 1
    assert (await post.recipients(number))[0].unsure == 1
    post.operators.does["b.test"] = TAKEN
    await post.passes(2 * MINUTE)
    assert await post.states(number) == ["DELIVERED"]


async def test_a_letter_to_a_blocked_operator_waits_until_it_is_not_blocked_any_more(local):
    local.blocked.add("b.test")
    number = await local.lay()
    await local.start()
    await local.quiet_for(0.05)
    assert local.operators.asked == []
    local.blocked.clear()
    await local.passes(MINUTE)
    assert await local.states(number) == ["DELIVERED"]


async def test_a_fault_of_who_tells_sends_no_letter_twice(local):
    local.told.fails = True
    number = await local.lay()
    await local.start()
    await local.quiet()
    assert await local.states(number) == ["DELIVERED"]
    assert len(local.operators.took) == 1


async def test_a_client_that_fails_costs_one_attempt_and_stops_nobody(local):
    def broken(_letter):
        raise RuntimeError("secret content")

    local.operators.does["b.test"] = broken
    number = await local.lay()
    other = await local.lay("carl@c.test")
    await local.start()
    await local.quiet()
    assert await local.states(other) == ["DELIVERED"]
    assert (await local.recipients(number))[0].last.reason == "internal"


async def test_a_letter_of_another_key_is_held_and_stops_no_other(local):
    number = await local.lay()
    await local.store.write(
        lambda tx: tx.sql.run("UPDATE outbound_letter SET envelope = ? WHERE id = ?", (b"\x01other", number))
    )
    await local.lay()
    await local.start()
    await local.quiet()
    assert len(local.operators.took) == 1
    assert await local.count("SELECT held FROM outbound_letter WHERE id = ?", number) == 1


async def test_two_letters_of_one_content_keep_it_until_both_left(post):
    one = await post.outgoing("bob@b.test", data=b"z" * 5000)
    two = replace(one, domain="c.test", recipients=(replace(one.recipients[0], address="carl@c.test"),))
    await post.store.write(lambda tx: [post.queue.lay(tx, one), post.queue.lay(tx, two)])
    assert await post.count("SELECT refcount FROM blob") == 2
    post.operators.does["c.test"] = BUSY
    await post.start()
    await post.quiet()
    assert await post.count("SELECT refcount FROM blob") == 1
    post.operators.does["c.test"] = TAKEN
    await post.passes(2 * MINUTE)
    assert await post.count("SELECT count(*) FROM blob") == 0
    assert [data for _, _, data in post.operators.took] == [b"z" * 5000] * 2


async def test_an_outcome_that_cannot_be_written_is_written_later_and_nothing_is_sent_again(
    local, monkeypatch
):
    monkeypatch.setattr(dispatch, "_SETTLE_AGAIN", 0.01)
    attempt, failures = local.settling.attempt, 3

    def fails_at_first(*arguments):
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreUnavailable("gone")
        return attempt(*arguments)

    local.settling.attempt = fails_at_first
    number = await local.lay()
    await local.start()
    await local.until(lambda: local.told.rows)
    await local.quiet()
    assert len(local.operators.took) == 1
    assert await local.states(number) == ["DELIVERED"]


async def test_a_database_that_is_gone_at_the_moment_of_sending_stops_the_letter_not_the_queue(local):
    number = await local.lay()
    write, gone = local.store.write, False

    async def fails(operation):
        if gone:
            raise StoreUnavailable("gone")
        return await write(operation)

    def answer(_letter):
        nonlocal gone
        gone = True  # the claim is written; the mark is not
        asyncio.get_running_loop().call_later(0.02, back)
        return TAKEN

    def back():
        nonlocal gone
        gone = False
        local.operators.does.clear()

    local.operators.does["b.test"] = answer
    local.store.write = fails
    await local.start()
    await local.until(lambda: not gone and local.operators.asked)
    await local.until(lambda: local.dispatcher.counters.deferred)
    assert local.operators.took == []
    await local.passes(2 * MINUTE)
    assert len(local.operators.took) == 1
    assert await local.states(number) == ["DELIVERED"]
    assert [each.unsure for each in await local.recipients(number)] == [0]


async def test_an_attempt_that_tells_of_another_number_of_recipients_is_no_outcome(local):
    local.operators.does["b.test"] = [BUSY, BUSY]
    number = await local.lay()
    await local.start()
    await local.quiet()
    assert (await local.recipients(number))[0].last.reason == "internal"
    assert await local.states(number) == ["WAITING"]


async def test_a_slow_server_gives_its_place_to_others_after_half_a_minute(local):
    local.settings = local.settings.model_copy(update={"connections": 1, "connections_of_domain": 1})

    async def slow(_letter):
        local.clock.now += 20_000
        return TAKEN

    local.operators.does["a.test"] = slow
    for _ in range(6):
        await local.lay("x@a.test")
    await local.lay("bob@b.test")
    await local.start()
    await local.quiet()
    assert [domain for domain, _ in local.operators.asked].index("b.test") == 2
    assert len(local.operators.took) == 7


async def test_a_clock_that_was_put_back_stops_no_upkeep(local):
    await local.start()
    await local.quiet()
    local.clock.now -= DAY
    number = await local.lay()
    local.operators.does["b.test"] = NOT_THERE
    await local.passes(0)
    local.clock.now += 6 * HOUR
    await local.passes(0)
    assert local.told.fates == [("bob@b.test", Fate.DELAYED)]
    assert await local.states(number) == ["WAITING"]
