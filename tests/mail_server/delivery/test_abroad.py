"""Letters to other operators: who may write, how the letter leaves, what the queue holds of it."""

from __future__ import annotations

import email.policy
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind, Peer, Results
from mail_server.delivery.abroad import addressed
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.links import LinkLimits
from mail_server.outbound.interface import Form, Readable
from mail_server.store.armor import armor
from mail_server.store.model import Flag, State
from policies.audit.query import Filter, find
from policies.refusal import Refusal
from tests.webmail.vectors import record_letters

MARIE, PAUL = "marie@voisin.test", "paul@voisin.test"
PATIENT_ELSEWHERE = "285051305500121@patient.voisin.test"


def letter(sender: str, to: str = MARIE, subject: str = "Compte rendu de M. Éluard", more: str = "") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <un@essai>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n{more}MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Le bilan est joint, à relire.\r\n"
    ).encode()


async def refused(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


async def trace(desk, action: str) -> list[Any]:
    for writer in [desk.node.trace._writer]:
        if writer is not None:
            await writer
    return await desk.node.store.read(lambda reader: find(reader.sql, Filter(action=action)))


def parsed(message: bytes):
    return message_from_bytes(message, policy=email.policy.default)


# -- who may write to whom ------------------------------------------------------------------------------------


async def test_an_address_of_no_listed_operator_is_refused_at_once_by_its_name(desk, way) -> None:
    gp = await desk.account("gp")
    refusal = await refused(desk.envelope(gp, "qui@gmail.test"))
    assert (refusal.code, refusal.enhanced, refusal.reason) == (550, "5.7.1", "recipient-domain-unlisted")
    assert "qui@gmail.test" in refusal.sentence
    assert way.keys.asked == []


async def test_a_number_at_an_unlisted_domain_is_not_repeated_in_the_refusal(desk, way) -> None:
    gp = await desk.account("gp")
    refusal = await refused(desk.envelope(gp, "285051305500185@patient.ailleurs.test"))
    assert refusal.reason == "recipient-domain-unlisted"
    assert "2850513055" not in refusal.sentence


async def test_what_the_list_says_of_a_domain_is_what_the_sender_hears(desk, way, monkeypatch) -> None:
    gp = await desk.account("gp")
    domains = desk.node.delivery._abroad._domains
    monkeypatch.setattr(domains._peers, "listed", lambda domain: False)
    refusal = await refused(desk.envelope(gp, MARIE))
    assert (refusal.code, refusal.reason) == (451, "trust-list-stale")
    monkeypatch.undo()
    monkeypatch.setattr(domains, "_blocked", lambda dn: True)
    refusal = await refused(desk.envelope(gp, MARIE))
    assert (refusal.code, refusal.reason) == (550, "operator-blocked")


async def test_a_listed_operator_does_not_relay_through_us(desk, way) -> None:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(Road.OPERATOR, MARIE, MailParameters(), peer, None)
    refusal = await refused(desk.node.delivery.admit_recipient(Envelope(sender), PAUL))
    assert refusal.reason == "relay-refused"


async def test_where_letters_do_not_leave_they_are_refused_as_ever(desk) -> None:
    desk.node.delivery._abroad = None
    gp = await desk.account("gp")
    assert (await refused(desk.envelope(gp, MARIE))).reason == "relay-refused"


async def operator_writes(desk, sender: str, patient, more: str = "", subject: str = "Bilan") -> None:
    """A letter of another operator's professional to a patient of ours."""
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    admitted = await desk.node.delivery.admit_sender(Road.OPERATOR, sender, MailParameters(), peer, None)
    envelope = Envelope(admitted)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, patient.alias))
    await desk.node.delivery.deliver(envelope, letter(sender, patient.alias, subject, more))


async def test_a_patient_writes_to_the_professionals_of_other_operators_who_wrote_to_them(desk, way) -> None:
    patient = await desk.patient(activated=True)
    refusal = await refused(desk.page_envelope(patient, MARIE))
    assert refusal.reason == "not-a-correspondent"
    await operator_writes(desk, MARIE, patient)
    envelope = await desk.page_envelope(patient, MARIE)
    assert [one.address for one in envelope.abroad] == [MARIE]
    assert (await refused(desk.page_envelope(patient, PAUL))).reason == "not-a-correspondent"


