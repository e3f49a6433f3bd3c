"""kill -9 in the middle of sending: after the restart every recipient has the letter, and has it once."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.node.composition import Node, opened
from deploy.node.config import load
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from mail_server.accounts.interface import Identity, Kind
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.settings import JmapSettings
from mail_server.store.interface import NoSuchAccount, NoSuchMailbox
from mail_server.store.model import SpecialUse
from tests.mail_server.jmap.conftest import Client, file_verbatim

DOMAIN = "mss.essai.test"
RECIPIENTS = [f"p{number}@{DOMAIN}" for number in range(8)]
LETTER = (
    f"From: alice@{DOMAIN}\r\nTo: all@{DOMAIN}\r\nSubject: x\r\nMessage-ID: <k@x>\r\n\r\nonce\r\n".encode()
)

# What the process that dies does: it tells each delivery once it is durable, and sends on.
CHILD = """
import asyncio, sys
from pathlib import Path
from tests.mail_server.jmap import test_killed

async def main():
    async with test_killed.running(Path(sys.argv[1])) as (node, door):
        deliver = node.delivery.deliver
        delivered = 0
        async def told(envelope, message):
            nonlocal delivered
            accepted = await deliver(envelope, message)
            delivered += 1
            print("delivered", flush=True)
            # Time to be killed in: what was filed is not noted yet. However late the kill comes, some are left.
            await asyncio.sleep(0.3 if delivered < 4 else 600)
            return accepted
        node.delivery.deliver = told
        await door.start()
        await asyncio.sleep(600)

asyncio.run(main())
"""


class NoSessions:
    def by_cookie(self, cookie: str) -> Identity | None:
        return None


class running:
    """A node and its door, not started yet."""

    def __init__(self, home: Path) -> None:
        self._opened = opened(Home(home), load(home / "vaguemestre.toml"))

    async def __aenter__(self) -> tuple[Node, JmapDoor]:
        node = await self._opened.__aenter__()
        door = JmapDoor(
            JmapSettings(),
            store=node.store,
            delivery=node.delivery,
            accounts=node.accounts,
            authenticator=node.authenticator,
            sessions=NoSessions(),
            keys=node.keys,
            audit=node.trace.note,
        )
        return node, door

    async def __aexit__(self, *failure: Any) -> None:
        await self._opened.__aexit__(*failure)


async def handed_over(home: Path) -> str:
    """A letter to all of them, held for a moment; nobody sends it yet. Its submission's id."""
    async with running(home) as (node, door):
        for address in RECIPIENTS:
            await node.accounts.add(address, Kind.PER)
        alice = await node.accounts.add(f"alice@{DOMAIN}", Kind.PER)
        made: Any = await node.accounts.app_password_create(alice.id, "jmap")
        proof = base64.b64encode(f"alice@{DOMAIN}:{made.secret}".encode()).decode()
        app = FastAPI()
        app.include_router(door.router)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="https://mail.example") as http:
            client = Client(http, alice.id, {"authorization": f"Basic {proof}"})
            await client.folder("sent")
            email = (await file_verbatim(node.store, alice.id, LETTER, SpecialUse.SENT)).email_id
            envelope = {
                "mailFrom": {"email": f"alice@{DOMAIN}", "parameters": {"HOLDFOR": "1"}},
                "rcptTo": [{"email": each} for each in RECIPIENTS],
            }
            wanted = {"identityId": alice.id, "emailId": email, "envelope": envelope}
            told = await client("EmailSubmission/set", create={"k": wanted})
            return told["created"]["k"]["id"]


async def inboxes(node: Node) -> list[int]:
    def read(reader: Any) -> list[int]:
        found: list[int] = []
        for address in RECIPIENTS:
            account = node.accounts.by_address(address)
            assert account is not None
            try:
                box = reader.mailbox_by_use(account.id, SpecialUse.INBOX)
                found.append(reader.counts(box.id).messages)
            except (NoSuchAccount, NoSuchMailbox):
                found.append(0)
        return found

    return await node.store.read(read)


@pytest.mark.faults
async def test_killed_while_sending_each_recipient_has_it_once(tmp_path: Path):
    home = tmp_path / "node"
    wishes = Wishes(
        home=home,
        config=None,
        domains=(DOMAIN,),
        kek=tmp_path / "kek" / "kek",
        hostname="localhost",
        trust_list=None,
        sections={"sealing": {"workers": 1}, "store": {"readers": 1}},
    )
    await initialise(wishes)
    submission = await handed_over(home)
    root = str(Path(__file__).parents[3])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(home), stdout=asyncio.subprocess.PIPE, cwd=root,
        env={**os.environ, "PYTHONPATH": root}, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        for _ in range(3):
            assert await asyncio.wait_for(child.stdout.readline(), 180) == b"delivered\n"
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    async with running(home) as (node, door):
        before = sum(await inboxes(node))
        assert 3 <= before < len(RECIPIENTS)
        await door.start()
        end = time.monotonic() + 180
        while sum(await inboxes(node)) < len(RECIPIENTS):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        await door.stop()
        assert await inboxes(node) == [1] * len(RECIPIENTS)
        row = await node.store.read(
            lambda reader: reader.sql.one("SELECT due, undo FROM jmap_submission WHERE id = ?", (submission,))
        )
        assert row == (None, 1)
