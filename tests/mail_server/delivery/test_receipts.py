"""Read receipts: asked by a professional, sent once at the patient's first opening, whatever way it is opened."""

from __future__ import annotations

import asyncio
import email
import email.policy

import pytest

from mail_server import mime
from mail_server.store.interface import StoreUnavailable
from mail_server.store.model import State


def letter(sender: str, to: str, name: str = "un", more: str = "", asks: str | None = None) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: Bilan secret\r\nMessage-ID: <{name}@essai>\r\n"
        f"Disposition-Notification-To: <{asks or sender}>\r\n{more}\r\nBonjour.\r\n"
    ).encode()


async def asked(desk, **how):
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=True)
    await desk.send(gp, letter(gp.address, patient.alias, **how), patient.alias)
    return gp, patient


async def opens(desk, patient) -> None:
    headers = [row.rendered.header for row, _ in await desk.inbox(patient)]
    await desk.node.correspondence.receipts.opened(patient.id, headers)


async def sent(desk) -> int:
    return await desk.node.correspondence.receipts.send_due()


async def requested(desk, account) -> bool:
    [(row, _)] = await desk.inbox(account)
    fields = mime.fields(row.rendered.header)
    asked = desk.node.correspondence.asked
    return await desk.node.store.read(lambda reader: asked.requested(reader, account, fields))


async def test_the_first_opening_sends_one_receipt_sealed_that_tells_nothing_of_the_letter(desk) -> None:
    gp, patient = await asked(desk)
    assert await requested(desk, patient)
    assert await sent(desk) == 0, "nothing was opened"
    await opens(desk, patient)
    assert not await requested(desk, patient)
    assert await sent(desk) == 1
    await opens(desk, patient)
    assert await sent(desk) == 0
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    outside = email.message_from_bytes(stored, policy=email.policy.default)
    assert outside["Return-Path"] in (None, "<>")
    assert outside["Auto-Submitted"] == "auto-replied"
    assert outside["In-Reply-To"] == "<un@essai>"
    opened = desk.open("gp", stored)
    inner = opened.message
    assert inner.get_content_type() == "multipart/report"
    assert inner.get_param("report-type") == "disposition-notification"
    assert inner["From"] == patient.alias
    words, report = inner.get_payload()
    assert "a ouvert votre message" in words.get_content()
    told = email.message_from_string(report.get_payload()[0].as_string())
    assert told["Final-Recipient"] == f"rfc822; {patient.alias}"
    assert told["Original-Message-ID"] == "<un@essai>"
    assert told["Disposition"] == "manual-action/MDN-sent-automatically; displayed"
    assert told["Reporting-UA"] == "mss.essai.test; Vaguemestre"
    assert "secret" not in inner.as_string()
    assert "Bonjour" not in inner.as_string()


@pytest.mark.parametrize(
    "how",
    [
        {"asks": "autre@mss.essai.test"},
        {"asks": "gp@mss.essai.test>, <autre@mss.essai.test"},
        {"more": "Auto-Submitted: auto-replied\r\n"},
        {"more": 'Content-Type: multipart/report; boundary="b"\r\n\r\n--b\r\n\r\nLu.\r\n--b--\r\n'},
    ],
    ids=["another-address", "two-addresses", "automatic", "a-receipt"],
)
async def test_no_receipt_for_others_than_the_sender_nor_for_what_nobody_wrote(desk, how) -> None:
    _, patient = await asked(desk, **how)
    assert not await requested(desk, patient)
    await opens(desk, patient)
    assert await sent(desk) == 0


async def test_what_a_professional_opens_is_never_told(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    await desk.send(gp, letter(gp.address, nurse.address), nurse.address)
    await opens(desk, nurse)
    assert await sent(desk) == 0
    assert not await requested(desk, nurse)


async def test_a_patient_asks_for_no_receipt(desk) -> None:
    gp, patient = await asked(desk)
    envelope = await desk.page_envelope(patient, gp.address)
    await desk.node.delivery.deliver(envelope, letter(patient.alias, gp.address, "deux"))
    await opens(desk, gp)
    assert await sent(desk) == 0


async def test_an_opening_that_cannot_be_written_down_raises_so_that_nothing_is_shown(
    desk, monkeypatch
) -> None:
    _, patient = await asked(desk)

    async def fails(_) -> None:
        raise StoreUnavailable("down")

    headers = [row.rendered.header for row, _ in await desk.inbox(patient)]
    monkeypatch.setattr(desk.node.store, "write", fails)
    with pytest.raises(StoreUnavailable):
        await desk.node.correspondence.receipts.opened(patient.id, headers)


async def test_a_receipt_whose_filing_fails_is_sent_later_and_never_twice(desk, monkeypatch) -> None:
    gp, patient = await asked(desk)
    await opens(desk, patient)
    trail = desk.node.trail
    append = type(trail).append

    def breaks(self, sql, events):
        append(self, sql, events)
        if any(event.action == "receipt" for event in events):
            raise OSError("killed before the commit")

    monkeypatch.setattr(type(trail), "append", breaks)
    assert await sent(desk) == 0
    assert await desk.inbox(gp) == []
    monkeypatch.undo()
    assert await sent(desk) == 0, "not before its time"
    await desk.node.store.write(lambda tx: tx.sql.run("UPDATE receipt SET due = 1 WHERE sent_at IS NULL"))
    assert await sent(desk) == 1
    assert await sent(desk) == 0
    assert len(await desk.inbox(gp)) == 1


async def test_a_doctor_whose_mailbox_is_suspended_gets_it_once_it_is_back(desk) -> None:
    gp, patient = await asked(desk)
    await opens(desk, patient)
    await desk.node.accounts.suspend(gp.id)
    assert await sent(desk) == 0
    await desk.node.accounts.reinstate(gp.id)
    await desk.node.store.write(lambda tx: tx.sql.run("UPDATE receipt SET due = 1 WHERE sent_at IS NULL"))
    assert await sent(desk) == 1


async def test_two_who_send_at_once_send_one(desk) -> None:
    gp, patient = await asked(desk)
    await opens(desk, patient)
    await asyncio.gather(sent(desk), sent(desk))
    assert len(await desk.inbox(gp)) == 1


async def test_a_running_node_sends_what_was_owed_when_it_stopped(desk) -> None:
    gp, patient = await asked(desk)
    await opens(desk, patient)
    receipts = desk.node.correspondence.receipts
    receipts.start()
    for _ in range(3000):
        if await desk.inbox(gp):
            break
        await asyncio.sleep(0.02)
    await receipts.stop()
    assert len(await desk.inbox(gp)) == 1


async def test_a_receipt_opens_no_exchange_and_closes_none(desk) -> None:
    _, patient = await asked(desk)
    before = await desk.node.store.read(lambda reader: reader.sql.all("SELECT * FROM conversation"))
    await opens(desk, patient)
    await sent(desk)
    assert await desk.node.store.read(lambda reader: reader.sql.all("SELECT * FROM conversation")) == before
