"""An operator that publishes certificates, over TLS on this machine, and a node that asks it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.pki import Organisation, TestAuthority
from deploy.node.migrations.run import migrate_mail
from directory.certificates.memory import wkd_hash
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.outbound.peers.book import Book
from mail_server.outbound.peers.keys import PublishedCertificates
from mail_server.outbound.peers.wkd import WkdClient, tls_of
from mail_server.outbound.settings import OutboundSettings
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from policies.interface import Event
from tests.directory.conftest import load_forge

DOMAIN = "mss.peer.example"
SILENT = "mss.silent.example"
ADDRESS = f"zoe.martin@{DOMAIN}"
_REASONS = {
    304: b"Not Modified",
    200: b"OK",
    301: b"Moved Permanently",
    404: b"Not Found",
    503: b"Service Unavailable",
}


@dataclass
class Site:
    """A web server that says what it is told to, and notes what it was asked."""

    port: int = 0
    published: dict[str, bytes] = field(default_factory=dict[str, bytes])
    status: int = 200
    head: bytes = b""  # further header lines
    wait: Callable[[], Awaitable[object]] | None = None
    asked: list[str] = field(default_factory=list[str])

    def publish(self, address: str, data: bytes) -> None:
        local, _, domain = address.partition("@")
        self.published[f"/.well-known/openpgpkey/{domain}/hu/{wkd_hash(local)}?l={local}"] = data

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                path = head.split(" ")[1]
                host = next(line[6:] for line in head.split("\r\n") if line.lower().startswith("host: "))
                self.asked.append(f"{host}{path}")
                if self.wait is not None:
                    await self.wait()
                data = self.published.get(path)
                status = self.status if self.status != 200 else 404 if data is None else 200
                body = data or b""
                writer.write(b"HTTP/1.1 %d %s\r\n%s" % (status, _REASONS[status], self.head))
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()


@dataclass
class Node:
    """What asks."""

    peers: PublishedCertificates
    site: Site
    store: LocalStore
    events: list[Event]
    ahead: list[int]  # ms
    again: Callable[[], Awaitable[PublishedCertificates]]

    def pass_time(self, *, hours: float = 0, days: float = 0) -> None:
        self.ahead[0] += round((hours + 24 * days) * 3_600_000)


@pytest.fixture(scope="session")
def forge() -> ModuleType:
    return load_forge()


@pytest.fixture(scope="session")
def authority() -> TestAuthority:
    return TestAuthority.create()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "mail.db"
    migrate_mail(f"sqlite:///{path}")
    return path


@pytest.fixture
def organisation() -> Organisation:
    return Organisation.with_finess("OPERATEUR VOISIN", 7, "Loire (42)")


@pytest.fixture
def anchor(authority: TestAuthority, tmp_path: Path) -> Path:
    return authority.write(tmp_path / "pki")


@pytest.fixture
def server_tls(authority: TestAuthority, organisation: Organisation, tmp_path: Path) -> ssl.SSLContext:
    leaf = authority.issue_server("web.peer.example", organisation, names=[f"openpgpkey.{DOMAIN}"])
    files = leaf.write(tmp_path / "site", "site")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest_asyncio.fixture
async def site(server_tls: ssl.SSLContext) -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=server_tls)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where somebody takes connections and says nothing."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(50)
        yield taken.getsockname()[1]


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "home").mkdir()
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated"), tmp_path / "home" / "mail.db")
        return ""
    url: str = request.getfixturevalue("make_postgresql_database")()
    migrate_mail(url)
    return url


@pytest_asyncio.fixture
async def node(
    database: str,
    tmp_path: Path,
    site: Site,
    anchor: Path,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Node]:
    monkeypatch.setattr("mail_server.outbound.peers.keys._PATIENCE", 60)  # what does answer has its time
    keys = AesKeyWrapper(b"k" * 32)
    store = LocalStore(StoreSettings(database=database, free_space_floor=0), tmp_path / "home", keys)
    await store.start()
    ahead, events = [0], list[Event]()
    routes = {DOMAIN: f"127.0.0.1:{site.port}", SILENT: f"127.0.0.1:{silent_port}"}
    made: list[PublishedCertificates] = []

    async def begin() -> PublishedCertificates:
        book = Book(store, keys)
        await book.open()
        peers = PublishedCertificates(
            OutboundSettings(),
            book=book,
            directory=WkdClient(tls_of(anchor), routes, seconds=60, connections=8),
            listed=lambda domain: domain in (DOMAIN, SILENT),
            audit=events.extend,
            clock=lambda: time.time_ns() // 1_000_000 + ahead[0],
        )
        made.append(peers)
        return peers

    yield Node(await begin(), site, store, events, ahead, begin)
    for peers in made:
        await peers.close()
    await store.stop()


@pytest.fixture
def revoked() -> Callable[[Any, str], bytes]:
    """A certificate of the forge with its revocation."""
    from directory.openpgp.signatures import Kind

    return lambda made, address: (
        made.head + made.direct(Kind.KEY_REVOCATION, []) + made.user_id(address) + made.bind()
    )
