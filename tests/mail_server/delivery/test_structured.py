"""What a letter carries beside its text: read apart, judged, sealed with it; copied for the practice's software."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pysequoia
import pytest

from mail_server.accounts.interface import Kind
from mail_server.payloads import manifest
from mail_server.store.model import CoarseClass, State
from policies.refusal import Refusal
from tests.webmail.vectors import record_letters as made

SENDER = "robot@mss.essai.test"


def report(to: str, **changes: object) -> bytes:
    subject = "XDM/1.0/DDM+Bilan VASARELY Apolline"
    return made.letter(
        made.zip_part(made.one_document(**changes)), made.zip_part(made.PDF, "bilan.pdf", "application/pdf"),
        subject=subject, sender=SENDER, to=to,
    )  # fmt: skip


def invitation(to: str) -> bytes:
    return made.letter(
        made.calendar_part(made.calendar(made.event())), subject="Votre rendez-vous", sender=SENDER, to=to
    )


async def refusal(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


def opened(desk, local: str, packets: bytes) -> tuple[dict[str, Any], bool]:
    """A sealed summary as its holder's page opens it, and whether the gateway signed it."""
    secret = pysequoia.Tsk.from_file(str(desk.people / f"{local}.asc"))
    gateway = pysequoia.Cert.from_bytes(desk.node.authority.certificate())
    try:
        found = pysequoia.decrypt(packets, secret.decryptor("essai"), lambda _: [gateway])
    except RuntimeError:  # asked for a signature, the library opens nothing that has none
        clear = pysequoia.decrypt(packets, secret.decryptor("essai"))
        return json.loads(bytes(clear.bytes)), False
    return json.loads(bytes(found.bytes)), bool(found.valid_sigs)


async def summary(desk, account) -> bytes:
    rows = await desk.inbox(account)
    origin = await desk.node.store.read(lambda reader: reader.message_origin(rows[-1][0].message))
    assert origin.findings.summary is not None
    return origin.findings.summary


async def coarse(desk, account) -> CoarseClass:
    rows = await desk.inbox(account)
    origin = await desk.node.store.read(lambda reader: reader.message_origin(rows[-1][0].message))
    return origin.findings.coarse_class


# -- sealed with the letter


async def test_a_report_s_manifest_lies_in_its_sealed_summary_signed_by_the_gateway(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, report(gp.address), gp.address)
    told, signed = opened(desk, "gp", await summary(desk, gp))
    assert signed
    assert told["subject"].startswith("XDM/1.0/DDM")
    found = manifest.of_json(told["manifest"])
    assert found is not None
    [document] = found.items
    assert (document.kind, document.id, document.title) == (
        "document",
        "1.2.250.1.999.1.1",
        "Bilan sanguin du 19 novembre",
    )
    assert (document.part, document.entry) == ("2", "IHE_XDM/SUBSET01/DOC0001.XML")
    assert await coarse(desk, gp) is CoarseClass.RECORD


async def test_an_invitation_s_appointment_is_in_its_manifest(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, invitation(gp.address), gp.address)
    told, signed = opened(desk, "gp", await summary(desk, gp))
    [appointment] = told["manifest"]["items"]
    assert signed
    assert (appointment["kind"], appointment["id"], appointment["method"]) == (
        "appointment",
        "rdv-1@chu.example",
        "REQUEST",
    )
    assert await coarse(desk, gp) is CoarseClass.AGENDA


