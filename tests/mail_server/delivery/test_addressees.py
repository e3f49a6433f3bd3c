"""Who writes from the page: to whom they may, and to which certificates."""

from __future__ import annotations

import time

import pytest

from directory.openpgp.gate import gate
from mail_server.accounts.interface import HELD, PAGE, Identity, Kind, Peer
from mail_server.delivery.interface import MailParameters, Road
from mail_server.keys.interface import KeyUnavailable
from policies.refusal import Refusal


async def refused(call) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


def now() -> int:
    return time.time_ns() // 1_000_000


def key_ids(desk, account) -> set[str]:
    return {one.encryption_key_id for one in desk.node.planner.plan(account).sealing_set}


async def test_a_professional_with_a_key_is_sealed_to_it(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    found = await desk.node.addressees.addressee(gp, nurse.address.upper())
    assert (found.address, found.guard) == (nurse.address, "sealed")
    [certificate] = found.certificates
    assert {gate(certificate, nurse.address, now()).encryption_key_id} == key_ids(desk, nurse)


async def test_a_ward_gives_the_certificate_of_each_member(desk) -> None:
    gp, nurse, doctor = await desk.sealed("gp"), await desk.sealed("nurse"), await desk.sealed("doctor")
    ward = await desk.ward(nurse, doctor)
    found = await desk.node.addressees.addressee(gp, ward.address)
    assert (found.guard, len(found.certificates)) == ("sealed", 2)


@pytest.mark.parametrize(("kind", "guard"), [(Kind.APP, "custody"), (Kind.PATIENT, "waiting")])
async def test_who_has_no_key_gives_the_operator_held_certificate(desk, kind: Kind, guard: str) -> None:
    gp = await desk.sealed("gp")
    other = await desk.patient() if kind is Kind.PATIENT else await desk.account("labo", kind)
    found = await desk.node.addressees.addressee(gp, other.shown)
    held = desk.node.operator_keys.existing(other.id)
    assert held is not None
    assert (found.address, found.guard, found.certificates) == (other.shown, guard, (held.certificate,))


async def test_an_activated_patient_gives_their_own_and_is_named_by_the_number(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=True)
    found = await desk.node.addressees.addressee(gp, patient.address)
    assert (found.address, found.guard) == (patient.alias, "sealed")
    assert patient.alias not in repr(found)
    assert patient.alias.partition("@")[0].encode() not in b"".join(found.certificates)


async def test_a_patient_gets_certificates_of_who_wrote_to_them_alone(desk) -> None:
    gp, nurse, patient = (
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
        await desk.patient(activated=True),
    )
    sent = f"From: <{gp.address}>\r\nSubject: x\r\nMessage-ID: <1@x>\r\n\r\nx\r\n".encode()
    await desk.send(gp, sent, patient.alias)
    assert (await desk.node.addressees.addressee(patient, gp.address)).guard == "sealed"
    for address in (nurse.address, "nobody@mss.essai.test", patient.alias):
        found = await refused(desk.node.addressees.addressee(patient, address))
        assert found.reason == "not-a-correspondent"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("x@ailleurs.test", "recipient-domain-unlisted"),
        ("nobody@mss.essai.test", "recipient-unknown"),
        ("", "relay-refused"),
        ("nurse", "relay-refused"),
    ],
)
async def test_what_rcpt_refuses_is_refused_here_and_traced(desk, address: str, reason: str) -> None:
    gp = await desk.sealed("gp")
    found = await refused(desk.node.addressees.addressee(gp, address))
    assert found.reason == reason
    await desk.node.trace.stop()
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, outcome FROM audit_entry WHERE reference = ?", (found.id,)
        )
    )
    assert rows == [(gp.id, reason)]


async def test_who_is_suspended_is_not_written_to(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    await desk.node.accounts.suspend(nurse.id)
    found = await refused(desk.node.addressees.addressee(gp, nurse.address))
    assert found.reason == "recipient-suspended"


async def test_when_no_key_can_be_made_it_is_a_refusal_for_now(desk, monkeypatch) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()

    async def none(*_):
        raise KeyUnavailable("no memory file system")

    monkeypatch.setattr(desk.node.operator_keys, "certificate_for", none)
    found = await refused(desk.node.addressees.addressee(gp, patient.alias))
    assert (found.code, found.reason) == (451, "no-key")


# -- a letter handed over earlier ------------------------------------------------------------------------------


async def test_a_letter_handed_over_leaves_after_its_author_logged_out_and_nothing_else_does(desk) -> None:
    gp = await desk.sealed("gp")
    peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)

    def admit(mechanism: str, mail_from: str):
        identity = Identity(gp.id, gp.address, gp.kind, mechanism, "ended-session")
        return desk.node.delivery.admit_sender(Road.CLIENT, mail_from, MailParameters(), peer, identity)

    assert (await refused(admit(PAGE, gp.address))).reason == "credential-revoked"
    assert (await admit(HELD, gp.address)).mail_from == gp.address
    nurse = await desk.sealed("nurse")
    assert (await refused(admit(HELD, nurse.address))).reason == "sender-not-yours"
    await desk.node.accounts.suspend(gp.id)
    assert (await refused(admit(HELD, gp.address))).reason == "account-suspended"


async def test_a_page_session_that_holds_sends(desk) -> None:
    gp = await desk.sealed("gp")
    desk.node.accounts.sessions_hold = lambda who, session: (who, session) == (gp.id, "s-7")
    peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)
    identity = Identity(gp.id, gp.address, gp.kind, PAGE, "s-7")
    admitted = await desk.node.delivery.admit_sender(
        Road.CLIENT, gp.address, MailParameters(), peer, identity
    )
    assert admitted.mail_from == gp.address


async def test_of_another_operator_the_page_learns_how_the_letter_would_leave_and_by_which_certificate(
    desk, way
) -> None:
    gp = await desk.sealed("gp")
    marie = way.publish("marie")
    paul = way.publish("paul", operator_held=True)
    of = desk.node.addressees.addressee
    found = [await of(gp, f"{local}@voisin.test") for local in ("marie+sealed", "paul", "luc")]
    assert [(one.address, one.guard, one.certificates) for one in found] == [
        ("marie@voisin.test", "sealed", (marie.minimised,)),
        ("paul@voisin.test", "sealed-to-operator", (paul.minimised,)),
        ("luc@voisin.test", "gate", (way.certificate.minimised,)),
    ]


async def test_sealed_only_is_refused_on_the_page_too_and_a_closed_gate_is_told(desk, way) -> None:
    gp = await desk.sealed("gp")
    found = await refused(desk.node.addressees.addressee(gp, "luc+sealed@voisin.test"))
    assert found.reason == "sealed-only-no-certificate"
    desk.node.outbound.egress = None
    found = await refused(desk.node.addressees.addressee(gp, "luc@voisin.test"))
    assert (found.code, found.reason) == (451, "gate-closed")
