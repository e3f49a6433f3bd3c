"""Readers and what is sealed: delegates, ends, leavers; a Sent that all who write for an account share."""

from __future__ import annotations

import pytest

from directory.openpgp.packets import key_packet, spans
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import HELD, Identity, Kind, Peer, Role
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.model import Flag, SpecialUse, State
from policies.refusal import Refusal

MINUTE = 60_000
LETTER = (
    b"From: %b\r\nTo: %b\r\nSubject: Bilan de Mme Vasarely\r\nMessage-ID: <%b@example.test>\r\n"
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100\r\n\r\nLe texte.\r\n"
)


def letter(sender, recipient, name=b"one"):
    return LETTER % (sender.address.encode(), recipient.address.encode(), name)


def now(desk):
    return desk.node.accounts.clock()


async def delegate(desk, holder, person, rights="lrsp", until=None, **more):
    return await desk.node.accounts.grant_set(
        holder.id, person.id, Role.DELEGATE, rights, until, "console:test", **more
    )


async def keys_of_newest(desk, account):
    """Key ids that the newest letter of INBOX names."""

    def query(reader):
        box = reader.mailbox_by_use(account.id, SpecialUse.INBOX)
        packets = reader.key_packets(reader.memberships(box.id)[-1].message)
        return {key_packet(each.body(packets)).key_id for each in spans(packets)}

    return await desk.node.store.read(query)


def key(desk, account):
    return desk.node.directory.certificate(account.address, now(desk)).certificate.encryption_key_id


async def in_mailbox(desk, account, use=SpecialUse.SENT):
    def query(reader):
        box = reader.mailbox_by_use(account.id, use)
        rows = reader.rows(box.id, [one.uid for one in reader.memberships(box.id)])
        return [(row, reader.content(row.message)) for row in rows]

    return await desk.node.store.read(query)


async def send_for(desk, person, author, message, *recipients, kept_in=None):
    """`person` is logged in and writes as `author`."""
    speaker = Identity(person.id, person.address, person.kind, HELD, "submission-1")
    peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
    admitted = await desk.node.delivery.admit_sender(
        Road.CLIENT, author.address, MailParameters(), peer, speaker
    )
    envelope = Envelope(admitted, kept_in=kept_in)
    for each in recipients:
        envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, each.address))
    await desk.node.delivery.deliver(envelope, message)


async def events(desk, action):
    await desk.node.trace.flush() if hasattr(desk.node.trace, "flush") else None
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, subject, outcome FROM audit_entry WHERE action = ? ORDER BY seq", (action,)
        )
    )
    return [tuple(row) for row in rows]


# ── who is sealed to ──


async def test_a_delegate_opens_what_comes_while_their_time_lasts(desk):
    marie, luc, carole = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    sender = carole
    await delegate(desk, marie, luc)
    await desk.send(sender, letter(sender, marie), marie.address)
    assert await keys_of_newest(desk, marie) == {key(desk, marie), key(desk, luc)}


async def test_a_leaver_opens_nothing_of_the_next_letter(desk):
    marie, luc, sender = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    await delegate(desk, marie, luc)
    await desk.node.accounts.grant_end(marie.id, luc.id, "console:test")
    await desk.send(sender, letter(sender, marie), marie.address)
    assert await keys_of_newest(desk, marie) == {key(desk, marie)}


async def test_whose_time_is_over_or_has_not_come_is_not_sealed_to_without_any_sweep(desk):
    marie, luc, sender = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    start = now(desk)
    await delegate(desk, marie, luc, until=start + 3 * MINUTE, since=start + MINUTE)
    for minutes, expected in ((0, {marie}), (2, {marie, luc}), (4, {marie})):
        desk.node.accounts.clock = lambda minutes=minutes: start + minutes * MINUTE
        await desk.send(sender, letter(sender, marie, b"m%d" % minutes), marie.address)
        assert await keys_of_newest(desk, marie) == {key(desk, each) for each in expected}


@pytest.mark.parametrize("how", ["suspended", "no right to read"])
async def test_who_may_not_read_is_not_sealed_to(desk, how):
    marie, luc, sender = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    await delegate(desk, marie, luc, rights="lp" if how == "no right to read" else "lr")
    if how == "suspended":
        await desk.node.accounts.suspend(luc.id)
    await desk.send(sender, letter(sender, marie), marie.address)
    assert await keys_of_newest(desk, marie) == {key(desk, marie)}