async def test_who_reply_to_names_is_who_may_be_written_to(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await operator_writes(desk, MARIE, patient, more=f"Reply-To: <{PAUL}>\r\n")
    assert (await desk.page_envelope(patient, PAUL)).abroad
    assert (await refused(desk.page_envelope(patient, MARIE))).reason == "not-a-correspondent"


@pytest.mark.parametrize("how", ["subject", "header"])
async def test_a_professional_elsewhere_closes_the_exchange(desk, way, how: str) -> None:
    patient = await desk.patient(activated=True)
    if how == "subject":
        await operator_writes(desk, MARIE, patient)
        await operator_writes(desk, MARIE, patient, subject="[FIN]")
    else:
        await operator_writes(desk, MARIE, patient, more="X-MSS-MES: FIN\r\n")
    refusal = await refused(desk.page_envelope(patient, MARIE))
    assert refusal.reason == "conversation-closed"
    assert MARIE in refusal.sentence


async def test_who_the_patient_blocked_is_not_written_to(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await operator_writes(desk, MARIE, patient)
    blocks = desk.node.correspondence.blocks
    await desk.node.store.write(lambda tx: blocks.block(tx, patient, MARIE, 1))
    assert (await refused(desk.page_envelope(patient, MARIE))).reason == "write-to-one-you-blocked"


@pytest.mark.parametrize(
    "address", [PATIENT_ELSEWHERE, "285051305500100@voisin.test", "lea@patient.voisin.test"]
)
async def test_a_patient_never_writes_to_a_patient_of_another_operator(desk, way, address: str) -> None:
    assert addressed(address).patient
    patient = await desk.patient(activated=True)
    refusal = await refused(desk.page_envelope(patient, address))
    assert refusal.reason in ("not-a-correspondent", "recipient-domain-unlisted")


async def test_a_patient_does_not_write_to_a_patient_whom_an_operator_names_to_answer_to(desk, way) -> None:
    """The exchange is open: the rule alone stands between them."""
    patient = await desk.patient(activated=True)
    other = "285051305500185@voisin.test"
    await operator_writes(desk, MARIE, patient, more=f"Reply-To: <{other}>\r\n")
    assert (await refused(desk.page_envelope(patient, other))).reason == "not-a-correspondent"
    [event] = [one for one in await trace(desk, "refuse") if one.outcome == "not-a-correspondent"]
    assert event.actor == patient.id


async def test_who_is_suspended_between_two_commands_sends_nothing_out(desk, way) -> None:
    gp = await desk.account("gp")
    envelope = await desk.envelope(gp)
    await desk.node.accounts.suspend(gp.id)
    refusal = await refused(desk.node.delivery.admit_recipient(envelope, MARIE))
    assert (refusal.code, refusal.reason) == (550, "send-out-not-in-force")
    assert way.keys.asked == []


async def test_a_receipt_of_an_account_that_sends_sealed_letters_only_leaves_sealed_or_not_at_all(
    desk, way
) -> None:
    """It has no sender, but it has an author."""
    gp = await desk.account("gp")
    await desk.node.accounts.outbound_set(gp.id, "console:x", sealed_only=True)
    envelope = await desk.envelope(gp)
    empty = Envelope(
        await desk.node.delivery.admit_sender(
            Road.CLIENT, "", MailParameters(), envelope.sender.peer, envelope.sender.identity
        )
    )
    refusal = await refused(desk.node.delivery.admit_recipient(empty, MARIE))
    assert refusal.reason == "sealed-only-no-certificate"


async def test_one_account_does_not_fill_the_queue_with_what_a_server_that_is_down_does_not_take(
    desk, way
) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    robot = await desk.account("robot", Kind.APP)
    way.publish("marie")
    way.publish("paul")
    desk.node.delivery._departures._room = 5_000_000

    def large(sender) -> bytes:
        return letter(sender.address) + (b"x" * 998 + b"\r\n") * 1_200

    await desk.send(gp, large(gp), MARIE, PAUL)  # to each a copy of their own
    refusal = await refused(desk.send(gp, b"X-Other: letter\r\n" + large(gp), MARIE, PAUL))
    assert (refusal.code, refusal.enhanced, refusal.reason) == (452, "4.2.2", "too-much-waits")
    await desk.send(gp, letter(gp.address), MARIE)
    await desk.send(nurse, large(nurse), MARIE, PAUL)  # others are not held up by it
    for number in range(2):
        await desk.send(robot, b"X-Number: %d\r\n" % number + large(robot), MARIE, PAUL)
    assert len(way.laid) == 9


# -- how it leaves ----------------------------------------------------------------------------------------------


async def test_without_a_certificate_the_bytes_for_the_wire_wait_sealed_to_the_gate(desk, way) -> None:
    gp = await desk.account("gp")
    sent = letter(gp.address, more="Bcc: <cache@voisin.test>\r\nVaguemestre-State: sealed\r\n")
    envelope = await desk.envelope(gp, MARIE, PAUL)
    envelope.trace = b"Received: from poste by localhost\r\n"
    accepted = await desk.node.delivery.deliver(envelope, sent)
    [one] = way.laid
    assert (one.form, one.readable, one.domain) == (Form.GATED, Readable.GATED, "voisin.test")
    assert [each.address for each in one.recipients] == [MARIE, PAUL]
    assert (one.mail_from, one.account, one.reference) == (gp.address, gp.id, accepted.id)
    assert one.egress == way.certificate.fingerprint
    [queued] = await way.queued()
    assert b"bilan" not in queued
    wire = way.opened_by_the_gate(queued)
    assert len(wire) == one.size
    assert parsed(wire).get_content() == parsed(sent).get_content()
    header = wire.partition(b"\r\n\r\n")[0].lower()
    assert header.startswith(b"dkim-signature:")
    assert b"received: from poste by localhost" in header
    assert b"x-mss-nil: dev000000" in header
    assert b"bcc:" not in header
    assert b"vaguemestre-" not in header
    assert b"subject" not in one.head.lower()
    assert b"Message-ID: <un@essai>" in one.head
    events = await trace(desk, "send-out")
    assert [(event.outcome, event.reference, event.subject) for event in events] == [
        ("gated", accepted.id, gp.id)
    ]


async def test_by_the_gate_it_leaves_in_seven_bits_unless_its_program_has_signed_it(desk, way) -> None:
    """RFC 6376 §5.3: what we sign, every server between can take; what another signed is not ours to change."""
    gp = await desk.account("gp")
    await desk.send(gp, letter(gp.address), MARIE)
    signed = letter(gp.address, more="DKIM-Signature: v=1; d=ailleurs.test\r\n")
    await desk.send(gp, signed, PAUL)
    first, second = way.laid
    assert (first.eight_bit, second.eight_bit) == (False, True)
    wires = [way.opened_by_the_gate(queued) for queued in await way.queued()]
    assert (first.smtputf8, second.smtputf8) == (False, True)
    assert parsed(wires[0])["Content-Transfer-Encoding"] == "quoted-printable"
    assert parsed(wires[0])["Subject"] == "Compte rendu de M. Éluard"
    assert wires[1].endswith(signed.partition(b"\r\n\r\n")[2])


async def test_to_who_publishes_a_certificate_it_leaves_sealed_each_a_letter_of_their_own(desk, way) -> None:
    gp = await desk.account("gp")
    way.publish("marie")
    way.publish("paul", operator_held=True)
    await desk.send(gp, letter(gp.address), MARIE, PAUL)
    first, second = way.laid
    assert [each.address for each in first.recipients] == [MARIE]
    assert (first.form, first.readable, first.egress) == (Form.WIRE, Readable.SEALED, "")
    assert (second.form, second.readable) == (Form.WIRE, Readable.SEALED_TO_OPERATOR)
    wires = await way.queued()
    for local, wire in zip(("marie", "paul"), wires, strict=True):
        assert "luard" not in wire.decode("latin-1")
        assert wire.isascii()
        opened = desk.open(local, wire)
        assert opened.subject == "Compte rendu de M. Éluard"
        assert opened.good_signature
        assert str(parsed(wire)["Subject"]).startswith("[...] ")
        assert parsed(wire)["X-MSS-NIL"] == "DEV000000"
    assert not _opens(desk, "paul", wires[0])
    assert not first.eight_bit


def _opens(desk, local: str, wire: bytes) -> bool:
    from deploy.demo.clients import NotOpened

    try:
        desk.open(local, wire)
    except NotOpened:
        return False
    return True


async def test_local_and_foreign_addressees_are_served_by_one_letter_under_one_reference(desk, way) -> None:
    gp, nurse = await desk.account("gp"), await desk.sealed("nurse")
    way.publish("marie")
    accepted = await desk.node.delivery.deliver(
        await desk.envelope(gp, nurse.address, MARIE, PAUL), letter(gp.address)
    )
    assert len(await desk.inbox(nurse)) == 1
    assert {one.reference for one in way.laid} == {accepted.id}
    assert [one.readable for one in way.laid] == [Readable.SEALED, Readable.GATED]


async def test_a_letter_sent_again_is_queued_once(desk, way) -> None:
    gp = await desk.account("gp")
    told = [
        await desk.node.delivery.deliver(await desk.envelope(gp, MARIE), letter(gp.address)) for _ in range(2)
    ]
    assert len(await way.queued()) == 1
    assert {one.id for one in told} == {way.laid[0].reference}  # whoever asks again hears of the same letter


async def test_what_cannot_be_sealed_to_the_gate_is_accepted_by_nobody(desk, way) -> None:
    gp, nurse = await desk.account("gp"), await desk.sealed("nurse")
    desk.node.outbound.egress = None
    refusal = await refused(desk.send(gp, letter(gp.address), nurse.address, MARIE))
    assert refusal.code == 451
    assert await desk.inbox(nurse) == []
    assert await way.queued() == []


async def test_a_letter_without_message_id_and_date_gets_them_the_same_in_every_copy(desk, way) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    bare = f"From: <{gp.address}>\r\nTo: <{MARIE}>\r\nSubject: x\r\n\r\nBonjour.\r\n".encode()
    await desk.send(gp, bare, nurse.address, MARIE)
    [(_, stored)] = await desk.inbox(nurse)
    wire = parsed(way.opened_by_the_gate((await way.queued())[0]))
    assert wire["Message-ID"]
    assert wire["Message-ID"] == parsed(stored)["Message-ID"]
    assert wire["Date"] == parsed(stored)["Date"]


async def test_a_patient_s_letter_leaves_under_the_address_that_correspondents_see(desk, way) -> None:
    patient = await desk.patient(activated=True)
    await operator_writes(desk, MARIE, patient)
    marie = way.publish("marie")
    sealed = await sealed_letter(desk, patient.alias, MARIE, marie)
    await desk.node.delivery.deliver(await desk.page_envelope(patient, MARIE), sealed)
    [one] = way.laid
    assert one.mail_from == patient.alias
    assert not one.result
    [wire] = await way.queued()
    assert str(parsed(wire)["From"]).strip("<>") == patient.alias
    assert patient.address.encode() not in wire


# -- sealed by its author ---------------------------------------------------------------------------------------


async def sealed_letter(desk, sender: str, to: str, *certificates, more: str = "") -> bytes:
    """As a page or Thunderbird composes it."""
    sealed = await desk.node.delivery._composer._engine.seal(
        b"Content-Type: text/plain\r\nSubject: Le vrai sujet\r\n\r\nMerci.\r\n", certificates
    )
    fields = (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: ...\r\nMessage-ID: <deux@page>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n{more}"
    )
    head, tail = mime.wrap(fields.encode(), "limite")
    return head + armor(b"".join(one.packet for one in sealed.key_packets), sealed.body) + tail


async def test_sealed_by_its_author_to_the_known_certificate_it_passes_byte_for_byte(desk, way) -> None:
    gp = await desk.account("gp")
    marie = way.publish("marie")
    sent = await sealed_letter(desk, gp.address, MARIE, marie)
    await desk.send(gp, sent, MARIE)
    [wire] = await way.queued()
    assert wire.endswith(sent)
    assert way.laid[0].readable is Readable.SEALED


async def test_sealed_by_its_author_to_keys_nobody_here_knows_it_passes_as_it_came(desk, way) -> None:
    gp = await desk.account("gp")
    marie = way.publish("marie")
    way.keys.known.clear()
    sent = await sealed_letter(desk, gp.address, MARIE, marie)
    await desk.send(gp, sent, MARIE)
    assert (way.laid[0].form, way.laid[0].readable) == (Form.WIRE, Readable.SEALED)
    assert (await way.queued())[0].endswith(sent)


async def test_sealed_by_its_author_to_another_key_than_the_known_one_it_is_refused(desk, way) -> None:
    gp = await desk.account("gp")
    paul = way.publish("paul")
    way.publish("marie")
    sent = await sealed_letter(desk, gp.address, MARIE, paul)
    assert (await refused(desk.send(gp, sent, MARIE))).reason == "encrypted-to-other-keys"


async def test_the_gate_s_key_packet_is_in_no_copy_but_the_gate_s(desk, way) -> None:
    gp, nurse = await desk.account("gp"), await desk.sealed("nurse")
    marie = way.publish("marie")
    nurses = desk.node.planner.plan(nurse).sealing_set
    sent = await sealed_letter(desk, gp.address, MARIE, marie, *nurses, way.certificate)
    await desk.send(gp, sent, nurse.address, MARIE, PAUL)
    sealed, gated = await way.queued()
    assert [one.form for one in way.laid] == [Form.WIRE, Form.GATED_BY_AUTHOR]
    assert way.laid[1].egress == way.certificate.fingerprint
    [(row, stored)] = await desk.inbox(nurse)
    assert row.state is State.SEALED
    for copy in (sealed, stored):
        assert not _opens(desk, "egress", copy)
    assert desk.open("egress", gated).inner.endswith(b"Merci.\r\n")
    assert not _opens(desk, "marie", gated)
    assert desk.open("marie", sealed).inner.endswith(b"Merci.\r\n")
    assert desk.open("nurse", stored).inner.endswith(b"Merci.\r\n")


async def test_a_key_packet_handed_in_beside_the_letter_goes_to_the_gate_alone(desk, way) -> None:
    gp = await desk.account("gp")
    nurse = await desk.sealed("nurse")
    [own] = desk.node.planner.plan(nurse).sealing_set
    both = await desk.node.delivery._composer._engine.seal(
        b"Subject: x\r\n\r\nMerci.\r\n", [own, way.certificate]
    )
    packets = {one.fingerprint: one.packet for one in both.key_packets}
    head, tail = mime.wrap(
        f"From: <{gp.address}>\r\nTo: <{PAUL}>\r\nMessage-ID: <x@x>\r\n".encode(),
        "limite",
    )
    message = head + armor(packets[own.fingerprint], both.body) + tail
    envelope = await desk.envelope(gp, PAUL)
    envelope.gate_packet = packets[way.certificate.fingerprint]
    await desk.node.delivery.deliver(envelope, message)
    [gated] = await way.queued()
    assert way.laid[0].form is Form.GATED_BY_AUTHOR
    assert desk.open("egress", gated).inner.endswith(b"Merci.\r\n")


# -- sealed only ------------------------------------------------------------------------------------------------


async def test_an_address_asks_for_sealed_only_by_its_tag(desk, way) -> None:
    gp = await desk.account("gp")
    refusal = await refused(desk.envelope(gp, "marie+sealed@voisin.test"))
    assert (refusal.code, refusal.enhanced, refusal.reason) == (550, "5.7.4", "sealed-only-no-certificate")
    way.publish("marie")
    envelope = await desk.envelope(gp, "marie+Sealed@VOISIN.test", "paul+lettres@voisin.test")
    assert [(one.address, one.sealed_only) for one in envelope.abroad] == [
        (MARIE, True),
        ("paul+lettres@voisin.test", False),
    ]


async def test_an_account_sends_sealed_or_not_at_all_once_it_asks_so(desk, way) -> None:
    gp = await desk.account("gp")
    await desk.node.accounts.outbound_set(gp.id, "console:x", sealed_only=True)
    assert (await refused(desk.envelope(gp, MARIE))).reason == "sealed-only-no-certificate"
    way.publish("marie")
    assert (await desk.envelope(gp, MARIE)).abroad


@pytest.mark.parametrize("value", ["only", "ONLY", "onyl"])
async def test_a_letter_asks_for_sealed_only_in_its_header_also_mistyped(desk, way, value: str) -> None:
    gp = await desk.account("gp")
    way.publish("marie")
    asking = letter(gp.address, more=f"Vaguemestre-Seal: {value}\r\n")
    refusal = await refused(desk.send(gp, asking, MARIE, PAUL))
    assert refusal.reason == "sealed-only-no-certificate"
    assert await way.queued() == []
    await desk.send(gp, asking, MARIE)
    [wire] = await way.queued()
    assert b"vaguemestre-seal" not in desk.open("marie", wire).inner.lower() + wire.lower()


# -- what the sender is told ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "setting", "more", "told"),
    [
        (Kind.PER, None, "", [False, True]),
        (Kind.APP, None, "", [False, False]),
        (Kind.PER, Results.ALWAYS, "", [True, True]),
        (Kind.PER, Results.ASKED, "", [False, False]),
        (Kind.APP, Results.READABLE, "", [False, True]),
        (Kind.PER, Results.ALWAYS, "Auto-Submitted: auto-generated\r\n", [False, False]),
    ],
)
async def test_of_which_letters_an_account_is_told(desk, way, kind, setting, more, told) -> None:
    sender = await desk.account("robot", kind)
    if setting is not None:
        await desk.node.accounts.outbound_set(sender.id, "console:x", results=setting)
    way.publish("marie")
    await desk.send(sender, letter(sender.address, more=more), MARIE, PAUL)
    assert [one.result for one in way.laid] == told


# -- limits -----------------------------------------------------------------------------------------------------


async def test_a_letter_larger_than_its_addressee_takes_is_refused_before_it_is_sent(desk, way) -> None:
    gp = await desk.account("gp")
    way.publish("marie")
    way.keys.known[MARIE] = replace(way.keys.known[MARIE], largest=200)
    envelope = await desk.envelope(gp, MARIE)
    declared = Envelope(envelope.sender, MailParameters(size=201))
    refusal = await refused(desk.node.delivery.admit_recipient(declared, MARIE))
    assert (refusal.code, refusal.enhanced, refusal.reason) == (552, "5.3.4", "too-large-for-addressee")
    assert "200 octets" in refusal.sentence
    refusal = await refused(desk.node.delivery.deliver(envelope, letter(gp.address)))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-addressee")
    assert way.laid == []
    assert (await desk.node.addressees.addressee(gp, MARIE)).largest == 200
    way.keys.known[MARIE] = replace(way.keys.known[MARIE], largest=100_000)
    await desk.send(gp, letter(gp.address), MARIE)
    assert len(way.laid) == 1


async def test_a_letter_to_a_patient_elsewhere_has_25_megabytes_at_most(desk, way, monkeypatch) -> None:
    monkeypatch.setattr(desk.node.delivery._abroad._domains._space, "names_domain", lambda domain: True)
    monkeypatch.setattr(desk.node.delivery._abroad._domains._peers, "listed", lambda domain: True)
    gp = await desk.account("gp")
    envelope = await desk.envelope(gp)
    object.__setattr__(envelope.parameters, "size", 25 * 1024 * 1024 + 1)
    refusal = await refused(desk.node.delivery.admit_recipient(envelope, PATIENT_ELSEWHERE))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-patient")
    assert (
        await desk.node.delivery.admit_recipient(envelope, "x@patients-et-cie.voisin.test")
    ).certificate is None


async def test_fin_and_receipts_reach_a_patient_of_another_operator(desk, way, monkeypatch) -> None:
    monkeypatch.setattr(desk.node.delivery._abroad._domains._space, "names_domain", lambda domain: True)
    monkeypatch.setattr(desk.node.delivery._abroad._domains._peers, "listed", lambda domain: True)
    gp = await desk.account("gp")
    asking = letter(
        gp.address,
        PATIENT_ELSEWHERE,
        "[FIN]",
        f"X-MSS-MES: FIN\r\nDisposition-Notification-To: <{gp.address}>\r\n",
    )
    await desk.send(gp, asking, PATIENT_ELSEWHERE)
    wire = parsed(way.opened_by_the_gate((await way.queued())[0]))
    assert wire["Subject"] == "[FIN]"
    assert wire["X-MSS-MES"] == "FIN"
    assert gp.address in wire["Disposition-Notification-To"]


# -- what lies in accounts of ours ------------------------------------------------------------------------------


async def test_the_common_sent_copy_says_that_the_letter_left_by_the_gate(desk, way) -> None:
    gp = await desk.sealed("gp")
    ward = await desk.ward(gp)
    speaker = (await desk.envelope(gp)).sender.identity
    peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
    for to, state in ((PAUL, State.AT_THE_GATE), (MARIE, State.SEALED)):
        way.publish("marie")
        admitted = await desk.node.delivery.admit_sender(
            Road.CLIENT, ward.address, MailParameters(), peer, speaker
        )
        envelope = Envelope(admitted)
        envelope.add(await desk.node.delivery.admit_recipient(envelope, to))
        await desk.node.delivery.deliver(
            envelope, letter(ward.address, to).replace(b"un@", to[:2].encode() + b"@")
        )

        def newest(reader):
            box = reader.mailbox_by_name(ward.id, "Sent")
            row = reader.rows(box.id, [one.uid for one in reader.memberships(box.id)])[-1]
            return row.state, reader.content(row.message)

        found, stored = await desk.node.store.read(newest)
        assert found is state
        assert (b"Vaguemestre-State: at the gate" in stored) is (state is State.AT_THE_GATE)
        assert desk.open("gp", stored).subject == "Compte rendu de M. Éluard"


async def test_a_copy_that_a_program_keeps_does_not_open_at_the_gate(desk, way) -> None:
    gp = await desk.sealed("gp")
    own = desk.node.planner.plan(gp).sealing_set
    sent = await sealed_letter(desk, gp.address, PAUL, *own, way.certificate)
    box = await desk.node.store.read(lambda reader: reader.mailbox_by_name(gp.id, "Sent").id)
    identity = (await desk.envelope(gp)).sender.identity
    await desk.node.delivery.keep(identity, box, sent, Flag.SEEN, frozenset(), None)

    def kept(reader):
        [row] = reader.rows(box, [one.uid for one in reader.memberships(box)])
        return reader.content(row.message)

    stored = await desk.node.store.read(kept)
    assert not _opens(desk, "egress", stored)
    assert desk.open("gp", stored).inner.endswith(b"Merci.\r\n")


async def test_what_may_be_sent_later_from_the_store_names_no_gate(desk, way) -> None:
    """Its packet would be cut out of the store's copy, and nobody could open what leaves: it goes apart."""
    gp = await desk.sealed("gp")
    own = desk.node.planner.plan(gp).sealing_set
    sent = await sealed_letter(desk, gp.address, PAUL, *own, way.certificate)
    box = await desk.node.store.read(lambda reader: reader.mailbox_by_name(gp.id, "Sent").id)
    identity = (await desk.envelope(gp)).sender.identity
    refusal = await refused(
        desk.node.delivery.keep(identity, box, sent, Flag.NONE, frozenset(), None, to_be_sent=True)
    )
    assert (refusal.reason, "gateKeyPacket" in refusal.sentence) == ("gate-key-in-letter", True)


# -- what its header says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "X-MSS-CODECDA: 34112-3\r\nX-MSS-INS: O\r\n", "X-MSS-INS: N\r\n"])
async def test_the_header_tells_of_documents_what_the_archive_holds(desk, way, said: str) -> None:
    robot = await desk.account("robot", Kind.APP)
    part = record_letters.zip_part(record_letters.one_document())
    report = record_letters.letter(part, sender=robot.address, to=MARIE)
    report = said.encode() + b"X-MSS-NIL: LOGICIEL1\r\n" + report
    await desk.send(robot, report, MARIE)
    wire = way.opened_by_the_gate((await way.queued())[0])
    header = mime.header_block(wire)
    assert header.count(b"X-MSS-CODECDA") == header.count(b"X-MSS-INS") == header.count(b"X-MSS-NIL") == 1
    assert mime.first(header, "x-mss-nil") == b"LOGICIEL1"
    told = mime.first(header, "x-mss-codecda")
    drawn = await desk.node.delivery._structured._reader.read(report)
    assert told == ",".join(drawn.cda).encode()
    sure = drawn.identified and ": N" not in said  # who does not vouch for an identity is not made to
    assert mime.first(header, "x-mss-ins") == (b"O" if sure else b"N")


async def test_fields_on_documents_go_where_there_is_none(desk, way) -> None:
    gp = await desk.account("gp")
    await desk.send(gp, letter(gp.address, more="X-MSS-CODECDA: 34112-3\r\nX-MSS-INS: O\r\n"), MARIE)
    header = mime.header_block(way.opened_by_the_gate((await way.queued())[0]))
    assert mime.first(header, "x-mss-codecda") is None
    assert mime.first(header, "x-mss-ins") is None


async def test_a_masked_document_goes_to_no_professional_elsewhere(desk, way) -> None:
    robot = await desk.account("robot", Kind.APP)
    masked = record_letters.confidential("MASQUE_PS")
    part = record_letters.zip_part(record_letters.one_document(confidentiality=(masked,)))
    report = record_letters.letter(part, sender=robot.address, to=MARIE)
    assert (await refused(desk.send(robot, report, MARIE))).reason == "carry-masked-to-professional"
    assert await way.queued() == []


async def test_what_a_letter_from_elsewhere_says_of_its_documents_is_held_against_its_archive(desk) -> None:
    gp = await desk.account("gp")
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(Road.OPERATOR, MARIE, MailParameters(), peer, None)
    part = record_letters.zip_part(record_letters.one_document())
    told = b"X-MSS-CODECDA: 34112-3\r\n" + record_letters.letter(part, sender=MARIE, to=gp.address)
    envelope = Envelope(sender)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, gp.address))
    await desk.node.delivery.deliver(envelope, told)
    [event] = await trace(desk, "deliver")
    assert "mss-codecda-mismatch" in event.detail


