"""A test PKI, and a client beside a scripted peer, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from deploy.demo.pki import Dates, Organisation, TestAuthority, self_signed
from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.settings import OutboundSettings
from tests.mail_server.outbound.client.scripted import (
    DOMAIN,
    SETTINGS,
    Answer,
    Contents,
    FakeNames,
    Peer,
    Pki,
    Side,
    Start,
    Trust,
)


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The product runs on uvloop; nothing may depend on it. The long tables of refusals need it once."""
    if item.path.name == "test_hostile.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    authority = TestAuthority.create()
    authority.write(folder)
    here = Organisation.with_finess("OPERATEUR D'ICI", 1, "Loire (42)")
    there = Organisation.with_finess("OPERATEUR D'AILLEURS", 2, "Rhone (69)")
    leaves = {
        "we": authority.issue_operator("mx.ici.example", here),
        "peer": authority.issue_operator("mx.autre.example", there),
        "expired": authority.issue_operator("mx.autre.example", there, dates=Dates.EXPIRED),
        "not-yet": authority.issue_operator("mx.autre.example", there, dates=Dates.NOT_YET),
        "client-only": authority.issue_client("mx.autre.example", there),
        "foreign": TestAuthority.create("ETRANGERE").issue_operator("mx.autre.example", there),
        "self-signed": self_signed("mx.autre.example", there),
    }
    return Pki(
        folder,
        authority,
        {name: leaf.write(folder, name) for name, leaf in leaves.items()},
        {name: leaf.der for name, leaf in leaves.items()},
    )


@pytest.fixture
async def start(pki: Pki) -> AsyncIterator[Start]:
    """Start a peer and a client that knows the way to it."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(
            answers: dict[str, Answer | list[Answer]] | None = None,
            *,
            certificate: str = "peer",
            tls: ssl.SSLContext | None = None,
            trust: Trust | None = None,
            contents: Contents | None = None,
            settings: dict[str, object] | None = None,
            **peer_changes: object,
        ) -> Side:
            peer = Peer(tls or pki.server(certificate), answers or {}, **peer_changes)  # type: ignore[arg-type]
            await stack.enter_async_context(peer)
            given = {**SETTINGS, "routes": {DOMAIN: f"127.0.0.1:{peer.port}"}, **(settings or {})}
            trusts = trust or Trust()
            client = SmtpClient(
                OutboundSettings.model_validate(given), "mx.ici.example", trusts, pki.ours(), FakeNames()
            )
            stack.push_async_callback(client.close)
            return Side(peer, client, trusts, contents or Contents(), pki)

        yield begin
