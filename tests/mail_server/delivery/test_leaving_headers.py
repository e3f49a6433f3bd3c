"""What the header of a letter that leaves says: of its documents, of the product, of the letter itself."""

from __future__ import annotations

import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from tests.mail_server.delivery.abroad import (
    MARIE,
    letter,
    refused,
    trace,
)
from tests.webmail.vectors import record_letters


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
