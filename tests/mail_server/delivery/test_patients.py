"""Letters to and from a patient: by which address, sealed to what, and who may write to whom."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.conversations.model import Standing
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.plan import Treatment
from mail_server.store.armor import armor
from mail_server.store.model import CoarseClass, State
from policies.refusal import Refusal


def letter(sender: str, to: str, subject: str = "Compte rendu", name: str = "un", *, more: str = "") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{name}@essai>\r\n{more}"
        "\r\nLe bilan est joint.\r\n"
    ).encode()


async def sealed_letter(desk, sender, to, *certificates, name: str = "deux", more: str = "") -> bytes:
    """As a page composes it: encrypted to these certificates, opaque outside."""
    sealed = await desk.node.delivery._composer._engine.seal(
        b"Content-Type: text/plain\r\n\r\nMerci docteur.\r\n", certificates
    )
    fields = (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: [...] abcd\r\nMessage-ID: <{name}@page>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n{more}"
    )
    head, tail = mime.wrap(fields.encode(), "limite")
    return head + armor(b"".join(one.packet for one in sealed.key_packets), sealed.body) + tail


def own_certificates(desk, *accounts):
    found = [desk.node.planner.plan(account) for account in accounts]
    assert all(plan.treatment is Treatment.SEAL for plan in found)
    return [certificate for plan in found for certificate in plan.sealing_set]


async def refused(call) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


# -- to a patient ---------------------------------------------------------------------------------------------


async def test_a_letter_to_the_number_waits_sealed_until_the_space_is_activated(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    await desk.send(robot, letter(robot.address, patient.alias), patient.alias.upper())
    [(row, stored)] = await desk.inbox(patient)
    assert row.state is State.WAITING
    assert b"bilan" not in stored
    held = desk.node.operator_keys.existing(patient.id)
    assert held is not None
    assert patient.alias.partition("@")[0].encode() not in held.certificate


async def test_the_opaque_address_is_the_same_mailbox(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    sent = letter(robot.address, patient.alias)
    await desk.send(robot, sent, patient.alias, patient.address)
    assert len(await desk.inbox(patient)) == 1


async def test_a_certificate_published_before_the_activation_is_complete_seals_nothing_yet(desk) -> None:
    patient = await desk.patient(published=True)
    assert desk.node.planner.plan(patient).treatment is Treatment.WAIT
    await desk.activate(patient)
    assert desk.node.planner.plan(desk.node.accounts.by_id(patient.id)).treatment is Treatment.SEAL


async def test_an_activated_patient_s_letters_are_sealed_to_them_alone(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient(activated=True)
    await desk.send(robot, letter(robot.address, patient.alias), patient.alias)
    [(row, stored)] = await desk.inbox(patient)
    assert row.state is State.SEALED
    opened = desk.open(patient.id, stored)
    assert opened.subject == "Compte rendu"


async def test_an_activated_patient_without_a_certificate_waits_and_is_never_in_custody(desk) -> None:
    patient = await desk.patient()
    await desk.activate(patient)
    robot = await desk.account("robot", Kind.APP)
    desk.node.planner._decisions = AllowEverything(desk.node.decisions)
    await desk.send(robot, letter(robot.address, patient.alias), patient.alias)
    [(row, _)] = await desk.inbox(patient)
    assert row.state is State.WAITING


class AllowEverything:
    """Rules that somebody wrote too wide."""

    def __init__(self, decisions) -> None:
        self._decisions = decisions

    def decide(self, question):
        found = self._decisions.decide(question)
        return type(found)(True, found.rule)


async def test_the_server_swaps_no_key_packets_of_a_patient(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    await desk.send(robot, letter(robot.address, patient.alias), patient.alias)
    await desk.activate(patient)
    patient = desk.node.accounts.by_id(patient.id)
    assert await desk.node.resealer.begin(patient) == 0
    [(row, _)] = await desk.inbox(patient)
    assert row.state is State.WAITING
    assert desk.node.operator_keys.existing(patient.id) is not None


async def test_a_space_activated_while_a_letter_is_sealed_gets_it_sealed_anew(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient(activated=True)
    await desk.node.store.write(
        lambda tx: tx.sql.run("UPDATE patient SET activated_at = NULL WHERE account = ?", (patient.id,))
    )
    await desk.node.accounts.reload()
    composer = desk.node.delivery._composer
    made = composer.copies

    async def copies(*arguments, **options):
        found = await made(*arguments, **options)
        composer.copies = made
        await desk.activate(patient)
        return found

    composer.copies = copies
    await desk.send(robot, letter(robot.address, patient.alias), patient.alias)
    [(row, _)] = await desk.inbox(patient)
    assert row.state is State.SEALED


async def test_what_came_encrypted_to_the_waiting_key_passes_and_waits(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    found = await desk.node.addressees.addressee(gp, patient.alias)
    assert (found.guard, found.address) == ("waiting", patient.alias)
    gate = desk.node.delivery._composer
    plan = desk.node.planner.plan(patient)
    [certificate] = await gate._sealing_set(plan)
    sent = await sealed_letter(desk, gp.address, patient.alias, certificate)
    await desk.send(gp, sent, patient.alias)
    [(row, stored)] = await desk.inbox(patient)
    assert row.state is State.WAITING
    assert stored.endswith(sent.partition(b"\r\n\r\n")[2])


async def test_what_came_encrypted_to_a_key_that_no_patient_has_is_refused(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    sent = await sealed_letter(desk, gp.address, patient.alias, *own_certificates(desk, gp))
    found = await refused(desk.send(gp, sent, patient.alias))
    assert (found.code, found.reason) == (550, "encrypted-to-other-keys")


@pytest.mark.parametrize(
    ("local", "reason", "enhanced"),
    [
        ("285051305500199", "recipient-number-wrong", "5.1.3"),
        ("285131305500199", "recipient-number-wrong", "5.1.3"),
        ("28505130550019", "recipient-number-wrong", "5.1.3"),
        ("28505130550O199", "recipient-number-wrong", "5.1.3"),
        ("2k5m1305z501pqr", "recipient-unknown", "5.1.1"),  # as aliases look
        ("2790351215189", "recipient-unknown", "5.1.1"),
        ("279035121518989", "recipient-unknown", "5.1.1"),
        ("nobody", "recipient-unknown", "5.1.1"),
    ],
)
async def test_a_number_that_nobody_has_is_refused_and_a_mistyped_one_is_told(
    desk, local: str, reason: str, enhanced: str
) -> None:
    robot = await desk.account("robot", Kind.APP)
    found = await refused(desk.envelope(robot, f"{local}@{desk.node.accounts.patient_domain}"))
    assert (found.code, found.reason, found.enhanced) == (550, reason, enhanced)


@pytest.mark.parametrize(
    ("local", "said"),
    [
        ("285051305500199", "The last two digits"),
        ("285131305500199", "The month"),
        ("28505130550019", "13 or 15 characters"),
        ("2850513055001999", "two check digits): this one has 16."),
        ("28505130550O199", "Character 12 of the number is no digit"),
        ("28505130550o199", "Character 12 of the number is no digit"),
        ("2850513055001l9", "Character 14"),
        ("285052C05500199", "Character 7"),
        ("285053A05500199", "Character 7"),
        ("2A5051305500199", "Character 2"),
        ("28505130550-0199", "Character 12"),
    ],
)
async def test_a_mistyped_number_is_told_where_to_look(desk, local: str, said: str) -> None:
    robot = await desk.account("robot", Kind.APP)
    found = await refused(desk.envelope(robot, f"{local}@{desk.node.accounts.patient_domain}"))
    assert said in found.sentence
    assert found.sentence.isascii()
    assert local not in found.sentence


# -- from a patient -------------------------------------------------------------------------------------------


async def talking(desk, *, more: str = "", subject: str = "Compte rendu"):
    """A GP has written to an activated patient."""
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=True)
    await desk.send(gp, letter(gp.address, patient.alias, subject, more=more), patient.alias)
    return gp, patient


async def answer(desk, patient, gp, *, to: str = "un", name: str = "deux", author: str = "") -> None:
    sent = await sealed_letter(
        desk,
        author or patient.alias,
        gp.address,
        *own_certificates(desk, gp, patient),
        name=name,
        more=f"In-Reply-To: <{to}@essai>\r\n",
    )
    envelope = await desk.page_envelope(patient, gp.address, mail_from=author)
    await desk.node.delivery.deliver(envelope, sent)


async def test_a_patient_answers_who_wrote_and_is_seen_by_the_alias_alone(desk) -> None:
    gp, patient = await talking(desk)
    await answer(desk, patient, gp)
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    assert f"From: <{patient.alias}>".encode() in stored
    assert f"Return-Path: <{patient.alias}>".encode() in stored
    assert patient.address.encode() not in stored
    assert desk.open("gp", stored).inner.endswith(b"Merci docteur.\r\n")


async def test_the_opaque_address_as_sender_means_the_same_and_the_alias_is_shown(desk) -> None:
    gp, patient = await talking(desk)
    await answer(desk, patient, gp, author=patient.address)
    [(_, stored)] = await desk.inbox(gp)
    assert f"From: <{patient.alias}>".encode() in stored
    assert patient.address.encode() not in stored


async def test_a_patient_writes_in_nobody_else_s_name(desk) -> None:
    gp, patient = await talking(desk)
    other = await desk.patient("185052A004123")
    assert (await refused(desk.page_envelope(patient, mail_from=other.alias))).reason == "sender-not-yours"
    assert (await refused(desk.page_envelope(patient, mail_from=gp.address))).reason == "sender-not-yours"
    envelope = await desk.page_envelope(patient, gp.address)
    forged = await sealed_letter(desk, other.alias, gp.address, *own_certificates(desk, gp))
    assert (await refused(desk.node.delivery.deliver(envelope, forged))).reason == "from-forged"


async def test_a_patient_s_clear_letter_is_sealed_like_any_other(desk) -> None:
    gp, patient = await talking(desk)
    envelope = await desk.page_envelope(patient, gp.address)
    sent = letter(
        patient.address, gp.address, "Re: Compte rendu", "trois", more=f"Reply-To: {patient.address}\r\n"
    )
    await desk.node.delivery.deliver(envelope, sent)
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    inner = desk.open("gp", stored).inner
    assert patient.address.encode() not in stored + inner
    assert patient.alias.encode() in inner


async def test_a_patient_writes_to_nobody_who_did_not_write_first(desk) -> None:
    _, patient = await talking(desk)
    nurse, other = await desk.sealed("nurse"), await desk.patient("185052A004123")
    domain = desk.node.accounts.patient_domain
    told: set[tuple[object, ...]] = set()
    for address in (nurse.address, other.alias, "nobody@mss.essai.test", f"279035121518989@{domain}"):
        found = await refused(desk.page_envelope(patient, address))
        told.add((found.code, found.enhanced, found.sentence, found.reason))
    assert told == {(550, "5.7.1", "You can write only to who has written to you", "not-a-correspondent")}, (
        "and learns nothing of who has an account"
    )


async def test_two_patients_never_write_to_each_other_whatever_the_tables_say(desk) -> None:
    one, other = await desk.patient(activated=True), await desk.patient("185052A004123")
    await desk.node.store.write(
        lambda tx: tx.sql.run(
            "INSERT INTO conversation (patient, correspondent, root, thread_id, opener, opened_at, last_at)"
            " VALUES (?, ?, ?, 'T', ?, 1, 1)",
            (one.id, other.id, b"root", other.id),
        )
    )
    assert (await refused(desk.page_envelope(one, other.alias))).reason == "not-a-correspondent"


async def test_a_patient_of_another_operator_does_not_write_to_ours(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    admit = desk.node.delivery.admit_sender
    envelope = Envelope(
        await admit(Road.OPERATOR, "279035121518989@voisin.test", MailParameters(), peer, None)
    )
    found = await refused(desk.node.delivery.admit_recipient(envelope, patient.alias))
    assert found.reason == "not-a-correspondent"
    assert (await desk.node.delivery.admit_recipient(envelope, gp.address)).account == gp.id


async def test_a_suspended_patient_sends_nothing(desk) -> None:
    _, patient = await talking(desk)
    await desk.node.accounts.suspend(patient.id)
    assert (await refused(desk.page_envelope(patient))).reason == "account-suspended"


# -- open and closed ------------------------------------------------------------------------------------------


async def test_who_closes_the_exchange_is_not_written_to_until_they_write_again(desk) -> None:
    gp, patient = await talking(desk)
    await answer(desk, patient, gp)
    closing = letter(gp.address, patient.alias, "[FIN]", "fin", more="In-Reply-To: <un@essai>\r\n")
    await desk.send(gp, closing, patient.alias)
    found = await refused(desk.page_envelope(patient, gp.address))
    assert (found.code, found.enhanced, found.sentence, found.reason) == (
        550, "5.7.1", f"{gp.address} has closed this exchange", "conversation-closed",
    )  # fmt: skip
    again = letter(gp.address, patient.alias, "Encore", "encore", more="In-Reply-To: <un@essai>\r\n")
    await desk.send(gp, again, patient.alias)
    await answer(desk, patient, gp, name="six")


async def test_a_subject_that_only_holds_fin_closes_nothing(desk) -> None:
    gp, patient = await talking(desk)
    for number, subject in enumerate(("Re: [FIN]", "[FIN] merci")):
        await desk.send(gp, letter(gp.address, patient.alias, subject, f"n{number}"), patient.alias)
    await desk.page_envelope(patient, gp.address)


async def test_a_closed_thread_takes_no_answer_though_another_is_open(desk) -> None:
    gp, patient = await talking(desk)
    closing = letter(gp.address, patient.alias, "[FIN]", "fin", more="In-Reply-To: <un@essai>\r\n")
    await desk.send(gp, closing, patient.alias)
    await desk.send(gp, letter(gp.address, patient.alias, "Autre", "autre"), patient.alias)
    await answer(desk, patient, gp, to="autre", name="a1")
    assert (await refused(answer(desk, patient, gp, to="un", name="a2"))).reason == "conversation-closed"


async def test_fin_as_subject_closes_all_that_its_sender_opened_and_nothing_of_others(desk) -> None:
    gp, patient = await talking(desk)
    nurse = await desk.sealed("nurse")
    await desk.send(nurse, letter(nurse.address, patient.alias, "Soins", "soins"), patient.alias)
    await desk.send(gp, letter(gp.address, patient.alias, "[FIN]", "fin"), patient.alias)
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"
    await desk.page_envelope(patient, nurse.address)


async def test_a_patient_closes_nothing(desk) -> None:
    gp, patient = await talking(desk)
    envelope = await desk.page_envelope(patient, gp.address)
    sent = letter(patient.alias, gp.address, "[FIN]", "p", more="X-MSS-MES: FIN\r\n")
    await desk.node.delivery.deliver(envelope, sent)
    await desk.page_envelope(patient, gp.address)


async def test_a_patient_s_own_fin_is_taken_off_also_what_came_sealed(desk) -> None:
    gp, patient = await talking(desk)
    envelope = await desk.page_envelope(patient, gp.address)
    sealed = await sealed_letter(
        desk, patient.alias, gp.address, *own_certificates(desk, gp), more="X-MSS-MES: FIN\r\n"
    )
    await desk.node.delivery.deliver(envelope, sealed)
    [(row, stored)] = await desk.inbox(gp)
    assert b"x-mss-mes" not in stored.lower()
    [found] = await desk.node.store.read(lambda reader: reader.emails(gp.id, [row.email_id]))
    assert not found.findings.closes_exchange


async def test_a_professional_ends_the_exchange_also_by_a_letter_sealed_in_the_page(desk) -> None:
    gp, patient = await talking(desk)
    sealed = await sealed_letter(
        desk,
        gp.address,
        patient.alias,
        *own_certificates(desk, patient),
        more="In-Reply-To: <un@essai>\r\nCc: fin@mss.essai.test\r\n",
    )
    await desk.send(gp, sealed, patient.alias, "fin@mss.essai.test")
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"


async def test_it_is_told_of_an_addressee_that_they_are_a_patient(desk) -> None:
    gp, patient = await talking(desk)
    find = desk.node.addressees.addressee
    assert (await find(gp, patient.alias)).patient
    assert not (await find(patient, gp.address)).patient


async def test_a_notice_that_may_not_be_answered_opens_nothing_and_says_so(desk) -> None:
    gp, patient = await talking(desk, more="X-MSS-MES: FIN\r\n")
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"


async def test_a_reply_to_is_whom_the_patient_answers_instead_of_the_robot(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    gp, other = await desk.sealed("gp"), await desk.patient("185052A004123")
    sent = letter(robot.address, patient.alias, more=f"Reply-To: <{gp.address}>, <{other.alias}>\r\n")
    await desk.send(robot, sent, patient.alias)
    await desk.page_envelope(patient, gp.address)
    for address in (robot.address, other.alias):
        assert (await refused(desk.page_envelope(patient, address))).reason == "not-a-correspondent"


REPORT = (
    'Content-Type: multipart/report; report-type=disposition-notification; boundary="x"\r\n\r\n'
    "--x\r\n\r\nLu.\r\n--x\r\nContent-Type: message/disposition-notification\r\n\r\n"
    "Disposition: manual-action/MDN-sent-manually; displayed\r\n--x--\r\n"
)


@pytest.mark.parametrize("more", ["Auto-Submitted: auto-replied\r\n", REPORT], ids=["automatic", "receipt"])
async def test_what_nobody_wrote_opens_nothing(desk, more: str) -> None:
    gp, patient = await talking(desk, more=more)
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "not-a-correspondent"


async def test_a_ward_that_wrote_is_answered_as_the_ward(desk) -> None:
    nurse, patient = await desk.sealed("nurse"), await desk.patient()
    ward = await desk.ward(nurse)
    peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
    identity = (await desk.envelope(nurse)).sender.identity
    envelope = Envelope(
        await desk.node.delivery.admit_sender(Road.CLIENT, ward.address, MailParameters(), peer, identity)
    )
    envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, patient.alias))
    await desk.node.delivery.deliver(envelope, letter(ward.address, patient.alias))
    await desk.page_envelope(patient, ward.address)
    assert (await refused(desk.page_envelope(patient, nurse.address))).reason == "not-a-correspondent"


async def test_mail_without_a_patient_writes_no_conversation(desk, monkeypatch) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    asked: list[object] = []
    conversations = desk.node.correspondence.conversations
    for name in ("record", "written", "answered", "stand", "barred"):
        monkeypatch.setattr(
            type(conversations), name, lambda *found, **more: asked.append(found), raising=True
        )
    await desk.send(gp, letter(gp.address, nurse.address), nurse.address)
    assert asked == []
    assert await desk.node.store.read(lambda reader: reader.sql.all("SELECT * FROM conversation")) == []


async def test_a_letter_that_is_not_filed_opens_nothing(desk, monkeypatch) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    monkeypatch.setattr(type(desk.node.trail), "append", fails)
    with pytest.raises(RuntimeError, match="the trace cannot be written"):
        await desk.send(gp, letter(gp.address, patient.alias), patient.alias)
    standing = await desk.node.store.read(
        lambda reader: desk.node.correspondence.conversations.standing(reader, patient.id, gp.id)
    )
    assert standing is Standing.NONE
    assert await desk.inbox(patient) == []


def fails(*_) -> None:
    raise RuntimeError("the trace cannot be written")


# -- what is not told -----------------------------------------------------------------------------------------


async def test_nothing_of_a_patient_is_in_the_trace_the_logs_or_the_files(desk, caplog, tmp_path) -> None:
    caplog.set_level(logging.DEBUG)
    gp, patient = await talking(desk)
    await answer(desk, patient, gp)
    number = patient.alias.partition("@")[0]
    for address in (number + "@mss.essai.test", number[:-1] + "0@" + desk.node.accounts.patient_domain):
        await refused(desk.envelope(gp, address))
    await refused(desk.page_envelope(patient, "nurse@mss.essai.test"))
    await refused(desk.page_envelope(patient, mail_from=number + "@ailleurs.test"))
    await desk.node.trace.stop()
    await asyncio.sleep(0)
    canaries = [number, number[:13], "Vasarely", "Apolline", "1985-05-17"]
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(b"conversation" in content for content in files.values())
    for canary in canaries:
        assert canary not in caplog.text
        assert [path for path, content in files.items() if canary.encode() in content] == []


async def test_the_class_of_a_letter_to_a_patient_is_kept_as_for_all(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    await desk.send(robot, letter(robot.address, patient.alias, "XDM/1.0/DDM+CR"), patient.alias)
    [(row, _)] = await desk.inbox(patient)
    [found] = await desk.node.store.read(lambda reader: reader.emails(patient.id, [row.email_id]))
    assert found.findings.coarse_class is CoarseClass.RECORD
    assert found.findings.summary is not None