async def test_a_message_id_that_names_nothing_is_replaced_and_the_product_is_told_outside(desk, way) -> None:
    gp = await desk.account("gp")
    way.publish("marie")
    odd = letter(gp.address, more="X-MSS-NIL: LOGICIEL1\r\n").replace(b"<un@essai>", b"personne")
    await desk.send(gp, odd, MARIE)
    [wire] = await way.queued()
    header = mime.header_block(wire)
    assert mime.first(header, "x-mss-nil") == b"LOGICIEL1"
    assert [one.name for one in mime.fields(header)].count("message-id") == 1
    assert mime.message_ids(mime.first(header, "message-id") or b"")
    assert mime.first(header, "message-id") in desk.open("marie", wire).inner


async def test_bare_line_ends_of_a_letter_stored_by_a_program_leave_as_crlf(desk, way) -> None:
    gp = await desk.account("gp")
    await desk.send(gp, letter(gp.address).replace(b"bilan est", b"bilan\nest"), MARIE)
    wire = way.opened_by_the_gate((await way.queued())[0])
    assert wire.count(b"\n") == wire.count(b"\r\n")
    assert b"bilan\r\nest" in wire


async def test_a_letter_over_what_was_agreed_with_an_operator_is_refused_at_once(desk, way) -> None:
    gp = await desk.account("gp")
    desk.node.delivery._links = LinkLimits({"voisin.test": 200})
    envelope = await desk.envelope(gp, MARIE)
    declared = Envelope(envelope.sender, MailParameters(size=201))
    refusal = await refused(desk.node.delivery.admit_recipient(declared, MARIE))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-link")
    refusal = await refused(desk.node.delivery.deliver(envelope, letter(gp.address)))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-link")