async def test_a_delegate_without_a_key_keeps_nobody_from_sealing(desk):
    marie, sender = [await desk.sealed(each) for each in ("gp", "doctor")]
    await delegate(desk, marie, await desk.account("nurse"))
    await desk.send(sender, letter(sender, marie), marie.address)
    ((row, _),) = await desk.inbox(marie)
    assert row.state is State.SEALED
    assert await keys_of_newest(desk, marie) == {key(desk, marie)}


async def test_an_outsider_who_knows_of_no_delegate_may_seal_to_the_holder_alone(desk):
    marie, luc = [await desk.sealed(each) for each in ("gp", "nurse")]
    await delegate(desk, marie, luc)
    plan = desk.node.planner.plan(desk.node.accounts.by_id(marie.id))
    assert {one.encryption_key_id for one in plan.sealing_set} == {key(desk, marie), key(desk, luc)}
    assert [one.encryption_key_id for one in plan.required] == [key(desk, marie)]


async def test_a_shared_account_whose_last_readers_time_is_over_is_not_laid_down_openable(desk):
    luc, sender = [await desk.sealed(each) for each in ("nurse", "doctor")]
    ward = await desk.ward()
    start = now(desk)
    await desk.node.accounts.grant_set(ward.id, luc.id, Role.MEMBER, "lr", start + MINUTE, "console:test")
    desk.node.accounts.clock = lambda: start + 2 * MINUTE
    for _ in range(2):  # before and after the sweep
        with pytest.raises(Refusal) as refused:
            await desk.send(sender, letter(sender, ward), ward.address)
        assert (refused.value.code, refused.value.reason) == (450, "no-active-reader")
        await desk.node.accounts.sweep_grants()


async def test_the_end_of_a_grant_is_told_and_traced_once(desk):
    marie, luc = [await desk.sealed(each) for each in ("gp", "nurse")]
    told = []
    desk.node.accounts.changed.append(lambda change: told.append((change.what.value, change.member)))
    start = now(desk)
    await delegate(desk, marie, luc, until=start + MINUTE)
    desk.node.accounts.clock = lambda: start + 2 * MINUTE
    assert desk.node.accounts.shared_with(luc.id) == []
    await desk.node.accounts.sweep_grants()
    await desk.node.accounts.sweep_grants()
    assert told == [("member-added", luc.id), ("member-removed", luc.id)]
    assert await events(desk, "delegate-remove") == [("node", marie.id, "ended")]
    assert desk.node.accounts.by_id(marie.id).grants == ()


@pytest.mark.parametrize(
    ("holder", "person", "role", "rights", "reason"),
    [
        ("gp", "nurse", Role.MEMBER, "lr", "not-shared"),
        ("ward", "nurse", Role.DELEGATE, "lr", "not-a-person"),
        ("gp", "ward", Role.DELEGATE, "lr", "not-a-person"),
        ("gp", "gp", Role.DELEGATE, "lr", "own-account"),
        ("gp", "nurse", Role.DELEGATE, "lrz", "bad-rights"),
        ("gp", "nurse", Role.DELEGATE, "", "bad-rights"),
    ],
)
async def test_what_is_no_grant_is_refused(desk, holder, person, role, rights, reason):
    known = {"gp": await desk.account("gp"), "nurse": await desk.account("nurse")}
    known["ward"] = await desk.account("ward", Kind.ORG)
    with pytest.raises(AccountError) as refused:
        await desk.node.accounts.grant_set(known[holder].id, known[person].id, role, rights, None, "x")
    assert refused.value.reason == reason


# ── who may say who reads ──


async def test_a_holder_chooses_their_delegates_and_nobody_else_does(desk):
    marie, luc, carole = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    await desk.node.sharing.let(marie.id, marie.id, luc.id, "lr", None)
    with pytest.raises(AccountError) as refused:
        await desk.node.sharing.let(luc.id, marie.id, carole.id, "lr", None)
    assert refused.value.reason == "not-yours"
    await desk.node.sharing.end(luc.id, marie.id, luc.id)  # everyone may leave
    assert desk.node.accounts.by_id(marie.id).grants == ()


async def test_who_has_no_key_is_not_let_in_to_what_is_sealed(desk):
    marie = await desk.sealed("gp")
    luc = await desk.account("nurse")
    with pytest.raises(AccountError) as refused:
        await desk.node.sharing.let(marie.id, marie.id, luc.id, "lr", None)
    assert refused.value.reason == "no-key"
    await desk.node.sharing.let(marie.id, marie.id, luc.id, "lp", None)


# ── writing for another ──


