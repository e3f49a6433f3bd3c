"""What happens to an account while a letter for it is being sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery import service
from mail_server.delivery.interface import MailParameters, Road
from mail_server.keys.interface import KeyUnavailable
from mail_server.store.interface import NoSuchMessage
from mail_server.store.model import State
from policies.refusal import Refusal


def letter(sender: str, to: str, subject: str = "Sortie") -> bytes:
    return f"From: <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@essai>\r\n\r\nx\r\n".encode()


def while_composing(desk, event: Callable[[], Awaitable[object]]) -> None:
    """Let something happen once, between the copies being made and their being filed."""
    composer = desk.node.delivery._composer
    made = composer.copies

    async def copies(*arguments, **options):
        found = await made(*arguments, **options)
        composer.copies = made
        await event()
        return found

    composer.copies = copies


async def test_a_letter_sealed_to_the_waiting_key_is_not_filed_once_that_key_is_gone(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.without_custody("gp")

    async def publish() -> None:
        desk.publish("gp")
        await desk.node.resealer.begin(gp)

    while_composing(desk, publish)
    await desk.send(robot, letter(robot.address, gp.address), gp.address)
    assert desk.node.operator_keys.existing(gp.id) is None
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    assert desk.open("gp", stored).subject == "Sortie"


async def test_a_member_removed_meanwhile_has_no_key_packet(desk) -> None:
    robot, nurse, doctor = (
        await desk.account("robot", Kind.APP), await desk.sealed("nurse"), await desk.sealed("doctor"),
    )  # fmt: skip
    ward = await desk.ward(nurse, doctor)
    while_composing(desk, lambda: desk.node.accounts.member_remove(ward.id, nurse.id))
    await desk.send(robot, letter(robot.address, ward.address), ward.address)
    [(_, stored)] = await desk.inbox(ward)
    assert desk.open("doctor", stored).subject == "Sortie"
    with pytest.raises(Exception, match="cannot open"):
        desk.open("nurse", stored)


async def test_an_account_suspended_meanwhile_receives_nothing(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    while_composing(desk, lambda: desk.node.accounts.suspend(gp.id))
    with pytest.raises(Refusal, match="recipient-gone"):
        await desk.send(robot, letter(robot.address, gp.address), gp.address)
    assert await desk.inbox(gp) == []


async def test_no_waiting_key_is_a_refusal_for_now_and_in_the_trace(desk, monkeypatch) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.without_custody("gp")

    async def none(*_):
        raise KeyUnavailable("no memory file system")

    monkeypatch.setattr(desk.node.operator_keys, "certificate_for", none)
    with pytest.raises(Refusal, match="sealing-failed") as refused:
        await desk.send(robot, letter(robot.address, gp.address), gp.address)
    assert refused.value.code == 451


async def test_one_letter_that_cannot_be_sealed_again_keeps_no_other_waiting(desk, monkeypatch) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    for subject in ("un", "deux", "trois"):
        await desk.send(robot, letter(robot.address, gp.address, subject), gp.address)
    (gone, _), (bad, _), _ = await desk.inbox(gp)
    opened = desk.node.resealer._open

    async def open_one(account, origin):
        if origin.message == gone.message:
            raise NoSuchMessage
        if origin.message == bad.message:
            raise Refusal(552, "5.3.4", "The message header is too large", "header-too-large")
        return await opened(account, origin)

    monkeypatch.setattr(desk.node.resealer, "_open", open_one)
    desk.publish("gp")
    await desk.node.resealer.begin(gp)
    states = {row.message: row.state for row, _ in await desk.inbox(gp)}
    assert sorted(states.values()).count(State.SEALED) == 1
    assert states[bad.message] is State.CUSTODY


async def test_a_letter_sent_again_has_an_answer_that_the_trace_knows(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    sent = letter(robot.address, gp.address)
    await desk.send(robot, sent, gp.address)
    again = await desk.node.delivery.deliver(await desk.envelope(robot, gp.address), sent)
    await desk.node.trace.stop()
    [(outcome, subject)] = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT outcome, subject FROM audit_entry WHERE reference = ?", (again.id,)
        )
    )
    assert (outcome, subject) == ("already-filed", gp.id)


async def test_a_stop_does_not_wait_for_every_key_still_to_be_made(desk, monkeypatch) -> None:
    made: list[str] = []

    async def slow(account, address):
        made.append(account)
        await asyncio.sleep(3600)

    monkeypatch.setattr(desk.node.operator_keys, "certificate_for", slow)
    robot = await desk.account("robot", Kind.APP)
    for number in range(3):
        labo = await desk.account(f"labo{number}", Kind.APP)
        await desk.send(robot, letter(robot.address, labo.address, str(number)), labo.address)
    await asyncio.sleep(0)
    assert isinstance(desk.node.delivery, service.DeliveryService)
    await asyncio.wait_for(desk.node.delivery.stop(), 60)
    assert len(made) == 1


async def test_a_header_without_its_last_line_end_does_not_join_ours(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, f"From: <{robot.address}>\r\nTo: {gp.address}".encode(), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    assert f"\r\nTo: {gp.address}\r\n".encode() in stored


async def test_a_session_that_outlives_its_password_hands_over_nothing(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.envelope(robot, gp.address)
    [password] = desk.node.accounts.app_passwords(robot.id)
    identity = (await desk.envelope(robot)).sender.identity
    peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
    await desk.node.accounts.app_password_revoke(robot.id, password.id)
    with pytest.raises(Refusal) as refused:
        await desk.node.delivery.admit_sender(Road.CLIENT, robot.address, MailParameters(), peer, identity)
    assert (refused.value.code, refused.value.enhanced, refused.value.reason) == (
        550, "5.7.8", "credential-revoked",
    )  # fmt: skip


async def test_a_letter_sealed_to_a_key_that_was_destroyed_meanwhile_is_sealed_again(desk) -> None:
    """The certificate in force appeared and went (expired) while the letter was being made: the plan is as before."""
    robot, gp = await desk.account("robot", Kind.APP), await desk.without_custody("gp")

    async def retire() -> None:
        assert await desk.node.resealer._destroy_operator_key(gp)

    while_composing(desk, retire)
    await desk.send(robot, letter(robot.address, gp.address), gp.address)
    assert desk.node.operator_keys.existing(gp.id) is not None
    desk.publish("gp")
    assert await desk.node.resealer.begin(gp) == 1
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    assert desk.open("gp", stored).subject == "Sortie"


async def test_a_ward_whose_members_are_all_suspended_receives_later_not_openly(desk) -> None:
    robot, nurse = await desk.account("robot", Kind.APP), await desk.sealed("nurse")
    ward = await desk.ward(nurse)
    await desk.node.accounts.suspend(nurse.id)
    with pytest.raises(Refusal) as refused:
        await desk.envelope(robot, ward.address)
    assert (refused.value.code, refused.value.enhanced, refused.value.reason) == (
        450, "4.2.1", "no-active-reader",
    )  # fmt: skip
    await desk.node.accounts.reinstate(nurse.id)
    await desk.send(robot, letter(robot.address, ward.address), ward.address)
    [(row, _)] = await desk.inbox(ward)
    assert row.state is State.SEALED


async def test_a_letter_of_who_was_revoked_while_it_was_being_sealed_is_not_filed(desk) -> None:
    sender, gp = await desk.account("doctor", Kind.PER), await desk.without_custody("gp")
    envelope = await desk.envelope(sender, gp.address)
    (password,) = desk.node.accounts.app_passwords(sender.id)
    while_composing(desk, lambda: desk.node.accounts.app_password_revoke(sender.id, password.id))
    with pytest.raises(Refusal) as refused:
        await desk.node.delivery.deliver(envelope, letter(sender.address, gp.address))
    assert (refused.value.code, refused.value.reason) == (550, "credential-revoked")
    assert await desk.inbox(gp) == []
