"""Receipts to professionals of other operators when a patient here opens their letter; and theirs to ours."""

from __future__ import annotations

import email
import email.policy

import pytest

from mail_server import mime
from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.outbound.interface import Form, Notify, Readable

MARIE = "marie@voisin.test"


async def admitted(desk, mail_from: str) -> Envelope:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    return Envelope(
        await desk.node.delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None)
    )


async def writes(desk, patient, *, asks: str = MARIE, mail_from: str = MARIE, more: str = "") -> None:
    """A letter of another operator's professional to a patient of ours."""
    envelope = await admitted(desk, mail_from)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, patient.alias))
    message = (
        f"From: <{mail_from or MARIE}>\r\nTo: <{patient.alias}>\r\nSubject: Bilan secret\r\n"
        f"Message-ID: <loin@voisin.test>\r\nDisposition-Notification-To: <{asks}>\r\n{more}\r\nBonjour.\r\n"
    )
    await desk.node.delivery.deliver(envelope, message.encode())


async def opens(desk, patient) -> int:
    headers = [row.rendered.header for row, _ in await desk.inbox(patient)]
    await desk.node.correspondence.receipts.opened(patient.id, headers)
    return await desk.node.correspondence.receipts.send_due()


def read(data: bytes):
    return email.message_from_bytes(data, policy=email.policy.default)


async def test_who_wrote_from_another_operators_is_told_once_from_nobody(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await writes(desk, patient)
    assert await opens(desk, patient) == 1
    assert await opens(desk, patient) == 0
    [laid] = way.laid
    assert (laid.account, laid.mail_from, laid.domain, laid.form) == (None, "", "voisin.test", Form.GATED)
    assert [(one.address, one.notify) for one in laid.recipients] == [(MARIE, Notify.NEVER)]
    assert not laid.result
    [queued] = await way.queued()
    assert b"Accus" not in queued
    receipt = read(way.opened_by_the_gate(queued))
    assert receipt.get_content_type() == "multipart/report"
    assert receipt["From"] == patient.alias
    assert receipt["To"] == MARIE
    assert receipt["In-Reply-To"] == "<loin@voisin.test>"
    assert receipt["Auto-Submitted"] == "auto-replied"
    told = email.message_from_string(receipt.get_payload()[1].get_payload()[0].as_string())
    assert told["Original-Message-ID"] == "<loin@voisin.test>"
    assert told["Final-Recipient"] == f"rfc822; {patient.alias}"
    assert patient.address not in receipt.as_string()
    assert "secret" not in receipt.as_string()


async def test_a_receipt_is_sealed_to_who_has_a_certificate(desk, way) -> None:
    patient = await desk.patient(activated=True)
    way.publish("marie")
    await writes(desk, patient)
    assert await opens(desk, patient) == 1
    [laid] = way.laid
    assert (laid.form, laid.readable) == (Form.WIRE, Readable.SEALED)
    [queued] = await way.queued()
    assert mime.is_encrypted(mime.parse(queued)) == "pgp"
    inner = desk.open("marie", queued).message
    assert inner["Subject"] == "Accusé de lecture / Read receipt"


@pytest.mark.parametrize(
    "how",
    [
        {"asks": "paul@voisin.test"},
        {"asks": "marie@ailleurs.test"},
        {"asks": f"{MARIE}>, <paul@voisin.test"},
        {"mail_from": "", "more": "Auto-Submitted: auto-replied\r\n"},
        {"more": "Auto-Submitted: auto-replied\r\n"},
    ],
)
async def test_it_goes_to_where_the_letter_came_from_or_nowhere(desk, way, how) -> None:
    # RFC 8098 §2.1: Disposition-Notification-To and Return-Path are one address.
    patient = await desk.patient(activated=True)
    await writes(desk, patient, **how)
    assert await opens(desk, patient) == 0
    assert way.laid == []


async def test_nothing_of_who_wrote_lies_in_clear(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await writes(desk, patient)
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all("SELECT address, message_id FROM receipt")
    )
    assert rows
    for row in rows:
        assert all(MARIE.encode() not in bytes(value) and b"loin@" not in bytes(value) for value in row)


async def test_where_letters_do_not_leave_nobody_there_is_told(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await writes(desk, patient)
    desk.node.correspondence.receipts._peer_keys = None
    assert await opens(desk, patient) == 0
    assert way.laid == []


async def test_a_receipt_waits_while_it_cannot_be_made_ready_and_leaves_once(desk, way, monkeypatch) -> None:
    patient = await desk.patient(activated=True)
    await writes(desk, patient)

    async def down(address: str):
        raise OSError

    receipts = desk.node.correspondence.receipts
    monkeypatch.setattr(way.keys, "find", down)
    assert await opens(desk, patient) == 0
    monkeypatch.undo()
    clock = receipts._clock
    receipts._clock = lambda: clock() + 61_000
    assert await receipts.send_due() == 1
    assert await receipts.send_due() == 0
    assert len(way.laid) == 1


def mdn(author: str, to: str, original: str, more: str = "") -> bytes:
    return (
        f"From: <{author}>\r\nTo: <{to}>\r\nSubject: Read\r\nMessage-ID: <mdn@voisin.test>\r\n{more}"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n"
        "\r\n--b\r\nContent-Type: text/plain\r\n\r\nDisplayed.\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822; {author}\r\nOriginal-Message-ID: {original}\r\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
    ).encode()


async def test_a_receipt_of_another_operator_lies_beside_the_letter_it_answers(desk, way) -> None:
    # RFC 8098 §3.2.5: Original-Message-ID names it; many programs send nothing else that would.
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    header = f"From: <{nurse.address}>\r\nTo: <{gp.address}>\r\nSubject: x\r\nMessage-ID: <un@essai>\r\n"
    await desk.send(nurse, f"{header}\r\nBonjour.\r\n".encode(), gp.address)
    envelope = await admitted(desk, "")
    envelope.add(await desk.node.delivery.admit_recipient(envelope, gp.address))
    await desk.node.delivery.deliver(envelope, mdn(MARIE, gp.address, "<un@essai>"))
    (first, _), (second, stored) = await desk.inbox(gp)
    assert first.thread_id == second.thread_id
    assert desk.open("gp", stored).message.get_content_type() == "multipart/report"
    rows = await desk.node.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM report_owed"))
    assert rows[0][0] == 0
