"""MAIL FROM:<> of another operator: it says whose a letter is in From alone, and must not be a way round the rules that
are asked about who writes to patients."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server.accounts.interface import Peer
from mail_server.delivery.gate import is_patients
from mail_server.delivery.interface import Envelope, MailParameters, Road
from policies.refusal import Refusal

PATIENT_THERE, ALIAS_THERE = "285051305500185@voisin.test", "lea@patient.voisin.test"
MARIE = "marie@voisin.test"
ANSWERED = "Auto-Submitted: auto-replied\r\n"


def letter(author: str, to: str, more: str = "") -> bytes:
    return (
        f"From: <{author}>\r\nTo: <{to}>\r\nSubject: Bilan\r\nMessage-ID: <un@voisin.test>\r\n{more}\r\nBonjour.\r\n"
    ).encode()


def receipt(author: str, to: str) -> bytes:
    return (
        f"From: <{author}>\r\nTo: <{to}>\r\nSubject: Lu\r\nMessage-ID: <lu@voisin.test>\r\n"
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n'
        "--b\r\n\r\nLu.\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822; {author}\r\nDisposition: manual-action/MDN-sent-automatically; displayed\r\n\r\n"
        "--b--\r\n"
    ).encode()


async def hand_over(desk: Any, message: bytes, to: str, mail_from: str = "") -> None:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    delivery = desk.node.delivery
    envelope = Envelope(await delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None))
    envelope.add(await delivery.admit_recipient(envelope, to))
    await delivery.deliver(envelope, message)


async def refused(call: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await call
    assert caught.value.code == 550
    return caught.value.reason


async def test_a_letter_of_a_person_reaches_no_patient_that_way(desk) -> None:
    patient = await desk.patient(activated=True)
    found = await refused(hand_over(desk, letter(MARIE, patient.alias), patient.alias))
    assert found == "null-sender-not-a-report"
    assert await desk.inbox(patient) == []


@pytest.mark.parametrize("author", [PATIENT_THERE, "285051305500100@voisin.test"])
async def test_a_patient_elsewhere_reaches_no_patient_that_way_whatever_it_is_dressed_as(
    desk, author
) -> None:
    patient = await desk.patient(activated=True)
    for sent in (letter(author, patient.alias, ANSWERED), receipt(author, patient.alias)):
        assert await refused(hand_over(desk, sent, patient.alias)) == "not-a-correspondent"
    found = await refused(hand_over(desk, letter(author, patient.alias), patient.alias))
    assert found == "null-sender-not-a-report"
    assert await desk.inbox(patient) == []


async def test_a_patient_elsewhere_writes_to_no_professional_that_way_but_may_tell_that_they_read(
    desk,
) -> None:
    gp = await desk.account("gp")
    found = await refused(hand_over(desk, letter(PATIENT_THERE, gp.address), gp.address))
    assert found == "null-sender-not-a-report"
    await hand_over(desk, receipt(PATIENT_THERE, gp.address), gp.address)
    assert len(await desk.inbox(gp)) == 1


async def test_whom_a_patient_blocked_reaches_them_no_more_by_a_report(desk) -> None:
    patient = await desk.patient(activated=True)
    await hand_over(desk, receipt(MARIE, patient.alias), patient.alias)
    blocks = desk.node.correspondence.blocks
    assert await desk.node.store.write(lambda tx: blocks.block(tx, patient, MARIE, 1000))
    assert await refused(hand_over(desk, receipt(MARIE, patient.alias), patient.alias)) == "write-to-blocked"
    assert len(await desk.inbox(patient)) == 1


async def test_a_report_to_a_patient_is_taken(desk) -> None:
    patient = await desk.patient(activated=True)
    await hand_over(desk, letter("postmaster@voisin.test", patient.alias, ANSWERED), patient.alias)
    assert len(await desk.inbox(patient)) == 1


@pytest.mark.parametrize(
    ("address", "patient"),
    [
        (PATIENT_THERE, True),
        ("285051305500100@voisin.test", True),  # mistyped
        (ALIAS_THERE, True),
        ("LEA@Patient.voisin.test", True),
        (MARIE, False),
        ("x@patients-et-cie.voisin.test", False),
        ("", False),
    ],
)
def test_what_is_taken_for_an_address_of_a_patient(address: str, patient: bool) -> None:
    assert is_patients(address) is patient


async def test_a_patient_elsewhere_is_one_by_their_alias_too(desk, monkeypatch) -> None:
    """Our own patients are shown by an alias: so may those of others be, and they write to no patient either."""
    patient = await desk.patient(activated=True)
    names = frozenset({"voisin.test", "patient.voisin.test"})
    monkeypatch.setattr(desk.node.trust_list, "domains_of", lambda dn: names)
    for author in (ALIAS_THERE, "285051305500100@voisin.test"):
        call = hand_over(desk, letter(author, patient.alias), patient.alias, mail_from=author)
        assert await refused(call) == "not-a-correspondent"
