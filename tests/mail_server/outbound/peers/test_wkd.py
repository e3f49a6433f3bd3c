"""How a Web Key Directory is asked: whose certificate counts, what is not followed, how much is taken."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from deploy.demo.pki import Dates, Organisation, TestAuthority
from mail_server.outbound.peers.wkd import Silent, WkdClient, tls_of
from tests.mail_server.outbound.peers.conftest import ADDRESS, DOMAIN, Site


async def asked(
    anchor: Path, route: str, address: str = ADDRESS, *, domain: str = DOMAIN, seconds: float = 60
) -> bytes:
    client = WkdClient(tls_of(anchor), {domain: route}, seconds=seconds, connections=4)
    try:
        return await client.fetch(address)
    finally:
        await client.close()


async def silence(anchor: Path, route: str, seconds: float = 60) -> str:
    with pytest.raises(Silent) as said:
        await asked(anchor, route, seconds=seconds)
    return said.value.slug


async def test_what_is_published_comes_byte_for_byte(site: Site, anchor: Path) -> None:
    site.publish(ADDRESS, b"\x99certificate")
    assert await asked(anchor, f"127.0.0.1:{site.port}") == b"\x99certificate"


async def test_a_route_to_a_host_wants_that_host_in_its_certificate(site: Site, anchor: Path) -> None:
    site.publish(ADDRESS, b"\x99certificate")
    assert await asked(anchor, f"localhost:{site.port}") == b"\x99certificate"
    assert site.asked[-1].startswith("localhost/")


async def test_404_says_that_there_is_nothing(site: Site, anchor: Path) -> None:
    assert await asked(anchor, f"127.0.0.1:{site.port}") == b""


@pytest.mark.parametrize(
    ("status", "head", "slug"),
    [
        (301, b"Location: https://localhost/elsewhere\r\n", "redirect"),
        (503, b"", "status"),
        (200, b"Content-Encoding: gzip\r\n", "protocol"),
    ],
)
async def test_other_answers_are_none(site: Site, anchor: Path, status: int, head: bytes, slug: str) -> None:
    site.publish(ADDRESS, b"\x99certificate")
    site.status, site.head = status, head
    assert await silence(anchor, f"127.0.0.1:{site.port}") == slug
    assert len(site.asked) == 1  # nothing was followed


async def test_too_much_is_not_taken(site: Site, anchor: Path) -> None:
    site.publish(ADDRESS, bytes(10_000_000))
    assert await silence(anchor, f"127.0.0.1:{site.port}") == "too-large"


async def test_a_server_that_drips_has_a_clock_over_all_of_it(site: Site, anchor: Path) -> None:
    site.wait = lambda: asyncio.sleep(600)
    assert await silence(anchor, f"127.0.0.1:{site.port}", seconds=1) == "timeout"


async def test_another_authority_counts_for_nothing(site: Site, tmp_path: Path) -> None:
    foreign = TestAuthority.create("ETRANGERE").write(tmp_path / "foreign")
    assert await silence(foreign, f"127.0.0.1:{site.port}") == "tls"
    assert site.asked == []


async def test_a_certificate_of_another_name_counts_for_nothing(site: Site, anchor: Path) -> None:
    with pytest.raises(Silent, match="tls"):
        await asked(anchor, f"127.0.0.1:{site.port}", "a@mss.other.example", domain="mss.other.example")
    assert site.asked == []


async def test_an_expired_certificate_counts_for_nothing(
    authority: TestAuthority, organisation: Organisation, anchor: Path, tmp_path: Path
) -> None:
    leaf = authority.issue_server(
        "web.peer.example", organisation, names=[f"openpgpkey.{DOMAIN}"], dates=Dates.EXPIRED
    ).write(tmp_path / "old", "old")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    old = Site()
    server = await asyncio.start_server(old.serve, "127.0.0.1", 0, ssl=context)
    assert await silence(anchor, f"127.0.0.1:{server.sockets[0].getsockname()[1]}") == "tls"
    server.close()


async def test_nobody_there_is_silence(anchor: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await silence(anchor, f"127.0.0.1:{port}") == "connect"


async def test_where_the_advanced_host_does_not_exist_the_domain_itself_is_asked(
    site: Site, anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str | bytes] = []

    async def getaddrinfo(host: str | bytes, *_: object, **__: object) -> list[object]:
        resolved.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    client = WkdClient(tls_of(anchor), {}, seconds=60, connections=4)
    for _ in range(2):
        with pytest.raises(Silent, match="connect"):  # the domain does not exist either
            await client.fetch(ADDRESS)
    await client.close()
    assert resolved.count(f"openpgpkey.{DOMAIN}") == 1  # remembered
    assert resolved.count(f"openpgpkey.{DOMAIN}") + 2 == len(resolved)
    assert set(map(str, resolved[1:])) <= {DOMAIN, repr(DOMAIN.encode())}


async def test_a_forged_absence_of_the_advanced_host_takes_back_nothing_that_was_published(
    anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name service is not authenticated, and the domain's own web server answers 404 in good faith."""

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    published: list[bytes] = []

    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if published else 404, stream=httpx.ByteStream(b"".join(published)))

    client = WkdClient(tls_of(anchor), {}, seconds=60, connections=4, transport=httpx.MockTransport(serve))
    assert await client.fetch(ADDRESS) == b""
    with pytest.raises(Silent, match="other-method"):
        await client.fetch(ADDRESS, known=True)
    published.append(b"\x99certificate")
    assert await client.fetch(ADDRESS, known=True) == b"\x99certificate"
    published.clear()  # where certificates are published so, they are taken back so
    assert await client.fetch(ADDRESS, known=True) == b""
    await client.close()


async def test_a_name_that_cannot_be_looked_up_now_is_silence(
    anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    client = WkdClient(tls_of(anchor), {}, seconds=60, connections=4)
    with pytest.raises(Silent, match="name"):
        await client.fetch(ADDRESS)
    await client.close()


async def test_no_log_names_who_was_asked_for(
    site: Site, anchor: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.publish(ADDRESS, b"\x99certificate")
    await asked(anchor, f"127.0.0.1:{site.port}")
    assert "zoe" not in caplog.text