async def test_a_delegate_writes_for_the_holder_only_with_the_right_to(desk):
    marie, luc, carole = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    await delegate(desk, marie, luc, rights="lr")
    with pytest.raises(Refusal) as refused:
        await send_for(desk, luc, marie, letter(marie, carole), carole)
    assert refused.value.reason == "sender-not-yours"
    await delegate(desk, marie, luc, rights="lrp")
    await send_for(desk, luc, marie, letter(marie, carole), carole)
    assert len(await desk.inbox(carole)) == 1
    assert (luc.id, carole.id, "sealed") in await events(desk, "deliver")


async def test_what_a_member_sends_for_the_ward_lies_in_its_sent_sealed_to_all_members(desk):
    marie, luc, carole = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    ward = await desk.ward(marie, luc)
    await send_for(desk, marie, ward, letter(ward, carole), carole)
    ((row, stored),) = await in_mailbox(desk, ward)
    assert (row.state, row.flags) == (State.SEALED, Flag.SEEN)
    packets = await desk.node.store.read(lambda reader: reader.key_packets(row.message))
    assert {key_packet(each.body(packets)).key_id for each in spans(packets)} == {
        key(desk, marie),
        key(desk, luc),
    }
    assert b"Vasarely" not in stored
    assert b"Bilan de Mme Vasarely" in desk.open("nurse", stored).inner
    assert await events(desk, "keep") == [(marie.id, ward.id, "sealed")]
    assert await in_mailbox(desk, marie) == []


async def test_a_program_that_keeps_its_own_copy_there_adds_none(desk):
    marie, carole = [await desk.sealed(each) for each in ("gp", "doctor")]
    ward = await desk.ward(marie)
    message = letter(ward, carole)
    await send_for(desk, marie, ward, message, carole)
    ((row, _),) = await in_mailbox(desk, ward)
    box = await desk.node.store.read(lambda r: r.mailbox_by_use(ward.id, SpecialUse.SENT))
    identity = Identity(marie.id, marie.address, Kind.PER, "PLAIN", "x")
    filed = await desk.node.delivery.keep(identity, box.id, message, Flag.SEEN, frozenset(), None)
    assert (filed.uid, filed.message) == (row.uid, row.message)
    assert len(await in_mailbox(desk, ward)) == 1
    assert (marie.id, ward.id, "already-filed") in await events(desk, "keep")


async def test_a_copy_that_the_program_kept_first_is_the_only_one(desk):
    marie, carole = [await desk.sealed(each) for each in ("gp", "doctor")]
    ward = await desk.ward(marie)
    message = letter(ward, carole)
    box = await desk.node.store.read(lambda r: r.mailbox_by_use(ward.id, SpecialUse.SENT))
    identity = Identity(marie.id, marie.address, Kind.PER, "PLAIN", "x")
    await desk.node.delivery.keep(identity, box.id, message, Flag.SEEN, frozenset(), None)
    await send_for(desk, marie, ward, message, carole)
    assert len(await in_mailbox(desk, ward)) == 1
    await send_for(desk, marie, ward, letter(ward, carole, b"two"), carole)
    assert len(await in_mailbox(desk, ward)) == 2


async def test_a_letter_handed_over_recipient_by_recipient_is_kept_once(desk):
    marie, luc, carole = [await desk.sealed(each) for each in ("gp", "nurse", "doctor")]
    ward = await desk.ward(marie)
    message = letter(ward, carole)
    for recipient in (luc, carole):
        await send_for(desk, marie, ward, message, recipient)
    assert len(await in_mailbox(desk, ward)) == 1


async def test_where_the_letter_lies_in_the_account_already_none_is_added(desk):
    marie, carole = [await desk.sealed(each) for each in ("gp", "doctor")]
    ward = await desk.ward(marie)
    await send_for(desk, marie, ward, letter(ward, carole), carole, kept_in=ward.id)
    assert await in_mailbox(desk, ward) == []


async def test_who_writes_for_themselves_has_no_second_copy(desk):
    marie, carole = [await desk.sealed(each) for each in ("gp", "doctor")]
    await desk.send(marie, letter(marie, carole), carole.address)
    assert await in_mailbox(desk, marie) == []


async def test_a_reader_without_the_right_to_insert_keeps_nothing_there(desk):
    marie, luc = [await desk.sealed(each) for each in ("gp", "nurse")]
    await delegate(desk, marie, luc, rights="lrp")
    box = await desk.node.store.read(lambda r: r.mailbox_by_use(marie.id, SpecialUse.SENT))
    identity = Identity(luc.id, luc.address, Kind.PER, "PLAIN", "x")
    with pytest.raises(Refusal) as refused:
        await desk.node.delivery.keep(identity, box.id, letter(marie, luc), Flag.NONE, frozenset(), None)
    assert refused.value.reason == "mailbox-not-yours"
