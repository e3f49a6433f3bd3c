"""What a sender may try to pass for what it is not: another author, another state, a hidden recipient."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy

import pytest

from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery import examine, outer
from mail_server.delivery.interface import Envelope, MailParameters, Road, Sender
from mail_server.store.armor import armor
from mail_server.store.model import Form, State
from policies.refusal import Refusal


def header(stored: bytes):
    return message_from_bytes(stored, policy=policy.default)


async def sealed_by_its_sender(desk, to, entity: bytes, fields: str) -> bytes:
    """What an outsider's program makes for the operator-held certificate of an account."""
    held = await desk.node.operator_keys.certificate_for(to.id, to.address)
    certificate = gate(held.certificate, to.address, time.time_ns() // 1_000_000)
    sealed = await desk.node.delivery._composer._engine.seal(entity, [certificate])
    head, tail = mime.wrap(fields.encode(), "limite")
    return head + armor(sealed.key_packets[0].packet, sealed.body) + tail


@pytest.mark.parametrize("name", ["Vaguemestre-State", "Bcc", "Resent-Bcc"])
async def test_a_field_hidden_behind_the_fold_of_another_is_cut_all_the_same(desk, name: str) -> None:
    robot, labo = await desk.account("robot", Kind.APP), await desk.account("labo", Kind.APP)
    field = f"{name}: sealed\r\n"
    sent = (
        f"From: <{robot.address}>\r\nTo: {labo.address}\r\nX-Note: voir\r\n {field}{field}\r\ncorps\r\n"
    ).encode()
    await desk.send(robot, sent, labo.address)
    [(_, stored)] = await desk.inbox(labo)
    assert header(stored).get_all(name) == (["custody"] if name == "Vaguemestre-State" else None)
    assert f"X-Note: voir\r\n {field}".encode() in stored


async def test_an_opened_letter_is_of_who_sent_it_whatever_it_says_inside(desk) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    entity = (
        b"From: Le directeur <directeur@mss.essai.test>\r\nSender: <directeur@mss.essai.test>\r\n"
        b"Subject: dedans\r\nContent-Type: text/plain\r\n\r\nFaites.\r\n"
    )
    fields = f"From: <{robot.address}>\r\nTo: {gp.address}\r\nSubject: ...\r\n"
    await desk.send(robot, await sealed_by_its_sender(desk, gp, entity, fields), gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert row.state is State.CUSTODY
    assert header(stored).get_all("From") == [robot.address]
    assert header(stored)["Sender"] is None
    assert header(stored)["Subject"] == "dedans"


async def test_what_waited_sealed_by_its_sender_keeps_its_outer_fields_when_sealed_again(desk) -> None:
    robot = await desk.account("robot", Kind.APP)
    gp = await desk.without_custody("gp")
    entity = b"From: <directeur@mss.essai.test>\r\nContent-Type: text/plain\r\n\r\nAttendu.\r\n"
    fields = (
        f"From: <{robot.address}>\r\nTo: {gp.address}\r\nSubject: ...\r\nMessage-ID: <un@essai>\r\n"
        "Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n"
    )
    await desk.send(robot, await sealed_by_its_sender(desk, gp, entity, fields), gp.address)
    [(waiting, _)] = await desk.inbox(gp)
    desk.publish("gp")
    assert await desk.node.resealer.begin(gp) == 1
    [(row, stored)] = await desk.inbox(gp)
    assert (waiting.state, row.state) == (State.WAITING, State.SEALED)
    assert header(stored)["From"] == robot.address
    assert header(stored)["Message-ID"] == "<un@essai>"
    opened = desk.open("gp", stored)
    assert opened.message["From"] == robot.address
    assert opened.inner.endswith(b"\r\n\r\nAttendu.\r\n")


async def test_no_operator_speaks_for_a_domain_of_ours_even_if_the_trust_list_says_so(desk) -> None:
    gp = await desk.sealed("gp")
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    rows = desk.node.trust_list.listing.rows
    domains = {rows[0].domain, "mss.essai.test"}
    desk.node.trust_list.domains_of = lambda _: frozenset(domains)
    admit = desk.node.delivery.admit_sender
    with pytest.raises(Refusal, match="certificate-of-another-domain"):
        await admit(Road.OPERATOR, "directeur@mss.essai.test", MailParameters(), peer, None)
    for author, admitted in (("directeur@mss.essai.test", False), ("dr@voisin.test", True)):
        envelope = Envelope(await admit(Road.OPERATOR, "", MailParameters(), peer, None))
        envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, gp.address))
        sent = f"From: <{author}>\r\nTo: {gp.address}\r\n\r\navis\r\n".encode()
        if admitted:
            await desk.node.delivery.deliver(envelope, sent)
        else:
            with pytest.raises(Refusal, match="from-forged"):
                await desk.node.delivery.deliver(envelope, sent)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ("Subject: ...\r\nSubject: M. Eluard\r\n", State.SUBJECT_OUTSIDE),
        ("Subject: [...] M. Eluard, sortie\r\n", State.SUBJECT_OUTSIDE),
        ("Subject: ...\r\nThread-Topic: M. Eluard\r\n", State.SUBJECT_OUTSIDE),
        ("Subject: Re: [...] abcd\r\n", State.SEALED),
        ("Subject: Encrypted Message\r\nThread-Topic: ...\r\n", State.SEALED),
    ],
)
async def test_a_subject_readable_anywhere_outside_is_told(desk, fields: str, state: State) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    plan = desk.node.planner.plan(gp)
    sealed = await desk.node.delivery._composer._engine.seal(b"\r\nx\r\n", plan.sealing_set)
    head, tail = mime.wrap(f"From: <{robot.address}>\r\nTo: {gp.address}\r\n{fields}".encode(), "limite")
    await desk.send(robot, head + armor(sealed.key_packets[0].packet, sealed.body) + tail, gp.address)
    [(row, _)] = await desk.inbox(gp)
    assert row.state is state


