"""Success of letters that stay here, told to who asked by NOTIFY=SUCCESS (RFC 3461 §5.2.3)."""

from __future__ import annotations

import email
import email.policy

import pytest

from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Asked, Envelope, MailParameters, Road
from mail_server.outbound.interface import Notify
from mail_server.store.model import State
from tests.mail_server.delivery.conftest import now

SUCCESS = Asked(Notify.SUCCESS, "rfc822;Docteur+2BG@mss.essai.test")


def letter(sender: str, to: str, more: str = "") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: Bilan secret\r\nMessage-ID: <un@essai>\r\n{more}\r\nBonjour.\r\n"
    ).encode()


async def send(
    desk, sender, to: str, asked: Asked = SUCCESS, more: str = "", envid: str = "Lettre+201"
) -> None:
    envelope = await desk.envelope(sender)
    envelope.parameters = MailParameters(ret="FULL", envid=envid)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, to, asked))
    await desk.node.delivery.deliver(envelope, letter(sender.shown, to, more))


async def told(desk) -> int:
    """A few seconds later."""
    reports = desk.node.outbound.reports
    reports._clock = lambda: now() + 5000
    return await reports.send_due()


async def owed(desk) -> int:
    rows = await desk.node.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM report_owed"))
    return rows[0][0]


def read(stored: bytes):
    return email.message_from_bytes(stored, policy=email.policy.default)


async def test_success_is_told_sealed_once_and_holds_nothing_of_the_letter(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    await send(desk, gp, nurse.address)
    assert await told(desk) == 1
    assert await told(desk) == 0
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    outside = read(stored)
    assert outside["Auto-Submitted"] == "auto-replied"
    assert outside["In-Reply-To"] == "<un@essai>"
    assert "remis" not in outside["Subject"]
    report = desk.open("gp", stored).message
    assert report["Subject"] == "Message remis / Message delivered"
    words, machine, returned = report.get_payload()
    assert "personne d’autre que le destinataire" in words.get_content()
    letter_, recipient = machine.get_payload()
    assert letter_["Original-Envelope-Id"] == "Lettre 1"
    assert recipient["Action"] == "delivered"
    assert recipient["Status"] == "2.0.0"
    assert recipient["Final-Recipient"] == f"rfc822; {nurse.address}"
    assert recipient["Original-Recipient"] == "rfc822; Docteur+G@mss.essai.test"
    # RET=FULL was asked: outer fields come back all the same, and nothing else.
    assert returned.get_content_type() == "text/rfc822-headers"
    assert "secret" not in report.as_string()
    assert "Bonjour" not in report.as_string()


async def test_who_is_in_custody_is_not_said_to_be_alone_with_the_letter(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.account("nurse")
    await send(desk, gp, nurse.address)
    await told(desk)
    [(_, stored)] = await desk.inbox(gp)
    assert "son opérateur en garde la clé" in desk.open("gp", stored).message.get_payload()[0].get_content()


@pytest.mark.parametrize("activated", [False, True])
async def test_a_report_tells_neither_a_patients_number_nor_whether_they_came(desk, activated: bool) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=activated)
    await send(desk, gp, patient.alias, Asked(Notify.SUCCESS))
    await told(desk)
    [(_, stored)] = await desk.inbox(gp)
    report = desk.open("gp", stored).message
    assert report.get_payload()[1].get_payload()[1]["Final-Recipient"] == f"rfc822; {patient.alias}"
    assert "jusqu’à ce que le patient ouvre son espace" in report.get_payload()[0].get_content()
    assert patient.address not in report.as_string()


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (Asked(), ""),
        (Asked(Notify.NEVER), ""),
        (Asked(Notify.FAILURE | Notify.DELAY), ""),
        (SUCCESS, "Auto-Submitted: auto-replied\r\n"),
    ],
)
async def test_who_did_not_ask_and_automatic_answers_are_told_nothing(desk, asked: Asked, more: str) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.account("nurse")
    await send(desk, gp, nurse.address, asked, more)
    assert await owed(desk) == 0


async def test_a_letter_sent_again_is_told_of_once(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.account("nurse")
    await send(desk, gp, nurse.address)
    await send(desk, gp, nurse.address)
    assert await owed(desk) == 1


async def from_operator(desk, mail_from: str) -> Envelope:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    return Envelope(
        await desk.node.delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None)
    )


async def test_somebody_of_another_operator_is_told_through_the_queue(desk) -> None:
    gp = await desk.sealed("gp")
    envelope = await from_operator(desk, "bob@voisin.test")
    envelope.add(await desk.node.delivery.admit_recipient(envelope, gp.address, SUCCESS))
    await desk.node.delivery.deliver(envelope, letter("bob@voisin.test", gp.address))
    assert await told(desk) == 1
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all("SELECT domain, account, form, egress FROM outbound_letter")
    )
    assert [tuple(row) for row in rows] == [("voisin.test", None, 1, "")]


async def test_nothing_is_told_to_the_null_sender(desk) -> None:
    gp = await desk.sealed("gp")
    envelope = await from_operator(desk, "")
    envelope.add(await desk.node.delivery.admit_recipient(envelope, gp.address, SUCCESS))
    await desk.node.delivery.deliver(envelope, letter("postmaster@voisin.test", gp.address))
    assert len(await desk.inbox(gp)) == 1
    assert await owed(desk) == 0
