"""A letter handed over by JMAP for another operator: waiting, then what became of it, as the queue settles."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from mail_server import mime
from mail_server.accounts.interface import Kind
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.settings import JmapSettings
from mail_server.outbound.interface import Form, Outcome, OutgoingRecipient, Phase, Verdict
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.store.armor import armor
from tests.mail_server.jmap.conftest import Client

GP, MARIE, PAUL = "gp@mss.essai.test", "marie@voisin.test", "paul@voisin.test"


class NoSessions:
    def by_cookie(self, cookie: str) -> None:
        return None


@dataclass
class Jmap:
    desk: Any
    way: Any
    client: Client
    door: JmapDoor

    async def draft(self, message: bytes) -> str:
        upload = (await self.client.upload(message)).json()["blobId"]
        drafts = await self.client.folder("drafts")
        made = await self.client(
            "Email/import", emails={"d": {"blobId": upload, "mailboxIds": {drafts: True}}}
        )
        return made["created"]["d"]["id"]

    async def submit(self, email: str, *recipients: str, **more: Any) -> dict[str, Any]:
        envelope = {"mailFrom": {"email": GP}, "rcptTo": [{"email": each} for each in recipients]}
        wanted = {"identityId": self.client.account, "emailId": email, "envelope": envelope} | more
        return await self.client("EmailSubmission/set", create={"s": wanted})

    async def status(self, submission: str) -> dict[str, Any]:
        found = await self.client("EmailSubmission/get", ids=[submission])
        return found["list"][0]["deliveryStatus"]

    async def send_now(self) -> None:
        """What waits for its time, or for its next attempt, is handed over now."""
        await self.desk.node.store.write(
            lambda tx: tx.sql.run("UPDATE jmap_submission SET due = 0 WHERE due IS NOT NULL")
        )
        await self.door.queue._send_due()

    async def settled(self, recipient: str, fate: Fate, last: Outcome | None = None) -> None:
        """As the queue does when it knows."""
        letter = next(one for one in self.way.laid if recipient in {each.address for each in one.recipients})
        told = Told(letter.account, letter.mail_from, letter.reference, letter.accepted_at, letter.head)
        owing = self.desk.node.outbound.owing
        await self.desk.node.store.write(
            lambda tx: [
                one.owe(tx, told, [Settled(OutgoingRecipient(recipient), fate, last)], 5) for one in owing
            ]
        )
        for one in owing:
            one.wake()


@pytest.fixture
async def jmap(desk, way) -> AsyncIterator[Jmap]:
    node = desk.node
    door = JmapDoor(
        JmapSettings(),
        store=node.store,
        delivery=node.delivery,
        accounts=node.accounts,
        authenticator=node.authenticator,
        sessions=NoSessions(),  # pyright: ignore[reportArgumentType]
        keys=node.keys,
        audit=node.trace.note,
        trace_full=node.trace.full,
    )
    node.outbound.owing.append(door.departed)
    app = FastAPI()
    app.include_router(door.router)
    await door.start()
    gp = await desk.account("gp", Kind.PER)
    made = await node.accounts.app_password_create(gp.id, "jmap")
    proof = base64.b64encode(f"{GP}:{made.secret}".encode()).decode()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://mail.example") as http:
        yield Jmap(desk, way, Client(http, gp.id, {"authorization": f"Basic {proof}"}), door)
    await door.stop()


def letter(to: str) -> bytes:
    return (
        f"From: <{GP}>\r\nTo: <{to}>\r\nSubject: Bilan\r\nMessage-ID: <un@page>\r\n"
        "Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n\r\nBonjour.\r\n"
    ).encode()


async def test_what_leaves_is_queued_until_the_queue_knows_and_says_who_can_read_it(jmap: Jmap) -> None:
    jmap.way.publish("marie")
    email = await jmap.draft(letter(f"{MARIE}>, <{PAUL}"))
    made = (await jmap.submit(email, MARIE, PAUL))["created"]["s"]
    status = made["deliveryStatus"]
    assert {one: (each["delivered"], each["leaves"]) for one, each in status.items()} == {
        MARIE: ("queued", "sealed"),
        PAUL: ("queued", "gate"),
    }
    assert made["undoStatus"] == "final"
    state = (await jmap.client("EmailSubmission/get", ids=[]))["state"]
    taken = Outcome(Verdict.DELIVERED, Phase.CONTENT, "", 250, "2.0.0", "Merci")
    await jmap.settled(MARIE, Fate.RELAYED, taken)
    await jmap.settled(PAUL, Fate.EXPIRED)
    status = await jmap.status(made["id"])
    assert (status[MARIE]["delivered"], status[MARIE]["smtpReply"]) == ("unknown", "250 2.0.0 Merci")
    assert (status[PAUL]["delivered"], status[PAUL]["reason"]) == ("no", "not-taken-in-time")
    changes = await jmap.client("EmailSubmission/changes", sinceState=state)
    assert changes["updated"] == [made["id"]]


async def test_it_is_not_handed_over_again_while_it_waits_in_the_queue(jmap: Jmap) -> None:
    email = await jmap.draft(letter(MARIE))
    await jmap.submit(email, MARIE)
    assert await jmap.door.queue._send_due() is None
    assert len(await jmap.way.queued()) == 1


async def test_late_is_still_queued_with_the_other_side_s_words(jmap: Jmap) -> None:
    email = await jmap.draft(letter(MARIE))
    made = (await jmap.submit(email, MARIE))["created"]["s"]
    busy = Outcome(Verdict.LATER, Phase.RCPT, "peer-4yz", 450, "4.2.1", "Later please")
    await jmap.settled(MARIE, Fate.DELAYED, busy)
    status = await jmap.status(made["id"])
    assert (status[MARIE]["delivered"], status[MARIE]["smtpReply"]) == ("queued", "450 4.2.1 Later please")
    await jmap.settled(MARIE, Fate.RELAYED)
    assert (await jmap.status(made["id"]))[MARIE]["delivered"] == "unknown"


async def test_what_was_settled_before_the_submission_was_written_counts(jmap: Jmap, monkeypatch) -> None:
    """The queue may be quicker than the answer: the row is looked at when the submission is made."""
    make = jmap.door.queue._rows.make

    def later(sql: Any, one: Any) -> None:
        sql.run("UPDATE outbound_recipient SET state = 1")
        make(sql, one)

    monkeypatch.setattr(jmap.door.queue._rows, "make", later)
    email = await jmap.draft(letter(MARIE))
    made = (await jmap.submit(email, MARIE))["created"]["s"]
    assert (await jmap.status(made["id"]))[MARIE]["delivered"] == "unknown"


async def test_sealed_only_is_refused_with_the_reason(jmap: Jmap) -> None:
    email = await jmap.draft(letter(MARIE))
    told = (await jmap.submit(email, "marie+sealed@voisin.test"))["notCreated"]["s"]
    assert (told["type"], told["reason"]) == ("forbiddenToSend", "sealed-only-no-certificate")


async def test_the_gate_s_key_packet_comes_beside_a_letter_that_the_page_sealed(jmap: Jmap) -> None:
    marie = jmap.way.publish("marie")
    jmap.way.keys.known.clear()
    engine = jmap.desk.node.delivery._composer._engine
    sealed = await engine.seal(b"Subject: x\r\n\r\nMerci.\r\n", [marie, jmap.way.certificate])
    packets = {one.fingerprint: one.packet for one in sealed.key_packets}
    fields = (
        f"From: <{GP}>\r\nTo: <{PAUL}>\r\nSubject: [...] abcd\r\nMessage-ID: <deux@page>\r\n"
        "Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n"
    )
    head, tail = mime.wrap(fields.encode(), "limite")
    email = await jmap.draft(head + armor(packets[marie.fingerprint], sealed.body) + tail)
    wrong = await jmap.submit(email, PAUL, gateKeyPacket="pas de base64")
    assert wrong["notCreated"]["s"]["type"] == "invalidProperties"
    packet = base64.b64encode(packets[jmap.way.certificate.fingerprint]).decode()
    made = (await jmap.submit(email, PAUL, gateKeyPacket=packet))["created"]["s"]
    assert made["deliveryStatus"][PAUL]["leaves"] == "gate"
    [one] = jmap.way.laid
    assert one.form is Form.GATED_BY_AUTHOR
    [queued] = await jmap.way.queued()
    assert jmap.desk.open("egress", queued).inner.endswith(b"Merci.\r\n")


async def test_cut_off_once_it_lay_in_the_queue_a_submission_finds_its_letter_again(
    jmap: Jmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between delivery's commit and the submission's own: the next attempt hears the same reference."""
    deliver = jmap.desk.node.delivery.deliver

    async def cut(envelope: Any, message: bytes) -> None:
        await deliver(envelope, message)
        raise RuntimeError

    await jmap.door.queue.stop()
    email = await jmap.draft(letter(MARIE))
    with monkeypatch.context() as patched:
        patched.setattr(jmap.desk.node.delivery, "deliver", cut)
        envelope = {"mailFrom": {"email": GP, "parameters": {"HOLDFOR": "60"}}, "rcptTo": [{"email": MARIE}]}
        made = (await jmap.submit(email, envelope=envelope))["created"]["s"]
        await jmap.send_now()
    await jmap.send_now()
    status = (await jmap.status(made["id"]))[MARIE]
    assert (status["delivered"], status["leaves"]) == ("queued", "gate")
    assert len(await jmap.way.queued()) == 1
    await jmap.settled(MARIE, Fate.RELAYED)
    assert (await jmap.status(made["id"]))[MARIE]["delivered"] == "unknown"


async def test_the_same_letter_submitted_again_leaves_once_and_is_told_of_once(jmap: Jmap) -> None:
    email = await jmap.draft(letter(MARIE))
    told = [(await jmap.submit(email, MARIE))["created"]["s"]["deliveryStatus"][MARIE] for _ in range(2)]
    assert [one["delivered"] for one in told] == ["queued", "unknown"]
    assert len(await jmap.way.queued()) == 1
