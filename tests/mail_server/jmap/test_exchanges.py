"""Exchanges with patients as JMAP tells and closes them, on a node as it is put together."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.node.composition import Node, opened
from deploy.node.config import load
from deploy.node.home import Home
from mail_server.accounts import ins
from mail_server.accounts.interface import HELD, PAGE, Account, Identity, Kind, Peer
from mail_server.accounts.patients import PatientIdentity
from mail_server.conversations.model import Bar
from mail_server.delivery.gate import ConversationClosed
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.emails import MAIL_VENDOR
from mail_server.jmap.exchanges import Exchanges
from mail_server.jmap.settings import JmapSettings
from mail_server.jmap.submission_set import _told_refusal
from mail_server.store.model import AccountId
from policies.refusal import Refusal
from tests.mail_server.jmap.conftest import Client
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
BODY = "2850513055001"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", MAIL_VENDOR]


class Sessions:
    """A cookie is the id of whose it is."""

    def __init__(self, node: Node) -> None:
        self._node = node
        node.accounts.sessions_hold = lambda _account, _session: True

    def by_cookie(self, cookie: str) -> Identity | None:
        found = self._node.accounts.by_id(AccountId(cookie))
        return Identity(found.id, found.address, found.kind, PAGE, "session-1") if found else None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("node"), DOMAIN)


@dataclass
class Desk:
    node: Node
    gp: Account
    patient: Account
    at_gp: Client
    at_patient: Client

    async def sends(self, sender: Account, to: Account, name: str, more: str = "") -> None:
        speaker = Identity(sender.id, sender.address, sender.kind, HELD, "submission-1")
        peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)
        delivery = self.node.delivery
        envelope = Envelope(
            await delivery.admit_sender(Road.CLIENT, sender.shown, MailParameters(), peer, speaker)
        )
        envelope.recipients.append(await delivery.admit_recipient(envelope, to.shown))
        await delivery.deliver(
            envelope,
            f"From: <{sender.shown}>\r\nTo: <{to.shown}>\r\nSubject: Bilan\r\nMessage-ID: <{name}@essai>\r\n"
            f"{more}\r\nBonjour.\r\n".encode(),
        )

    async def told(self, client: Client) -> list[dict[str, Any]]:
        ids = (await client("Email/query"))["ids"]
        wanted = ["receiptRequested", "answer", "closedBy"]
        answer = await client("Email/get", using=USING, ids=ids, properties=wanted)
        return [{key: value for key, value in one.items() if key != "id"} for one in answer["list"]]


@pytest.fixture
async def desk(home: Path) -> AsyncIterator[Desk]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        writing = node.correspondence
        door = JmapDoor(
            JmapSettings(),
            store=node.store,
            delivery=node.delivery,
            accounts=node.accounts,
            authenticator=node.authenticator,
            sessions=Sessions(node),
            keys=node.keys,
            audit=node.trace.note,
            trace_full=node.trace.full,
            exchanges=Exchanges(writing.closings, writing.asked, writing.receipts),
        )
        app = FastAPI()
        app.include_router(door.router)
        await door.start()
        number = len(node.accounts.all())
        body = f"28505130550{number:02d}"
        gp = await node.accounts.add(f"gp{number}@{DOMAIN}", Kind.PER)
        patient = await node.accounts.patient_add(
            PatientIdentity(body + ins.key_of(body), "Vasarely", ("Rose",), "1985-05-17", "F")
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="https://mail.example") as http:
            clients = [client_of(http, one) for one in (gp, patient)]
            yield Desk(node, gp, patient, *clients)
        await door.stop()


def client_of(http: httpx.AsyncClient, account: Account) -> Client:
    """As the page's own scripts ask."""
    headers = {
        "cookie": f"__Host-vaguemestre={account.id}",
        "sec-fetch-site": "same-origin",
        "origin": "https://mail.example",
        "x-vaguemestre": "1",
    }
    return Client(http, account.id, headers)


async def test_filing_the_patient_s_letter_in_clos_closes_and_the_patient_is_told_by_whom(desk: Desk) -> None:
    await desk.sends(desk.gp, desk.patient, "un")
    await desk.sends(desk.patient, desk.gp, "deux", "In-Reply-To: <un@essai>\r\n")
    assert await desk.told(desk.at_patient) == [
        {"receiptRequested": False, "answer": "open", "closedBy": None}
    ]
    boxes = (await desk.at_gp("Mailbox/get"))["list"]
    [clos] = [box["id"] for box in boxes if box["name"] == "Clos"]
    [letter] = (await desk.at_gp("Email/query"))["ids"]
    done = await desk.at_gp("Email/set", update={letter: {f"mailboxIds/{clos}": True}})
    assert done["updated"] == {letter: None}
    closed = {"receiptRequested": False, "answer": "closed", "closedBy": desk.gp.address}
    assert await desk.told(desk.at_patient) == [closed]
    with pytest.raises(Refusal) as caught:
        await desk.sends(desk.patient, desk.gp, "trois", "In-Reply-To: <un@essai>\r\n")
    assert caught.value.reason == "conversation-closed"
    await desk.at_gp(
        "Email/set", update={letter: {f"mailboxIds/{clos}": None, "mailboxIds/" + boxes[0]["id"]: True}}
    )
    assert await desk.told(desk.at_patient) == [closed], "taking it out again opens nothing"


async def test_a_message_that_alone_takes_no_answer_is_told_apart(desk: Desk) -> None:
    await desk.sends(desk.gp, desk.patient, "un")
    await desk.sends(desk.gp, desk.patient, "deux", "In-Reply-To: <un@essai>\r\nX-MSS-MES: FIN\r\n")
    assert [one["answer"] for one in await desk.told(desk.at_patient)] == ["message-closed", "open"]


async def test_the_patient_is_told_of_a_receipt_before_opening_and_a_download_sends_it(desk: Desk) -> None:
    await desk.sends(desk.gp, desk.patient, "un", f"Disposition-Notification-To: <{desk.gp.address}>\r\n")
    assert [one["receiptRequested"] for one in await desk.told(desk.at_patient)] == [True]
    receipts = desk.node.correspondence.receipts
    assert await receipts.send_due() == 0
    [letter] = (await desk.at_patient("Email/query"))["ids"]
    path = f"/jmap/download/{desk.patient.id}/B{letter}/x.eml?accept=message/rfc822"
    client = desk.at_patient
    assert (await client.http.get(path, headers=client.headers)).status_code == 200
    assert [one["receiptRequested"] for one in await desk.told(desk.at_patient)] == [False]
    assert await receipts.send_due() == 1
    assert (await client.http.get(path, headers=client.headers)).status_code == 200
    assert await receipts.send_due() == 0
    [receipt] = (await desk.at_gp("Email/query"))["ids"]
    got = await desk.at_gp.http.get(
        f"/jmap/download/{desk.gp.id}/B{receipt}/x.eml?accept=message/rfc822", headers=desk.at_gp.headers
    )
    report = email.message_from_bytes(got.content, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"


def test_a_set_error_says_who_closed() -> None:
    told = _told_refusal(ConversationClosed(Bar(False, "gp@mss.essai.test"))).as_json()
    assert (told["type"], told["reason"], told["closedBy"]) == (
        "forbiddenToSend", "conversation-closed", "gp@mss.essai.test",
    )  # fmt: skip
