"""What becomes of a letter, by who its addressee is and how it came."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy

import pytest

from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.model import Form, State
from policies.refusal import Refusal


def letter(sender: str, to: str, subject: str = "Compte rendu de M. Éluard", *, more: str = "") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{abs(hash((subject, more)))}@essai>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n{more}X-Interne: salle 4\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Le bilan est joint, à relire.\r\n"
    ).encode()


def outer(stored: bytes):
    return message_from_bytes(stored, policy=policy.default)


# -- sealed by us ---------------------------------------------------------------------------------------------


async def test_a_letter_to_someone_with_a_key_is_sealed_with_its_subject_inside(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    sent = letter(sender.address, gp.address)
    await desk.send(sender, sent, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.SPLIT, State.SEALED)
    assert len(stored) == row.size
    opened = desk.open("gp", stored)
    assert opened.subject == "Compte rendu de M. Éluard"
    assert opened.good_signature
    assert opened.inner.endswith(sent.partition(b"\r\n\r\n")[2])


async def test_only_the_allow_list_stays_outside(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(sender, letter(sender.address, gp.address), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    header = stored.partition(b"\r\n\r\n")[0].decode()
    names = {line.partition(":")[0] for line in re.sub(r"\r\n[ \t]", " ", header).split("\r\n")}
    assert names == {
        "From", "To", "Subject", "Message-ID", "Date", "MIME-Version", "Content-Type", "Vaguemestre-State",
    }  # fmt: skip
    assert re.fullmatch(r"\[\.\.\.\] [a-z]{4}", outer(stored)["Subject"])
    assert "luard" not in stored.decode("latin-1")


async def test_the_inside_repeats_the_outside_and_says_where_it_came_from(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(sender, letter(sender.address, gp.address), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    inner = desk.open("gp", stored).message
    assert inner.get_content_type() == "text/plain"
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner["Content-Type"].params["protected-headers"] == "v1"
    assert f"Subject: {outer(stored)['Subject']}" in inner.get_all("HP-Outer")
    assert "not end-to-end signed" in inner["Vaguemestre-Received"]
    assert sender.address in inner["Vaguemestre-Received"]


async def test_bcc_is_carried_by_no_copy_and_no_copy_names_the_others_keys(desk) -> None:
    sender, gp, nurse = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
    )
    sent = letter(sender.address, gp.address, more=f"Bcc: {nurse.address}\r\n")
    await desk.send(sender, sent, gp.address, nurse.address)
    [(gp_row, gp_copy)], [(nurse_row, nurse_copy)] = await desk.inbox(gp), await desk.inbox(nurse)
    for who, copy in (("gp", gp_copy), ("nurse", nurse_copy)):
        assert b"\nbcc:" not in copy.lower()
        assert b"\nbcc:" not in desk.open(who, copy).inner.lower()
    packets = await desk.node.store.read(
        lambda reader: [reader.key_packets(row.message) for row in (gp_row, nurse_row)]
    )
    assert packets[0] != packets[1]
    assert len(packets[0]) < 130  # one key packet
    with pytest.raises(Exception, match="cannot open"):
        desk.open("nurse", gp_copy)


async def test_one_conversation_keeps_its_four_letters_and_another_gets_others(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    first = letter(sender.address, gp.address, "un")
    reference = re.search(rb"Message-ID: (<.*?>)", first)[1].decode()
    await desk.send(sender, first, gp.address)
    await desk.send(
        sender, letter(sender.address, gp.address, "deux", more=f"References: {reference}\r\n"), gp.address
    )
    await desk.send(sender, letter(sender.address, gp.address, "trois"), gp.address)
    subjects = [outer(stored)["Subject"] for _, stored in await desk.inbox(gp)]
    assert subjects[0] == subjects[1] != subjects[2]


async def test_our_own_fields_arriving_from_outside_are_stripped(desk) -> None:
    sender, gp, robot = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.account("labo", Kind.APP),
    )
    forged = letter(
        sender.address, gp.address, more="Vaguemestre-State: sealed\r\nVAGUEMESTRE-Received: x\r\n"
    )
    await desk.send(sender, forged, gp.address, robot.address)
    [(_, sealed)], [(_, held)] = await desk.inbox(gp), await desk.inbox(robot)
    assert desk.open("gp", sealed).inner.lower().count(b"vaguemestre-received") == 1
    assert held.lower().count(b"vaguemestre-state") == 1
    assert outer(held)["Vaguemestre-State"] == "custody"


# -- shared accounts ------------------------------------------------------------------------------------------


async def test_a_letter_to_a_ward_holds_one_key_packet_per_member(desk) -> None:
    sender = await desk.account("robot", Kind.APP)
    nurse, doctor = await desk.sealed("nurse"), await desk.sealed("doctor")
    ward = await desk.ward(nurse, doctor)
    await desk.send(sender, letter(sender.address, ward.address), ward.address)
    [(_, stored)] = await desk.inbox(ward)
    for member in ("nurse", "doctor"):
        assert desk.open(member, stored).good_signature


async def test_after_a_member_left_new_letters_hold_no_key_packet_for_him_and_old_ones_still_open(
    desk,
) -> None:
    sender = await desk.account("robot", Kind.APP)
    nurse, doctor = await desk.sealed("nurse"), await desk.sealed("doctor")
    ward = await desk.ward(nurse, doctor)
    await desk.send(sender, letter(sender.address, ward.address, "avant"), ward.address)
    await desk.node.accounts.member_remove(ward.id, doctor.id)
    await desk.send(sender, letter(sender.address, ward.address, "après"), ward.address)
    (_, before), (_, after) = await desk.inbox(ward)
    assert desk.open("doctor", before).subject == "avant"
    assert desk.open("nurse", after).subject == "après"
    with pytest.raises(Exception, match="cannot open"):
        desk.open("doctor", after)


async def test_one_member_without_a_key_keeps_the_ward_in_custody(desk) -> None:
    sender, nurse = await desk.account("robot", Kind.APP), await desk.sealed("nurse")
    newcomer = await desk.account("newcomer")
    ward = await desk.ward(nurse, newcomer)
    await desk.send(sender, letter(sender.address, ward.address), ward.address)
    [(row, _)] = await desk.inbox(ward)
    assert row.state is State.CUSTODY


# -- custody, waiting, re-seal --------------------------------------------------------------------------------


async def test_a_letter_to_someone_without_a_key_lies_in_custody_as_it_came(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    sent = letter(sender.address, gp.address)
    await desk.send(sender, sent, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.VERBATIM, State.CUSTODY)
    assert stored.endswith(sent)
    assert outer(stored)["Return-Path"] == f"<{sender.address}>"


async def test_what_lay_in_custody_is_sealed_once_a_certificate_is_published(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    for number in range(3):
        await desk.send(sender, letter(sender.address, gp.address, f"lettre {number}"), gp.address)
    held = await desk.node.operator_keys.certificate_for(gp.id, gp.address)
    threads = {row.thread_id for row, _ in await desk.inbox(gp)}
    desk.publish("gp")
    assert await desk.node.resealer.begin(gp) == 3
    found = await desk.inbox(gp)
    assert {row.state for row, _ in found} == {State.SEALED}
    assert {row.thread_id for row, _ in found} == threads
    assert min(row.uid for row, _ in found) > 3
    assert {desk.open("gp", stored).subject for _, stored in found} == {f"lettre {n}" for n in range(3)}
    assert held is not None
    assert desk.node.operator_keys.existing(gp.id) is None


async def test_a_revoked_certificate_refuses_the_recipient(desk) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    fingerprint = desk.publish("gp")
    desk.node.directory.revoke(gp.address, fingerprint, time.time_ns() // 1_000_000)
    with pytest.raises(Refusal) as refused:
        await desk.envelope(sender, gp.address)
    assert (refused.value.code, refused.value.enhanced) == (550, "5.7.5")


# -- what came encrypted --------------------------------------------------------------------------------------


async def test_a_letter_already_sealed_to_the_right_key_passes_byte_for_byte(desk) -> None:
    robot, gp, nurse = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
    )
    await desk.send(robot, letter(robot.address, gp.address), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    again = re.sub(rb"^Vaguemestre-State.*?\r\n", b"", stored, flags=re.MULTILINE)
    await desk.send(robot, again, gp.address)
    _, (row, passed) = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.VERBATIM, State.SEALED)
    assert passed.endswith(again)
    with pytest.raises(Refusal) as refused:
        await desk.send(robot, again, nurse.address)
    assert refused.value.reason == "encrypted-to-other-keys"


async def test_a_subject_left_readable_by_the_senders_program_is_named_so(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, letter(robot.address, gp.address), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    shown = re.sub(rb"Subject: .*?\r\n", b"Subject: M. Eluard, sortie\r\n", stored)
    await desk.send(robot, shown, gp.address)
    _, (row, passed) = await desk.inbox(gp)
    assert row.state is State.SUBJECT_OUTSIDE
    assert outer(passed)["Vaguemestre-State"] == "subject outside"


async def test_what_was_sealed_to_the_operator_held_certificate_is_opened_for_custody(desk, tmp_path) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    held = await desk.node.operator_keys.certificate_for(gp.id, gp.address)
    from directory.openpgp.gate import gate
    from mail_server import mime
    from mail_server.store.armor import armor

    certificate = gate(held.certificate, gp.address, time.time_ns() // 1_000_000)
    inner = b"Subject: dedans\r\nContent-Type: text/plain\r\n\r\nOuvert en garde.\r\n"
    sealed = await desk.node.delivery._composer._engine.seal(inner, [certificate])
    fields = f"From: <{robot.address}>\r\nTo: {gp.address}\r\nSubject: ...\r\n".encode()
    head, tail = mime.wrap(fields, "limite")
    await desk.send(robot, head + armor(sealed.key_packets[0].packet, sealed.body) + tail, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.CUSTODY
    assert outer(stored)["Subject"] == "dedans"
    assert stored.endswith(b"Ouvert en garde.\r\n")


# -- refusals and repetition ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "From: <gp@mss.essai.test>\r\n",
        "From: <robot@mss.essai.test>, <gp@mss.essai.test>\r\n",
        "From: <robot@mss.essai.test>\r\nFrom: <gp@mss.essai.test>\r\n",
        "From: <robot@mss.essai.test>\r\nSender: <gp@mss.essai.test>\r\n",
        "Subject: sans auteur\r\n",
    ],
    ids=["another's", "two authors", "two fields", "another Sender", "none"],
)
async def test_a_from_that_is_not_who_sends_is_refused(desk, header: str) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    with pytest.raises(Refusal) as refused:
        await desk.send(robot, header.encode() + b"\r\nx\r\n", gp.address)
    assert (refused.value.code, refused.value.enhanced) == (550, "5.7.1")
    assert await desk.inbox(gp) == []


async def test_nobody_sends_as_someone_else_but_a_member_sends_as_the_ward(desk) -> None:
    nurse, gp = await desk.sealed("nurse"), await desk.sealed("gp")
    ward = await desk.ward(nurse)
    envelope = await desk.envelope(nurse)
    peer, identity = envelope.sender.peer, envelope.sender.identity
    admit = desk.node.delivery.admit_sender
    assert (
        await admit(Road.CLIENT, ward.address, MailParameters(), peer, identity)
    ).mail_from == ward.address
    with pytest.raises(Refusal, match="sender-not-yours"):
        await admit(Road.CLIENT, gp.address, MailParameters(), peer, identity)


async def test_an_operator_hands_over_for_its_own_domains_only(desk) -> None:
    gp = await desk.sealed("gp")
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    admit = desk.node.delivery.admit_sender
    sender = await admit(Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None)
    envelope = Envelope(sender)
    envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, gp.address))
    await desk.node.delivery.deliver(envelope, letter("dr@voisin.test", gp.address))
    assert len(await desk.inbox(gp)) == 1
    for address, reason in (("dr@ailleurs.test", "certificate-of-another-domain"),):
        with pytest.raises(Refusal, match=reason):
            await admit(Road.OPERATOR, address, MailParameters(), peer, None)
    bare = Peer("127.0.0.1", 4000, "smtp", "s3", tls=True)
    with pytest.raises(Refusal, match="no-certificate"):
        await admit(Road.OPERATOR, "dr@voisin.test", MailParameters(), bare, None)


async def test_recipients_are_gated_one_by_one(desk) -> None:
    robot, gp, gone = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.account("gone"),
    )
    await desk.node.accounts.suspend(gone.id)
    envelope = await desk.envelope(robot, gp.address)
    for address, reason in (
        ("absent@mss.essai.test", "recipient-unknown"),
        ("quelqu.un@ailleurs.test", "recipient-domain-unlisted"),
        (gone.address, "recipient-suspended"),
    ):
        with pytest.raises(Refusal, match=reason):
            await desk.node.delivery.admit_recipient(envelope, address)
    await desk.node.delivery.deliver(envelope, letter(robot.address, gp.address))
    assert len(await desk.inbox(gp)) == 1


async def test_a_letter_sent_again_is_answered_and_filed_once(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    sent = letter(robot.address, gp.address)
    await desk.send(robot, sent, gp.address)
    await desk.send(robot, sent, gp.address)
    assert len(await desk.inbox(gp)) == 1


async def test_the_same_account_named_twice_gets_one_copy(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, letter(robot.address, gp.address), gp.address, gp.address.upper())
    assert len(await desk.inbox(gp)) == 1


async def test_when_sealing_fails_nothing_is_filed_anywhere(desk) -> None:
    robot, gp, labo = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.account("labo", Kind.APP),
    )
    await desk.node.pool.close()
    with pytest.raises(Refusal) as refused:
        await desk.send(robot, letter(robot.address, gp.address), gp.address, labo.address)
    assert refused.value.code == 451
    assert await desk.inbox(gp) == await desk.inbox(labo) == []


async def test_every_delivery_and_refusal_is_in_the_trace_without_content(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, letter(robot.address, gp.address), gp.address)
    with pytest.raises(Refusal) as refused:
        await desk.envelope(robot, "absent@mss.essai.test")
    await desk.node.trace.stop()
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT action, outcome, reference, detail FROM audit_entry ORDER BY seq"
        )
    )
    actions = [(action, outcome) for action, outcome, _, _ in rows]
    assert ("deliver", "sealed") in actions
    assert ("refuse", "recipient-unknown") in actions
    assert refused.value.id in [reference for _, _, reference, _ in rows]
    assert "luard" not in repr(rows)


async def test_the_trace_names_who_wrote_in_whose_name_by_which_door_and_what_kind(desk) -> None:
    nurse, gp = await desk.sealed("nurse"), await desk.sealed("gp")
    ward = await desk.ward(nurse)
    envelope = await desk.page_envelope(nurse, gp.address, mail_from=ward.address)
    await desk.node.delivery.deliver(envelope, letter(ward.address, gp.address))
    await desk.send(nurse, letter(nurse.address, gp.address), gp.address)
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, behalf, kind, door FROM audit_entry WHERE action = 'deliver' ORDER BY seq"
        )
    )
    assert rows == [(nurse.id, ward.id, "message", "page"), (nurse.id, "", "message", "submission")]
