"""Letters to other operators: who may write to whom, what is asked of the letter, what its sender is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mail_server.accounts.interface import Kind, Peer, Results
from mail_server.delivery.abroad import addressed
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.links import LinkLimits
from tests.mail_server.delivery.abroad import (
    MARIE,
    PATIENT_ELSEWHERE,
    PAUL,
    letter,
    operator_writes,
    parsed,
    refused,
    trace,
)

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


async def test_a_letter_over_what_was_agreed_with_an_operator_is_refused_at_once(desk, way) -> None:
    gp = await desk.account("gp")
    desk.node.delivery._links = LinkLimits({"voisin.test": 200})
    envelope = await desk.envelope(gp, MARIE)
    declared = Envelope(envelope.sender, MailParameters(size=201))
    refusal = await refused(desk.node.delivery.admit_recipient(declared, MARIE))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-link")
    refusal = await refused(desk.node.delivery.deliver(envelope, letter(gp.address)))
    assert (refusal.code, refusal.reason) == (552, "too-large-for-link")
