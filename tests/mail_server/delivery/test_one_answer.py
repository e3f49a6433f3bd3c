"""« Message non distribue »: who has no space, whose space is closed and who opposed letters are not told apart."""

from __future__ import annotations

import json

import pytest

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from policies.audit.query import Filter, find
from policies.refusal import Refusal

NOBODY = "279035121518989@patient.mss.essai.test"


async def told(desk, envelope: Envelope, address: str) -> tuple[int, str, str, str]:
    with pytest.raises(Refusal) as caught:
        await desk.node.delivery.admit_recipient(envelope, address)
    return caught.value.code, caught.value.enhanced, caught.value.sentence, caught.value.reason


async def from_operator(desk) -> Envelope:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    admitted = await desk.node.delivery.admit_sender(
        Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None
    )
    return Envelope(admitted)


@pytest.mark.parametrize("road", ["operator", "client"])
async def test_unknown_closed_and_opposed_are_answered_alike(desk, road: str) -> None:
    closed = await desk.patient("2850513055001", activated=True)
    opposed = await desk.patient("2850513055002", activated=True)
    await desk.node.accounts.close(closed.id)
    await desk.node.accounts.opposed_set(opposed.id, True, "console:x")
    if road == "operator":
        envelope = await from_operator(desk)
    else:
        envelope = await desk.envelope(await desk.account("robot", Kind.APP))
    answers = {await told(desk, envelope, one) for one in (NOBODY, closed.alias, opposed.alias)}
    assert answers == {(550, "5.1.1", "Message non distribue", "recipient-unknown")}


async def test_none_of_them_costs_a_look_at_the_database(desk, monkeypatch) -> None:
    closed = await desk.patient("2850513055001", activated=True)
    opposed = await desk.patient("2850513055002", activated=True)
    await desk.node.accounts.close(closed.id)
    await desk.node.accounts.opposed_set(opposed.id, True, "console:x")
    envelope = await desk.envelope(await desk.account("robot", Kind.APP))
    looks: list[object] = []
    monkeypatch.setattr(desk.node.correspondence.exchanges._store, "read", looks.append)
    for one in (NOBODY, closed.alias, opposed.alias):
        await told(desk, envelope, one)
    assert looks == []


async def test_an_opposition_ends_and_each_is_in_the_trace(desk) -> None:
    patient = await desk.patient(activated=True)
    for opposed in (True, False):
        await desk.node.accounts.opposed_set(patient.id, opposed, "console:x", means="console")
    envelope = await desk.envelope(await desk.account("robot", Kind.APP))
    assert await desk.node.delivery.admit_recipient(envelope, patient.alias)
    events = await desk.node.store.read(lambda reader: find(reader.sql, Filter(action="space-oppose")))
    assert [json.loads(event.detail)["state"] for event in events] == ["opposed", "open"]
    gp = await desk.account("gp")
    with pytest.raises(AccountError):
        await desk.node.accounts.opposed_set(gp.id, True, "console:x")


async def test_an_opposition_survives_a_restart(desk) -> None:
    patient = await desk.patient(activated=True)
    await desk.node.accounts.opposed_set(patient.id, True, "console:x")
    await desk.node.accounts.outbound_set((await desk.account("gp")).id, "console:x", sealed_only=True)
    await desk.node.accounts.reload()
    found = desk.node.accounts.by_id(patient.id)
    assert found is not None
    assert found.opposed
    assert desk.node.accounts.by_address("gp@mss.essai.test").sealed_only


async def test_the_null_sender_of_a_listed_operator_is_taken_and_answered_by_nothing(desk, way) -> None:
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(Road.OPERATOR, "", MailParameters(), peer, None)
    gp = await desk.account("gp")
    envelope = Envelope(sender)
    envelope.add(await desk.node.delivery.admit_recipient(envelope, gp.address))
    bounce = (
        f"From: postmaster@voisin.test\r\nTo: <{gp.address}>\r\nSubject: Echec\r\nMessage-ID: <b@voisin.test>\r\n"
        "Disposition-Notification-To: postmaster@voisin.test\r\n\r\nNon remis.\r\n"
    ).encode()
    await desk.node.delivery.deliver(envelope, bounce)
    assert len(await desk.inbox(gp)) == 1
    assert way.laid == []
