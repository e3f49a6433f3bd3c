"""Where names of other operators may lead: not to this machine, nor to what stands beside it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.demo.pki import TestAuthority
from mail_server.outbound.peers.wkd import Silent, WkdClient, tls_of
from mail_server.outbound.reach import Inside, Reach

ADDRESS = "zoe@mss.peer.example"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1",
        "", "localhost", "127.1",
    ],
)  # fmt: skip
def test_no_address_of_our_own_networks_is_permitted(address: str) -> None:
    assert not Reach().permits(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_permitted(address: str) -> None:
    assert Reach().permits(address)


def test_a_network_that_is_named_is_permitted_and_no_other() -> None:
    reach = Reach(["10.20.0.0/16", "fd12::/32"])
    assert [reach.permits(one) for one in ("10.20.3.4", "::ffff:10.20.3.4", "fd12::7")] == [True] * 3
    assert [reach.permits(one) for one in ("10.21.0.1", "127.0.0.1", "fd13::1")] == [False] * 3
    assert [reach.inside(one) for one in ("10.20.3.4", "8.8.8.8")] == [True, False]


def answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_of_several_addresses_those_inside_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "10.0.0.1", "8.8.8.8", "8.8.8.8", "127.0.0.1")
    assert await Reach().addresses("mx.peer.example", 25) == ["8.8.8.8"]
    answering(monkeypatch, "10.0.0.1")
    with pytest.raises(Inside):
        await Reach().addresses("mx.peer.example", 25)


class Neighbour:
    """What stands on this machine: nothing is ever to knock there."""

    def __init__(self) -> None:
        self.knocked = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocked += 1
        writer.close()


@pytest_asyncio.fixture
async def neighbour() -> AsyncIterator[Neighbour]:
    made = Neighbour()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def test_a_key_directory_whose_name_leads_to_this_machine_is_not_asked(
    neighbour: Neighbour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mail_server.outbound.peers.wkd._HTTPS", neighbour.port)
    answering(monkeypatch, "127.0.0.1")
    anchor = TestAuthority.create().write(tmp_path)
    port = neighbour.port

    def where(_route: str, host: str) -> tuple[str, str]:
        return f"{host}:{port}", host

    monkeypatch.setattr("mail_server.outbound.peers.wkd._where", where)
    for inside, slug, knocked in (((), "inside", 0), (("127.0.0.0/8",), "connect", 1)):
        client = WkdClient(tls_of(anchor), {}, seconds=60, connections=1, reach=Reach(inside))
        with pytest.raises(Silent) as said:
            await client.fetch(ADDRESS)
        await client.close()
        assert neighbour.knocked == knocked
        if slug == "inside":
            assert said.value.slug == slug


async def test_a_route_that_an_administrator_wrote_leads_where_it_leads(
    neighbour: Neighbour, tmp_path: Path
) -> None:
    anchor = TestAuthority.create().write(tmp_path)
    routes = {"mss.peer.example": f"127.0.0.1:{neighbour.port}"}
    client = WkdClient(tls_of(anchor), routes, seconds=60, connections=1)
    with pytest.raises(Silent):
        await client.fetch(ADDRESS)
    await client.close()
    assert neighbour.knocked == 1
