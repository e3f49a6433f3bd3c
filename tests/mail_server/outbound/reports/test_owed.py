"""Who is told of what, once, whatever crashes (RFC 3461 §5.2; the account's wish where nothing was asked)."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
from dataclasses import replace

import pytest

from mail_server.accounts.interface import Account, Kind
from mail_server.outbound.interface import Form, Notify, Outgoing, Readable
from mail_server.outbound.reports.interface import Fate, Kept, Settled
from mail_server.outbound.reports.owed import wanted
from mail_server.store.interface import AlreadyFiled, StoreUnavailable, Transaction
from mail_server.store.model import AccountId
from policies.refusal import Refusal
from tests.mail_server.outbound.reports.conftest import (
    ALICE,
    DOMAIN,
    HEAD,
    START,
    World,
    outcome,
    settled,
    told,
)

LATER = outcome(reason="peer-4yz", code=451, enhanced="4.3.0", said="busy")


def subject_of(message: bytes) -> str:
    return str(email.message_from_bytes(message, policy=email.policy.default)["Subject"])


NONE, SUCCESS, FAILURE, DELAY, NEVER = (
    Notify.NONE, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER,
)  # fmt: skip


@pytest.mark.parametrize(
    ("notify", "result", "fates"),
    [
        (NONE, False, {Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED, Fate.DELAYED}),
        (NONE, True, {Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED, Fate.DELAYED, Fate.RELAYED}),
        (NEVER, True, set()),
        (SUCCESS, False, {Fate.RELAYED, Fate.DELIVERED}),
        (FAILURE, True, {Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED}),
        (DELAY, True, {Fate.DELAYED}),
        (SUCCESS | FAILURE | DELAY, False, set(Fate)),
    ],
)
def test_who_is_told_of_what(notify: Notify, result: bool, fates: set[Fate]):
    letter = told(result=result)
    assert {fate for fate in Fate if wanted(letter, settled(fate, notify=notify))} == fates
    assert not any(wanted(replace(letter, mail_from=""), settled(fate, notify=notify)) for fate in Fate)


async def test_a_failure_is_told_once_to_who_wrote(world: World):
    await world.owe(told(), settled())
    assert await world.later(0) == 0, "recipients settled a moment later come in the same report"
    assert await world.later(4) == 1
    assert await world.later(4) == 0
    [(account, message)] = world.delivery.filed
    assert account == ALICE
    assert subject_of(message).startswith("Message non distribué")
    [event] = world.trail.events
    assert (event.action, event.subject, event.outcome, event.reference) == (
        "delivery-report", ALICE.id, "failed", "R1",
    )  # fmt: skip
    assert world.reports.counters.failed == 1


async def test_recipients_of_one_letter_are_told_of_together(world: World):
    # Sealed letters and submissions by JMAP are one queue letter for each recipient, under other references.
    await world.owe(told(), settled())
    await world.owe(
        told(reference="R2", readable=Readable.GATED),
        settled(Fate.RELAYED, "carol@voisin.test", notify=SUCCESS),
    )
    await world.owe(told(reference="R9", head=HEAD.replace(b"<un@", b"<deux@")), settled())
    assert await world.later(4) == 2
    [together] = [message for _, message in world.delivery.filed if b"<un@" in message]
    words = email.message_from_bytes(together, policy=email.policy.default).get_payload()[0].get_content()  # type: ignore[union-attr, index]
    assert "bob@voisin.test" in words
    assert "carol@voisin.test" in words
    assert "but readable by it" in words


async def test_who_mistyped_an_address_reads_whom_they_may_have_meant(world: World):
    asked: list[tuple[str, str]] = []

    def meant(account: str, address: str) -> tuple[str, ...]:
        asked.append((account, address))
        return ("rob@voisin.test", "bobby@voisin.test")

    world.reports._meant = meant
    await world.owe(
        told(),
        settled(),
        settled(to="carol@voisin.test", last=outcome(enhanced="5.2.2", said="Full")),
        settled(Fate.RELAYED, "dave@voisin.test", notify=SUCCESS),
    )
    await world.later(4)
    [(_, message)] = world.delivery.filed
    words = email.message_from_bytes(message, policy=email.policy.default).get_payload()[0].get_content()  # type: ignore[union-attr, index]
    assert asked == [(ALICE.id, "bob@voisin.test")]
    assert words.count("Vouliez-vous écrire à rob@voisin.test ou bobby@voisin.test\u00a0?") == 1
    assert words.count("Did you mean rob@voisin.test or bobby@voisin.test?") == 1


async def test_what_became_of_a_recipient_last_is_told(world: World):
    await world.owe(told(), settled(Fate.DELAYED, last=LATER, notify=SUCCESS | DELAY))
    await world.owe(told(), settled(Fate.RELAYED, notify=SUCCESS | DELAY))
    await world.later(4)
    [(_, message)] = world.delivery.filed
    assert subject_of(message).startswith("Message remis")


async def test_a_letter_is_late_once(world: World):
    until = START + 1000
    await world.owe(told(), settled(Fate.DELAYED, last=LATER, until=until))
    await world.owe(told(), settled(Fate.DELAYED, "carol@autre.test", last=LATER, until=until))
    assert await world.later(4) == 0, "delays wait a minute for each other"
    assert await world.later(60) == 1
    assert b"carol@autre.test" in world.delivery.filed[0][1]
    await world.owe(told(), settled(Fate.DELAYED, "dave@voisin.test", last=LATER, until=until))
    assert await world.later(120) == 0
    await world.owe(told(), settled(Fate.EXPIRED, last=LATER))
    assert await world.later(4) == 1


@pytest.mark.parametrize("notify", [NEVER, NONE])
async def test_what_nobody_is_to_be_told_costs_no_row(world: World, notify: Notify):
    fate = Fate.RELAYED if notify is NONE else Fate.FAILED
    await world.owe(told(), settled(fate, notify=notify))
    await world.owe(told(mail_from="", account=None), settled())
    assert await world.owed() == 0


async def test_a_crash_before_the_commit_tells_later_and_after_it_never_again(world: World):
    await world.owe(told(), settled())
    world.delivery.failure = StoreUnavailable()
    assert await world.later(4) == 0
    world.delivery.failure = None
    assert await world.later(30) == 0, "a minute is left to who was down"
    world.delivery.dies_after_commit = True
    assert await world.later(60) == 0
    world.delivery.dies_after_commit = False
    assert await world.later(86_400) == 0
    assert len(world.delivery.filed) == 1
    assert await world.owed() == 0


async def test_a_report_is_the_same_bytes_at_each_attempt(world: World):
    await world.owe(told(), settled())
    world.delivery.failure = Refusal(451, "4.2.1", "A mailbox was closed", "recipient-gone")
    await world.later(4)
    world.delivery.failure = None
    rows = await world.store.read(lambda reader: world.reports._rows.next(reader.sql, START * 2, 9))
    first = world.reports._composed(rows, "x@y", *world.reports._opened(rows))
    await world.later(7200)
    assert first == world.reports._composed(rows, "x@y", *world.reports._opened(rows))


async def test_a_suspended_account_is_told_when_it_is_back_and_a_closed_one_never(world: World):
    world.delivery.failure = Refusal(451, "4.2.1", "A mailbox was closed", "recipient-gone")
    await world.owe(told(), settled())
    await world.later(4)
    assert await world.owed() == 1
    world.people.accounts[ALICE.id] = replace(ALICE, closed=True)
    assert await world.later(7200) == 0
    assert await world.owed() == 0
    assert world.reports.counters.dropped == 1


async def test_what_cannot_be_told_for_a_week_is_let_go(world: World):
    world.delivery.failure = Refusal(451, "4.3.0", "sealing failed", "sealing-failed")
    await world.owe(told(), settled())
    for _ in range(40):
        await world.later(6 * 3600 + 1)
    assert await world.owed() == 0
    assert world.reports.counters.dropped == 1


async def test_a_row_that_does_not_open_stands_in_nobodys_way(world: World):
    await world.owe(told(), settled())
    await world.store.write(lambda tx: tx.sql.run("UPDATE report_owed SET sealed = ?", (b"damaged",)))
    await world.owe(told(head=HEAD.replace(b"<un@", b"<deux@")), settled())
    assert await world.later(4) == 1
    assert await world.owed() == 1


async def test_somebody_of_another_operator_is_told_by_the_queue_from_nobody(world: World):
    letter = told(account=None, mail_from="bob@voisin.test", head=HEAD)
    line = Settled(
        settled(to=f"alice@{DOMAIN}", notify=SUCCESS).recipient, Fate.DELIVERED, kept=Kept.NOBODY_ELSE
    )
    await world.owe(letter, line)
    assert await world.later(4) == 1
    assert await world.later(4) == 0
    assert world.delivery.filed == []
    [laid] = world.queue.laid
    assert isinstance(laid, Outgoing)
    assert (laid.mail_from, laid.account, laid.domain, laid.form) == ("", None, "voisin.test", Form.WIRE)
    [recipient] = laid.recipients
    assert (recipient.address, recipient.notify) == ("bob@voisin.test", Notify.NEVER)
    assert not laid.result
    assert world.queue.woken == 1
    assert b"Subject" not in laid.head
    [event] = world.trail.events
    assert "voisin.test" in event.detail.values()
    assert all("bob" not in str(each) for each in event.detail.values())


async def test_a_report_to_another_operator_is_signed_in_our_name(world: World):
    async def sign(wire: bytes, domain: str) -> bytes:
        assert wire.startswith(b"Date:")
        return f"DKIM-Signature: d={domain}\r\n".encode()

    staged: list[bytes] = []
    stage = world.store.stage

    async def look(owner, clear, *, compress):
        staged.append(clear)
        return await stage(owner, clear, compress=compress)

    world.store.stage = look  # type: ignore[method-assign]
    world.reports.tell_through(world.delivery, world.queue, sign)
    await world.owe(told(account=None, mail_from="bob@voisin.test"), settled(Fate.DELIVERED, notify=SUCCESS))
    assert await world.later(4) == 1
    assert staged[0].startswith(f"DKIM-Signature: d={DOMAIN}\r\nDate:".encode())


async def test_an_address_of_ours_that_nobody_has_any_more_is_told_nothing(world: World):
    await world.owe(told(account=None, mail_from=f"nobody@{DOMAIN}"), settled())
    assert await world.later(4) == 0
    assert world.queue.laid == []
    assert await world.owed() == 0


async def test_who_writes_for_a_shared_account_is_told_there(world: World):
    ward = Account(AccountId("w" * 20), f"ward@{DOMAIN}", Kind.ORG)
    world.people.accounts[ward.id] = ward
    await world.owe(told(account=ward.id, mail_from=ward.address), settled())
    await world.later(4)
    assert world.delivery.filed[0][0] == ward


async def test_what_another_node_told_meanwhile_is_not_told_again_and_the_rest_is_not_lost(world: World):
    await world.owe(told(), settled())
    await world.owe(told(), settled(to="carol@voisin.test"))
    file = world.delivery.file

    async def overtaken(account, message, fingerprint, note):  # type: ignore[no-untyped-def]
        def other(transaction: Transaction) -> None:
            [(first,)] = transaction.sql.all("SELECT id FROM report_owed ORDER BY owed_at, id LIMIT 1")
            transaction.sql.run("DELETE FROM report_owed WHERE id = ?", (first,))

        await world.store.write(other)
        with contextlib.suppress(AlreadyFiled):  # as delivery does
            await file(account, message, fingerprint, note)
        world.delivery.file = file  # type: ignore[method-assign]

    world.delivery.file = overtaken  # type: ignore[method-assign]
    assert await world.later(4) == 1
    [(_, message)] = world.delivery.filed
    assert message.count(b"Final-Recipient") == 1
    assert await world.owed() == 0


async def test_which_letters_were_late_is_forgotten_after_a_month(world: World):
    await world.owe(told(), settled(Fate.DELAYED, last=LATER))
    world.clock[0] += 31 * 86_400_000
    await world.reports._forget()
    rows = await world.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM report_delay"))
    assert rows[0][0] == 0


async def test_nothing_of_a_letter_lies_in_clear(world: World):
    line = settled(to="180067500001234@patient.mss.test", orcpt="rfc822;x+2By@voisin.test", last=LATER)
    await world.owe(told(envid="Enveloppe"), line)
    rows = await world.store.read(lambda reader: reader.sql.all("SELECT * FROM report_owed"))
    for row in rows:
        for value in row:
            held = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
            for word in (b"180067500001234", b"alice@", b"Enveloppe", b"busy", b"x+2By", b"<un@"):
                assert word not in held


async def test_the_loop_tells_by_itself_and_ends(world: World):
    world.reports.start()
    await world.owe(told(), settled())
    world.clock[0] += 4000
    world.reports.wake()
    for _ in range(3000):
        if world.delivery.filed:
            break
        await asyncio.sleep(0.02)
    await world.reports.stop()
    assert len(world.delivery.filed) == 1
