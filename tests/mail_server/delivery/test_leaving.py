"""How letters leave for other operators: in which form, sealed to whom, and what of it stays in accounts of ours."""

from __future__ import annotations

from mail_server import mime
from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.outbound.interface import Form, Readable
from mail_server.store.armor import armor
from mail_server.store.model import Flag, State
from tests.mail_server.delivery.abroad import (
    MARIE,
    PAUL,
    letter,
    opens,
    operator_writes,
    parsed,
    refused,
    sealed_letter,
    trace,
)

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
    assert not opens(desk, "paul", wires[0])
    assert not first.eight_bit


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
        assert not opens(desk, "egress", copy)
    assert desk.open("egress", gated).inner.endswith(b"Merci.\r\n")
    assert not opens(desk, "marie", gated)
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
    assert not opens(desk, "egress", stored)
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