async def test_an_ordinary_letter_has_no_manifest_and_no_process_reads_it(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    plain = made.letter(made.mime.text_part("Bonjour\r\n"), sender=SENDER, to=gp.address)
    await desk.send(robot, plain, gp.address)
    told, signed = opened(desk, "gp", await summary(desk, gp))
    assert "manifest" not in told
    assert not signed
    assert desk.node.delivery._structured._reader.pids == []


async def test_a_waiting_patient_s_report_has_its_manifest_under_the_waiting_key(desk) -> None:
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient()
    await desk.send(robot, report(patient.address), patient.address)
    [(row, _)] = await desk.inbox(patient)
    assert row.state is State.WAITING
    secret = desk.node.operator_keys.secret(patient.id)
    clear = pysequoia.decrypt(await summary(desk, patient), pysequoia.Tsk.from_bytes(secret).decryptor())
    assert json.loads(bytes(clear.bytes))["manifest"]["items"][0]["kind"] == "document"


@pytest.mark.parametrize("kept", ["custody", "waiting"])
async def test_what_lay_in_custody_or_waited_gets_its_manifest_when_it_is_sealed(desk, kept: str) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp = await (desk.account("gp") if kept == "custody" else desk.without_custody("gp"))
    await desk.send(robot, report(gp.address), gp.address)
    desk.publish("gp")
    assert await desk.node.resealer.begin(gp) == 1
    [(row, _)] = await desk.inbox(gp)
    assert row.state is State.SEALED
    told, signed = opened(desk, "gp", await summary(desk, gp))
    assert signed
    assert told["manifest"]["items"][0]["id"] == "1.2.250.1.999.1.1"


async def test_the_archive_comes_out_of_the_seal_byte_for_byte(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    await desk.send(robot, report(gp.address), gp.address)
    [(_, stored)] = await desk.inbox(gp)
    inner = desk.open("gp", stored)
    found = [
        part.get_content() for part in inner.message.walk() if part.get_content_type() == "application/zip"
    ]
    assert found == [made.one_document()]


# -- refused


async def test_an_archive_about_two_people_is_refused_with_the_code_software_knows(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    found = await refusal(desk.send(robot, report(gp.address, patient_id=made.OTHER), gp.address))
    assert (found.code, found.enhanced) == (554, "5.6.0")
    assert "(ANS 904)" in found.sentence
    assert await desk.inbox(gp) == []


async def test_a_program_beside_a_document_is_refused(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    sent = made.letter(
        made.zip_part(made.one_document()), made.zip_part(b"MZ\x90\x00", "visionneuse.exe", "application/octet-stream"),
        sender=SENDER, to=gp.address,
    )  # fmt: skip
    found = await refusal(desk.send(robot, sent, gp.address))
    assert (found.code, found.reason) == (554, "program")
    assert "(ANS 906)" in found.sentence


async def test_a_document_not_announced_yet_does_not_go_to_the_patient_but_to_their_doctor(desk) -> None:
    robot, gp, patient = await desk.account("robot", Kind.APP), await desk.sealed("gp"), await desk.patient()
    codes = (made.NORMAL, made.confidential("INVISIBLE_PATIENT"))
    found = await refusal(desk.send(robot, report(patient.address, confidentiality=codes), patient.address))
    assert (found.code, found.enhanced, found.reason) == (554, "5.7.1", "carry-invisible-to-patient")
    await desk.send(robot, report(gp.address, confidentiality=codes), gp.address)
    assert len(await desk.inbox(gp)) == 1


async def test_what_the_patient_masks_goes_to_the_patient_alone_and_one_recipient_refuses_for_all(
    desk,
) -> None:
    robot, gp, patient = await desk.account("robot", Kind.APP), await desk.sealed("gp"), await desk.patient()
    codes = (made.NORMAL, made.confidential("MASQUE_PS"))
    both = (patient.address, gp.address)
    found = await refusal(desk.send(robot, report(patient.address, confidentiality=codes), *both))
    assert found.reason == "carry-masked-to-professional"
    assert await desk.inbox(patient) == []
    await desk.send(robot, report(patient.address, confidentiality=codes), patient.address)
    assert len(await desk.inbox(patient)) == 1


async def test_a_combination_that_nobody_could_read_is_refused(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    codes = (made.confidential("MASQUE_PS"), made.confidential("INVISIBLE_PATIENT"))
    found = await refusal(desk.send(robot, report(gp.address, confidentiality=codes), gp.address))
    assert found.reason == "carry-wrong-combination"


async def test_what_legal_representatives_may_not_see_is_carried_and_told(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    codes = (made.NORMAL, made.confidential("INVISIBLE_REPRESENTANTS_LEGAUX"))
    await desk.send(robot, report(gp.address, confidentiality=codes), gp.address)
    told, _ = opened(desk, "gp", await summary(desk, gp))
    assert "INVISIBLE_REPRESENTANTS_LEGAUX" in told["manifest"]["items"][0]["confidentiality"]


async def test_a_reader_that_dies_is_answered_451_and_replaced(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    reader = desk.node.delivery._structured._reader
    await desk.send(robot, report(gp.address), gp.address)
    [worker] = reader.pids
    os.kill(worker, signal.SIGSTOP)
    sending = asyncio.create_task(desk.send(robot, report(gp.address, title="Un autre"), gp.address))
    while not reader._pool._workers or next(iter(reader._pool._workers)).job is None:
        await asyncio.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    found = await refusal(sending)
    assert (found.code, found.reason) == (451, "record-worker-lost")
    await desk.send(robot, report(gp.address, title="Un autre"), gp.address)
    assert worker not in reader.pids


# -- copied for the practice's software


async def with_software(desk, local: str = "gp", *, on: bool = True):
    holder, software = await desk.sealed(local), await desk.account("cabinet", Kind.APP)
    await desk.node.accounts.software_set(holder.id, software.id)
    if on:
        await desk.node.accounts.copies_set(holder.id, True, by=holder.id)
    return holder, software


async def test_the_software_s_copy_is_readable_while_the_doctor_s_own_stays_sealed(desk) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp, software = await with_software(desk)
    sent = report(gp.address)
    await desk.send(robot, sent, gp.address)
    [(own, _)], [(copy, stored)] = await desk.inbox(gp), await desk.inbox(software)
    assert (own.state, copy.state) == (State.SEALED, State.CUSTODY)
    assert stored.endswith(sent)  # below the fields of every delivery, to the byte
    told = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT action, actor, subject FROM audit_entry WHERE action = 'software-copy'"
        )
    )
    assert [(row[0], row[1], row[2]) for row in told] == [("software-copy", "node", gp.id)]


async def test_nothing_is_copied_before_the_holder_switched_it_on_nor_after_another_software_was_named(
    desk,
) -> None:
    robot, other = await desk.account("robot", Kind.APP), await desk.account("autre", Kind.APP)
    gp, software = await with_software(desk, on=False)
    await desk.send(robot, report(gp.address), gp.address)
    await desk.node.accounts.copies_set(gp.id, True, by=gp.id)
    await desk.node.accounts.software_set(gp.id, other.id)
    await desk.send(robot, report(gp.address, title="Deux"), gp.address)
    assert (await desk.inbox(software), await desk.inbox(other)) == ([], [])
    assert len(await desk.inbox(gp)) == 2


async def test_an_ordinary_letter_and_one_sealed_by_its_sender_are_not_copied(desk) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp, software = await with_software(desk)
    plain = made.letter(made.mime.text_part("Bonjour\r\n"), sender=SENDER, to=gp.address)
    await desk.send(robot, plain, gp.address)
    [(_, sealed)] = await desk.inbox(gp)
    body = sealed.partition(b"\r\n\r\n")
    outside = f"From: <{SENDER}>\r\nTo: <{gp.address}>\r\nSubject: XDM/1.0/DDM+Bilan\r\n".encode()
    kind = next(line for line in body[0].split(b"\r\n") if line.startswith(b"Content-Type")) + b"\r\n"
    boundary = sealed[sealed.index(b"boundary") :].split(b"\r\n")[0]
    again = (
        outside
        + b"MIME-Version: 1.0\r\n"
        + (kind if b"boundary" in kind else kind + b"\t" + boundary + b"\r\n")
        + b"\r\n"
        + body[2]
    )
    await desk.send(robot, again, gp.address)
    assert len(await desk.inbox(gp)) == 2
    assert await desk.inbox(software) == []


async def test_software_that_is_itself_addressed_gets_one_copy(desk) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp, software = await with_software(desk)
    await desk.send(robot, report(gp.address), gp.address, software.address)
    assert len(await desk.inbox(software)) == 1


async def test_two_doctors_of_one_practice_share_one_copy(desk) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp, software = await with_software(desk)
    nurse = await desk.sealed("nurse")
    await desk.node.accounts.software_set(nurse.id, software.id)
    await desk.node.accounts.copies_set(nurse.id, True, by=nurse.id)
    await desk.send(robot, report(gp.address), gp.address, nurse.address)
    assert len(await desk.inbox(software)) == 1


# -- what the page says of a letter it sealed


async def test_only_the_page_s_own_hand_over_may_say_which_class_a_sealed_letter_is(desk) -> None:
    nurse, gp = await desk.sealed("nurse"), await desk.sealed("gp")
    plain = made.letter(made.mime.text_part("Bonjour\r\n"), sender=nurse.address, to=gp.address)
    await desk.send(nurse, plain, gp.address)
    [(_, sealed)] = await desk.inbox(gp)
    claimed = b"Vaguemestre-Class: record\r\n" + sealed.replace(b"Vaguemestre-State: sealed\r\n", b"")
    await desk.send(nurse, claimed, gp.address)
    assert await coarse(desk, gp) is CoarseClass.MESSAGE
    envelope = await desk.page_envelope(nurse, gp.address)
    await desk.node.delivery.deliver(envelope, claimed.replace(b"\r\n\r\n", b"\r\nX-Other: 1\r\n\r\n", 1))
    assert await coarse(desk, gp) is CoarseClass.RECORD
    for _, stored in await desk.inbox(gp):
        assert b"Vaguemestre-Class" not in stored
