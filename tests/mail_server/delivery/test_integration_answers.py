"""Documents of another operator that are refused here: its software hears the code (mssante.md §4.5, row 52)."""

from __future__ import annotations

import email
import email.policy

import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.structured import DocumentsRefused
from mail_server.outbound.interface import Form, Notify
from mail_server.payloads.record import integration
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from policies.refusal import Refusal
from tests.webmail.vectors import record_letters as made

SYSTEM = "dpi@voisin.test"


async def admitted(desk, mail_from: str, to) -> Envelope:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), peer, None)
    envelope = Envelope(sender)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, to.shown))
    return envelope


def asking(message: bytes, to: str = SYSTEM) -> bytes:
    return f"Disposition-Notification-To: <{to}>\r\n".encode() + message


def bad(to: str) -> bytes:
    """An archive about one person with the document of another."""
    return made.letter(
        made.zip_part(made.one_document(patient_id=made.OTHER)),
        made.zip_part(made.PDF, "bilan.pdf", "application/pdf"),
        subject="XDM/1.0/DDM+Bilan VASARELY Apolline", sender=SYSTEM, to=to,
    )  # fmt: skip


async def refused(desk, envelope: Envelope, message: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await desk.node.delivery.deliver(envelope, message)
    return caught.value


def read(data: bytes):
    return email.message_from_bytes(data, policy=email.policy.default)


async def answer(way) -> bytes:
    [laid] = way.laid
    assert (laid.mail_from, laid.account, laid.domain, laid.form) == ("", None, "voisin.test", Form.GATED)
    assert [(one.address, one.notify) for one in laid.recipients] == [(SYSTEM, Notify.NEVER)]
    [queued] = await way.queued()
    return way.opened_by_the_gate(queued)


async def test_a_mismatch_comes_back_as_an_mdn_to_who_asked(desk, way) -> None:
    gp = await desk.sealed("gp")
    found = await refused(desk, await admitted(desk, SYSTEM, gp), asking(bad(gp.address)))
    assert isinstance(found, DocumentsRefused)
    assert found.ans is AnsCode.INS_MISMATCH
    wire = await answer(way)
    told = read(wire)
    assert told.get_content_type() == "multipart/report"
    assert told.get_param("report-type") == "disposition-notification"
    assert told["From"] == gp.address
    assert told["Subject"] == "[KO Intégration système !][904] XDM/1.0/DDM+Bilan VASARELY Apolline"
    report = email.message_from_string(list(told.iter_parts())[1].get_payload()[0].as_string())
    assert " ".join(report["Disposition"].split()) == (
        "automatic-action/MDN-sent-automatically; processed/Error: 904^INS discordante"
    )
    assert report["Final-Recipient"] == f"rfc822;{gp.address}"
    assert report["Original-Message-ID"] is not None
    names = [part.get_filename() for part in told.walk() if part.get_filename()]
    assert names == ["IHE_XDM.zip", "bilan.pdf"]


@pytest.mark.parametrize("asks", ["", "autre@voisin.test"])
async def test_who_asked_nothing_or_elsewhere_gets_ordinary_mail_with_the_same_subject(
    desk, way, asks
) -> None:
    gp = await desk.sealed("gp")
    message = asking(bad(gp.address), asks) if asks else bad(gp.address)
    await refused(desk, await admitted(desk, SYSTEM, gp), message)
    told = read(await answer(way))
    assert told.get_content_type() == "multipart/mixed"
    assert told["Subject"] == "[KO Intégration système !][904] XDM/1.0/DDM+Bilan VASARELY Apolline"
    assert told["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("code", list(AnsCode))
async def test_every_code_reaches_the_other_operator_as_its_software_reads_it(
    desk, way, monkeypatch, code: AnsCode, asks: bool
) -> None:
    async def read_apart(data: bytes, sender: str = ""):
        raise RecordRefused(code, "a-slug", "It cannot be taken")

    monkeypatch.setattr(desk.node.delivery._structured._reader, "read", read_apart)
    gp = await desk.sealed("gp")
    message = asking(bad(gp.address)) if asks else bad(gp.address)
    await refused(desk, await admitted(desk, SYSTEM, gp), message)
    wire = await answer(way)
    understood = integration.read(wire, mime.parse(wire))
    assert understood is not None
    assert (understood.failed, understood.code, understood.receipt) == (True, code, asks)
    assert understood.original_message_id


async def test_it_leaves_sealed_to_a_system_that_has_a_certificate(desk, way) -> None:
    gp = await desk.sealed("gp")
    way.publish("marie")
    way.keys.known[SYSTEM] = way.keys.known.pop("marie@voisin.test")
    await refused(desk, await admitted(desk, SYSTEM, gp), bad(gp.address))
    [queued] = await way.queued()
    assert mime.is_encrypted(mime.parse(queued)) == "pgp"
    assert b"VASARELY" not in queued


async def test_a_letter_handed_over_again_is_answered_once(desk, way) -> None:
    gp = await desk.sealed("gp")
    for _ in range(3):
        await refused(desk, await admitted(desk, SYSTEM, gp), bad(gp.address))
    assert len(way.laid) == 1


@pytest.mark.parametrize("more", ["Auto-Submitted: auto-replied\r\n", "answer"])
async def test_an_answer_is_not_answered(desk, way, more) -> None:
    gp = await desk.sealed("gp")
    message = bad(gp.address)
    if more == "answer":
        message = message.replace(
            b"Subject: XDM/1.0/DDM", "Subject: [KO Intégration système !][904] XDM/1.0/DDM".encode()
        )
    else:
        message = more.encode() + message
    await refused(desk, await admitted(desk, SYSTEM, gp), message)
    assert way.laid == []


async def test_the_null_sender_and_our_own_systems_hear_the_refusal_alone(desk, way) -> None:
    gp, robot = await desk.sealed("gp"), await desk.account("robot", Kind.APP)
    await refused(desk, await admitted(desk, "", gp), bad(gp.address))
    ours = bad(gp.address).replace(SYSTEM.encode(), robot.address.encode())
    await refused(desk, await desk.envelope(robot, gp.address), ours)
    assert way.laid == []


async def test_where_nothing_leaves_the_refusal_stands(desk, way) -> None:
    desk.node.delivery._integration._peer_keys = None
    gp = await desk.sealed("gp")
    assert (await refused(desk, await admitted(desk, SYSTEM, gp), bad(gp.address))).code == 554
    assert way.laid == []


async def test_what_cannot_be_answered_now_is_refused_all_the_same(desk, way, monkeypatch) -> None:
    async def down(address: str):
        raise OSError

    monkeypatch.setattr(way.keys, "find", down)
    gp = await desk.sealed("gp")
    assert (await refused(desk, await admitted(desk, SYSTEM, gp), bad(gp.address))).code == 554
    assert way.laid == []
