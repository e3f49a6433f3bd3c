"""What other operators made of a system's documents, told in the letter of the morning like what stays here."""

from __future__ import annotations

import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.outbound.interface import Outcome, OutgoingRecipient, Phase, Verdict
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.payloads.record import integration
from mail_server.payloads.record.refusal import AnsCode
from tests.mail_server.delivery.conftest import now
from tests.mail_server.delivery.test_feedback import Hospital

MARIE = "marie@voisin.test"
SOFTWARE = "logiciel@voisin.test"


@pytest.fixture
async def hospital(desk, way) -> Hospital:
    return Hospital(desk, await desk.account("dpi", Kind.APP))


async def hand_in(hospital: Hospital, to: str = MARIE, name: str = "r1") -> bytes:
    envelope = await hospital.admitted()
    envelope.add(await hospital.desk.node.delivery.admit_recipient(envelope, to))
    data = (
        f"From: <{hospital.account.address}>\r\nTo: <{to}>\r\nSubject: XDM/1.0/DDM+CR X Y\r\n"
        f"Message-ID: <{name}@essai>\r\nDisposition-Notification-To: {hospital.account.address}\r\n\r\nBonjour.\r\n"
    ).encode()
    await hospital.desk.node.delivery.deliver(envelope, data)
    return data


async def settle(hospital: Hospital, way, fate: Fate, last: Outcome | None = None) -> None:
    """As the queue does."""
    [laid] = way.laid
    told = Told(laid.account, laid.mail_from, laid.reference, laid.accepted_at, laid.head)
    lines = [Settled(OutgoingRecipient(one.address), fate, last) for one in laid.recipients]
    node = hospital.desk.node

    def write(transaction) -> None:
        for owing in node.outbound.owing:
            owing.owe(transaction, told, lines, now())

    await node.store.write(write)


async def test_a_document_waits_until_the_other_operator_has_it(hospital, way) -> None:
    await hand_in(hospital)
    assert await hospital.rows() == [("waiting", "", "")]
    await settle(hospital, way, Fate.DELAYED)
    assert await hospital.rows() == [("waiting", "", "")]
    await settle(hospital, way, Fate.RELAYED)
    told = await hospital.morning()
    [one] = told.handed_in
    assert (one.reference, one.address, one.outcome) == ("<r1@essai>", MARIE, "delivered")


async def test_what_arrived_after_it_was_told_is_told_as_arrived_since(hospital, way) -> None:
    await hand_in(hospital)
    assert (await hospital.morning()).count("waiting") == 1
    await settle(hospital, way, Fate.RELAYED)
    told = await hospital.morning()
    assert [(one.address, one.outcome) for one in told.later] == [(MARIE, "delivered")]


@pytest.mark.parametrize(
    ("fate", "last", "cause", "words"),
    [
        (
            Fate.FAILED,
            Outcome(Verdict.FAILED, Phase.RCPT, "peer-5yz", 550, "5.1.1", "No such mailbox"),
            "smtp-550-5-1-1",
            "refusé par le serveur (550 5.1.1)",
        ),
        (Fate.EXPIRED, None, "expired", "n’a pas pu le prendre à temps"),
        (Fate.CANCELLED, None, "cancelled", "l’administrateur a arrêté"),
    ],
)
async def test_what_another_operator_did_not_take_is_told_with_its_cause(
    hospital, way, fate, last, cause, words
) -> None:
    await hand_in(hospital)
    await settle(hospital, way, fate, last)
    told = await hospital.morning()
    [one] = told.handed_in
    assert (one.outcome, one.cause) == ("refused", cause)
    assert words in hospital.mornings.text(told)


async def answers(hospital: Hospital, original: bytes, author: str = SOFTWARE, mail_from: str = "") -> None:
    """Software of the other operator could not integrate the document: an MDN, from nobody."""
    desk = hospital.desk
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None)
    envelope = Envelope(sender)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, hospital.account.address))
    by = integration.Answerer(author, author.partition("@")[2], now())
    answer = integration.acknowledgement(
        original, integration.Outcome(AnsCode.UNKNOWN_PATIENT), by, hospital.account.address
    )
    assert answer is not None
    assert mime.parse(answer).content_type == "multipart/report"
    await desk.node.delivery.deliver(envelope, answer)


async def test_an_integration_that_failed_at_another_operator_is_told(hospital, way) -> None:
    original = await hand_in(hospital)
    await settle(hospital, way, Fate.RELAYED)
    await answers(hospital, original)
    assert await hospital.rows() == [("refused", "902", "")]
    assert len(await hospital.desk.inbox(hospital.account)) == 1


async def bounces(hospital: Hospital, of: str, original: str = "<r1@essai>") -> None:
    """What the other operator had taken comes back."""
    desk = hospital.desk
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    envelope = Envelope(
        await desk.node.delivery.admit_sender(Road.OPERATOR, "", MailParameters(), peer, None)
    )
    envelope.add(await desk.node.delivery.admit_recipient(envelope, hospital.account.address))
    report = (
        f"From: <postmaster@voisin.test>\r\nTo: <{hospital.account.address}>\r\nSubject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.voisin.test\r\n\r\n"
        f"Final-Recipient: rfc822; {of}\r\nAction: failed\r\nStatus: 5.2.2\r\n"
        "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original}\r\n\r\n--b--\r\n"
    )
    await desk.node.delivery.deliver(envelope, report.encode())


async def test_what_another_operator_had_taken_and_gives_back_is_told(hospital, way) -> None:
    await hand_in(hospital)
    await settle(hospital, way, Fate.RELAYED)
    await bounces(hospital, "paul@voisin.test")
    await bounces(hospital, MARIE, "<autre@essai>")
    assert await hospital.rows() == [("delivered", "", "")]
    await bounces(hospital, MARIE)
    assert await hospital.rows() == [("refused", "smtp-552-5-2-2", "")]
    assert len(await hospital.desk.inbox(hospital.account)) == 3


async def test_an_operator_gives_back_nothing_that_another_has(hospital, way) -> None:
    gp = await hospital.desk.sealed("gp")
    await hand_in(hospital, gp.address)
    await bounces(hospital, gp.address)
    assert await hospital.rows() == [("delivered", "", "")]


async def test_an_operator_says_nothing_of_documents_that_went_to_another(hospital, way, monkeypatch) -> None:
    gp = await hospital.desk.sealed("gp")
    original = await hand_in(hospital, gp.address)
    await answers(hospital, original)
    assert await hospital.rows() == [("delivered", "", "")]


async def test_ordinary_accounts_letters_leave_no_row(desk, way) -> None:
    gp = await desk.account("gp")
    envelope = await desk.envelope(gp)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, MARIE))
    data = (
        f"From: <{gp.address}>\r\nTo: <{MARIE}>\r\nSubject: XDM/1.0/DDM+CR\r\nMessage-ID: <a@b>\r\n\r\nx\r\n"
    )
    await desk.node.delivery.deliver(envelope, data.encode())
    assert await Hospital(desk, gp).rows() == []
