"""What tests of letters to other operators share: addresses there, letters, what is refused and traced."""

from __future__ import annotations

import email.policy
from email import message_from_bytes
from typing import Any

import pytest

from mail_server import mime
from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.armor import armor
from policies.audit.query import Filter, find
from policies.refusal import Refusal

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


async def operator_writes(desk, sender: str, patient, more: str = "", subject: str = "Bilan") -> None:
    """A letter of another operator's professional to a patient of ours."""
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    admitted = await desk.node.delivery.admit_sender(Road.OPERATOR, sender, MailParameters(), peer, None)
    envelope = Envelope(admitted)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, patient.alias))
    await desk.node.delivery.deliver(envelope, letter(sender, patient.alias, subject, more))


def opens(desk, local: str, wire: bytes) -> bool:
    from deploy.demo.clients import NotOpened

    try:
        desk.open(local, wire)
    except NotOpened:
        return False
    return True


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