def test_cutting_fields_leaves_every_other_byte() -> None:
    message = b"A: 1\r\nbcc : x,\r\n y\r\nB:2\r\n\r\nBcc: of the body\r\n"
    cut = outer.without(message, mime.fields(message), frozenset({"bcc"}))
    assert cut == re.sub(rb"bcc : x,\r\n y\r\n", b"", message)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Dr Robot <robot@mss.essai.test>", True),
        ('"Robot <gp@x>" <robot@mss.essai.test>', True),
        ("robot@mss.essai.test (Robot <gp@x>)", True),
        ("<robot@mss.essai.test> (Robot)", True),
        ("robot@mss.essai.test", True),
        ("<robot@mss.essai.test> <gp@mss.essai.test>", False),
        ("<robot@mss.essai.test> gp@mss.essai.test", False),
        ("<@ailleurs.test:robot@mss.essai.test>", False),
        ("<robot@mss.essai.test", False),
        ("<robot@mss.essai.test>" + " a" * 70_000 + ", <gp@mss.essai.test>", False),
        ("<robot@mss.essai.test>, gp@mss.essai.test", False),
    ],
)
def test_an_author_that_programs_may_read_differently_is_refused(written: str, plain: bool) -> None:
    message = f"From: {written}\r\n\r\nx\r\n".encode()
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True)
    sender = Sender(Road.CLIENT, "robot@mss.essai.test", peer)
    letter = examine._examine(message)
    if plain:
        examine.check_identity(letter, sender, lambda *_: False)
    else:
        with pytest.raises(Refusal, match="from-not-one"):
            examine.check_identity(letter, sender, lambda *_: False)


@pytest.mark.parametrize(
    "packets",
    [
        b"\xcb\x14t\x00\x00\x00\x00\x00Le patient tousse.",  # a literal packet: anybody reads it
        b"\xc1\x05\x03\x00\x00\x00\x00",
        b"\xff" * 40,
    ],
    ids=["clear-text-in-a-packet", "a-key-packet-alone", "noise"],
)
async def test_the_frame_of_an_encrypted_letter_around_anything_else_is_sealed_like_clear_text(
    desk, packets: bytes
) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    head, tail = mime.wrap(f"From: <{robot.address}>\r\nTo: {gp.address}\r\nSubject: ...\r\n".encode(), "b")
    claimed = armor(b"", packets)
    await desk.send(robot, head + claimed + tail, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.SPLIT, State.SEALED)
    assert claimed not in stored
    assert claimed in desk.open("gp", stored).inner
