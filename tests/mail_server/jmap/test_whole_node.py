"""The door on a node as it is put together: real accounts, real delivery, real keys."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.node.composition import Node, opened
from deploy.node.config import load
from deploy.node.home import Home
from mail_server.accounts.interface import Identity, Kind
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.settings import JmapSettings
from tests.mail_server.jmap.conftest import Client
from tests.worlds import new_home

DOMAIN = "mss.essai.test"


class NoSessions:
    def by_cookie(self, cookie: str) -> Identity | None:
        return None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("node"), DOMAIN)


@pytest.fixture
async def node(home: Path) -> AsyncIterator[Node]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        yield node


async def person(node: Node, http: httpx.AsyncClient, local: str) -> Client:
    address = f"{local}@{DOMAIN}"
    account = await node.accounts.add(address, Kind.PER)
    made: Any = await node.accounts.app_password_create(account.id, "jmap")
    proof = base64.b64encode(f"{address}:{made.secret}".encode()).decode()
    return Client(http, account.id, {"authorization": f"Basic {proof}"})


async def test_two_professionals_write_to_each_other(node: Node):
    door = JmapDoor(
        JmapSettings(),
        store=node.store,
        delivery=node.delivery,
        accounts=node.accounts,
        authenticator=node.authenticator,
        sessions=NoSessions(),
        keys=node.keys,
        audit=node.trace.note,
        trace_full=node.trace.full,
    )
    app = FastAPI()
    app.include_router(door.router)
    await door.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://mail.example"
    ) as http:
        alice, bob = await person(node, http, "alice"), await person(node, http, "bob")
        draft = {
            "mailboxIds": {await alice.folder("drafts"): True},
            "keywords": {"$draft": True, "$seen": True},
            "from": [{"email": f"alice@{DOMAIN}"}],
            "to": [{"email": f"bob@{DOMAIN}"}],
            "subject": "Résultats",
            "textBody": [{"partId": "t", "type": "text/plain"}],
            "bodyValues": {"t": {"value": "Bonjour"}},
        }
        sent = await alice.folder("sent")
        hold = {
            "mailFrom": {"email": f"alice@{DOMAIN}", "parameters": {"HOLDFOR": "1"}},
            "rcptTo": [{"email": f"bob@{DOMAIN}"}, {"email": f"nobody@{DOMAIN}"}],
        }
        answers = await alice.calls(
            ("Email/set", {"create": {"d": draft}}),
            (
                "EmailSubmission/set",
                {
                    "create": {"s": {"identityId": alice.account, "emailId": "#d", "envelope": hold}},
                    "onSuccessUpdateEmail": {"#s": {"mailboxIds": {sent: True}, "keywords/$draft": None}},
                },
            ),
        )
        made = answers[1][1]["created"]["s"]
        assert made["undoStatus"] == "pending"
        assert made["deliveryStatus"][f"nobody@{DOMAIN}"]["smtpReply"].startswith("550 5.1.1")
        found: list[Any] = []
        end = time.monotonic() + 120
        while not found:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
            found = (await bob("Email/query"))["ids"]
        letter = (await bob("Email/get", ids=found, fetchTextBodyValues=True))["list"][0]
        assert (letter["subject"], letter["from"][0]["email"]) == ("Résultats", f"alice@{DOMAIN}")
        assert letter["bodyValues"]["1"]["value"] == "Bonjour\n"
        told = (await alice("EmailSubmission/get", ids=[made["id"]]))["list"][0]
        assert told["undoStatus"] == "final"
        assert told["deliveryStatus"][f"bob@{DOMAIN}"]["delivered"] == "yes"
        again = {"identityId": alice.account, "emailId": made["threadId"]}
        assert (await alice("EmailSubmission/set", create={"k": again}))["created"] is None
    await door.stop()
