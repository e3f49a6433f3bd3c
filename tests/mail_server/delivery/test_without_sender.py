"""MAIL FROM:<> of a mail program: read receipts, and nothing else (RFC 8098 §3)."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server.accounts.interface import HELD, Identity, Peer
from mail_server.conversations.model import Standing
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.model import AccountId
from policies.refusal import Refusal


def receipt(
    sender: str, to: str, *, report: str = "disposition-notification", part: str = "disposition-notification"
) -> bytes:
    """As Thunderbird 128 sends it when somebody agrees to answer."""
    return (
        f"Subject: =?UTF-8?Q?Accus=C3=A9_de_r=C3=A9ception_=28affich=C3=A9=29_-_Bilan?=\r\nTo: <{to}>\r\n"
        f"From: Docteur <{sender}>\r\nReferences: <un@essai>\r\nMessage-ID: <accuse@essai>\r\n"
        "Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report;\r\n boundary="limite"; report-type={report}\r\n\r\n'
        "--limite\r\nContent-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Ceci est un accusé de réception.\r\n\r\n"
        f"--limite\r\nContent-Type: message/{part}\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        f"Reporting-UA: localhost; Thunderbird\r\nFinal-Recipient: rfc822; {sender}\r\n"
        "Original-Message-ID: <un@essai>\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n\r\n"
        "--limite\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        f"Message-ID: <un@essai>\r\nFrom: <{to}>\r\n\r\n--limite--\r\n"
    ).encode()


async def envelope_of(desk, sender, *recipients: str) -> Envelope:
    password = await desk.node.accounts.app_password_create(sender.id, "t")
    speaker = Identity(sender.id, sender.address, sender.kind, "PLAIN", password.id)
    peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
    admitted = await desk.node.delivery.admit_sender(Road.CLIENT, "", MailParameters(), peer, speaker)
    envelope = Envelope(admitted)
    for address in recipients:
        envelope.add(await desk.node.delivery.admit_recipient(envelope, address))
    return envelope


async def refused(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


async def test_a_read_receipt_is_filed_without_anybody_to_answer_to(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    envelope = await envelope_of(desk, gp, nurse.address)
    await desk.node.delivery.deliver(envelope, receipt(gp.address, nurse.address))
    [(_, stored)] = await desk.inbox(nurse)
    assert stored.startswith(b"Return-Path: <>\r\n")
    assert b"disposition-notification" in stored


async def test_a_receipt_leaves_for_another_operator_and_nothing_is_told_of_it(desk, way) -> None:
    gp = await desk.account("gp")
    envelope = await envelope_of(desk, gp, "marie@voisin.test")
    await desk.node.delivery.deliver(envelope, receipt(gp.address, "marie@voisin.test"))
    [one] = way.laid
    assert (one.mail_from, one.account, one.result) == ("", gp.id, False)


async def test_a_member_answers_for_their_shared_account(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    ward = await desk.ward(gp)
    envelope = await envelope_of(desk, gp, nurse.address)
    await desk.node.delivery.deliver(envelope, receipt(ward.address, nurse.address))
    assert len(await desk.inbox(nurse)) == 1


@pytest.mark.parametrize(
    ("report", "part"),
    [
        ("delivery-status", "delivery-status"),
        ("disposition-notification", "rfc822"),
        ("x", "disposition-notification"),
    ],
)
async def test_whatever_is_no_receipt_is_refused(desk, report: str, part: str) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    envelope = await envelope_of(desk, gp, nurse.address)
    sent = receipt(gp.address, nurse.address, report=report, part=part)
    refusal = await refused(desk.node.delivery.deliver(envelope, sent))
    assert refusal.reason == "null-sender-not-a-receipt"
    assert await desk.inbox(nurse) == []


async def test_a_letter_of_a_person_needs_its_sender(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    plain = f"From: <{gp.address}>\r\nTo: <{nurse.address}>\r\n\r\nBonjour.\r\n".encode()
    refusal = await refused(desk.node.delivery.deliver(await envelope_of(desk, gp, nurse.address), plain))
    assert refusal.reason == "null-sender-not-a-receipt"


async def test_nobody_answers_in_the_name_of_somebody_else(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    doctor = await desk.account("doctor")
    for name in (doctor.address, "marie@voisin.test"):
        envelope = await envelope_of(desk, gp, nurse.address)
        refusal = await refused(desk.node.delivery.deliver(envelope, receipt(name, nurse.address)))
        assert refusal.reason == "from-forged"


async def test_a_receipt_goes_to_one_addressee(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    doctor = await desk.account("doctor")
    envelope = await envelope_of(desk, gp, nurse.address, doctor.address)
    refusal = await refused(desk.node.delivery.deliver(envelope, receipt(gp.address, nurse.address)))
    assert refusal.reason == "receipt-to-several"


async def test_a_receipt_to_a_patient_opens_no_exchange(desk) -> None:
    gp, patient = await desk.account("gp"), await desk.patient()
    envelope = await envelope_of(desk, gp, patient.alias)
    await desk.node.delivery.deliver(envelope, receipt(gp.address, patient.alias))
    conversations = desk.node.correspondence.conversations
    standing = await desk.node.store.read(
        lambda reader: conversations.standing(reader, patient.id, AccountId(gp.id))
    )
    assert standing is Standing.NONE
    assert len(await desk.inbox(patient)) == 1


async def test_who_may_send_nothing_sends_no_receipt_either(desk) -> None:
    gp = await desk.account("gp")
    envelope = await envelope_of(desk, gp, (await desk.account("nurse")).address)
    await desk.node.accounts.suspend(gp.id)
    refusal = await refused(desk.node.delivery.deliver(envelope, receipt(gp.address, "nurse@mss.essai.test")))
    assert refusal.code == 550


async def test_a_patient_has_no_program_that_could_send_one(desk) -> None:
    patient = await desk.patient(activated=True)
    speaker = Identity(patient.id, patient.address, patient.kind, HELD, "submission-1")
    peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)
    refusal = await refused(desk.node.delivery.admit_sender(Road.CLIENT, "", MailParameters(), peer, speaker))
    assert refusal.reason == "sender-not-yours"
