"""API keys: made once, kept as hashes, closed at once; and the command line's part in it."""

from __future__ import annotations

import asyncio
import re
import threading

import httpx
import pytest

from deploy.node.console_api_keys import ApiKeyCommands
from deploy.node.control import CommandFailed
from directory.fhir.keys import KeyRefused

DAY = 86_400_000


def test_a_key_opens_until_it_is_revoked_or_over(world):
    keys = world.keys
    made = keys.add("practice software", expires_at=world.clock.now + DAY)
    assert keys.find(made.secret) == made.key
    world.clock.now += DAY
    assert keys.find(made.secret) is None
    lasting = keys.add("other")
    assert keys.find(lasting.secret) is not None
    keys.revoke(lasting.key.id)
    assert keys.find(lasting.secret) is None
    assert keys.revoke(lasting.key.id).revoked_at == world.clock.now
    with pytest.raises(KeyError):
        keys.revoke("nobody")


def test_a_key_is_kept_as_its_hash_and_shown_once(local, here):
    made = local.keys.add("practice software")
    assert re.fullmatch(r"vmk-[a-z2-7]{32}", made.secret)
    assert made.secret not in repr(made)
    files = b"".join(path.read_bytes() for path in here[0].parent.iterdir())
    assert made.key.id.encode() in files
    assert made.secret.encode() not in files
    assert made.secret.removeprefix("vmk-").encode() not in files


@pytest.mark.parametrize("text", ["", "vmk-", "vmk-" + "a" * 31, "vmk-" + "A" * 32, "x" * 5000, "é"])
def test_other_texts_are_no_keys(local, text):
    assert local.keys.find(text) is None


@pytest.mark.parametrize(
    "asked",
    [
        {"label": " "},
        {"label": "x", "rights": []},
        {"label": "x", "rights": ["write"]},
        {"label": "x", "rights": ["publish"]},
        {"label": "x", "rights": ["publish"], "publisher": "Autre"},
        {"label": "x", "rights": ["publish"], "publisher": "Autre", "domains": ["pas un domaine"]},
        {"label": "x", "publisher": "Autre"},
        {"label": "x", "expires_at": 1},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(local, asked):
    with pytest.raises(KeyRefused):
        local.keys.add(asked.pop("label"), asked.pop("rights", ["read"]), **asked)


def test_all_nodes_have_one_secret(world):
    assert world.keys.secret("fhir") == world.keys.secret("fhir")
    assert world.keys.secret("fhir") != world.keys.secret("other")


class Noting:
    """The parts of a node that the commands use."""

    def __init__(self, keys):
        self.api_keys = keys
        self.trace = self
        self.accounts = self
        self.events = []

    def is_local_domain(self, domain):
        return domain == "ici.mssante.fr"

    def note(self, events):
        self.events += events


async def test_an_administrator_makes_lists_and_revokes_keys(local):
    node = Noting(local.keys)
    commands = ApiKeyCommands(node, "console:root")
    local.clock.now += 1
    made = await commands.directory_key_add("Logiciel de Zoé", days=30)
    assert local.keys.find(made["key"]).label == "Logiciel de Zoé"
    listed = await commands.directory_key_list()
    assert [row["label"] for row in listed] == ["reader", "Logiciel de Zoé"]
    assert all("key" not in row for row in listed)
    assert (await commands.directory_key_revoke(made["id"]))["in_force"] is False
    assert local.keys.find(made["key"]) is None
    assert [(one.action, one.outcome, one.detail["key"]) for one in node.events] == [
        ("api-key", "made", made["id"]),
        ("api-key", "revoked", made["id"]),
    ]
    with pytest.raises(CommandFailed):
        await commands.directory_key_revoke("nobody")
    with pytest.raises(CommandFailed):
        await commands.directory_key_add("x", rights=["publish"])
    with pytest.raises(CommandFailed, match="domain of ours"):
        await commands.directory_key_add("x", rights=["publish"], publisher="A", domains=["Ici.mssante.fr"])


def from_elsewhere(local) -> httpx.AsyncClient:
    """Another place of the network."""
    transport = httpx.ASGITransport(local.client._transport.app, client=("198.51.100.7", 4000))
    return httpx.AsyncClient(transport=transport, base_url=local.client.base_url)


async def test_who_invents_keys_keeps_out_nobody_elsewhere(local, monkeypatch):
    find, let = local.keys.find, threading.Event()

    def slow(secret: str):
        if secret != local.reader.secret:
            let.wait(60)
        return find(secret)

    monkeypatch.setattr(local.keys, "find", slow)
    invented = [asyncio.create_task(local.get("Practitioner", f"vmk-{n:032}")) for n in range(300)]
    async with from_elsewhere(local) as elsewhere:
        right = None
        try:
            async with asyncio.timeout(60):
                while sum(one.done() for one in invented) < 300 - 256:
                    await asyncio.sleep(0.01)
            headers = {"ESANTE-API-KEY": local.reader.secret}
            right = asyncio.create_task(elsewhere.get("/fhir/v2/Practitioner", headers=headers))
            for _ in range(100):
                await asyncio.sleep(0)
        finally:
            let.set()
        assert (await right).status_code == 200
    assert {one.status_code for one in await asyncio.gather(*invented)} == {401, 503}


async def test_one_key_that_many_show_at_once_is_looked_up_once(local, monkeypatch):
    find, let, asked = local.keys.find, threading.Event(), []

    def slow(secret: str):
        asked.append(secret)
        let.wait(60)
        return find(secret)

    monkeypatch.setattr(local.keys, "find", slow)
    admission, secret = local.door._admission, local.reader.secret
    many = [asyncio.create_task(admission._key(secret, "198.51.100.7")) for _ in range(500)]
    await asyncio.sleep(0)
    let.set()
    assert set(await asyncio.gather(*many)) == {local.reader.key}
    assert asked == [secret]
