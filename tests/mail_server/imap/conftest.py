"""Sessions without sockets over the real SQLite store; the accounts, the logins and the delivery are small fakes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import re
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import create_engine

from mail_server import mime
from mail_server.accounts.entities import rights_in
from mail_server.accounts.interface import Account, Exchange, Identity, Kind, Peer
from mail_server.delivery.interface import (
    NOTHING_ASKED,
    Accepted,
    Asked,
    Envelope,
    MailParameters,
    Recipient,
    Road,
    Sender,
)
from mail_server.imap.dialogue import run
from mail_server.imap.limits import Limits
from mail_server.imap.server import ImapDoor
from mail_server.imap.session import Services, Session
from mail_server.imap.settings import ImapSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.armor import armor
from mail_server.store.interface import Store, Transaction
from mail_server.store.model import (
    AccountId,
    Filed,
    Flag,
    MailboxId,
    NewMessage,
    Rendered,
    SpecialUse,
    SplitContent,
    State,
    VerbatimContent,
)
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from mail_server.store.tables import metadata
from policies.interface import Event
from policies.refusal import Refusal

ALICE, BOB, WARD = AccountId("alice" + "a" * 15), AccountId("bob" + "b" * 17), AccountId("ward" + "w" * 16)
SIMPLE = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: hello\r\n"
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\nFirst line\r\nSecond line\r\n"
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The product runs on uvloop; the socket's side is held to asyncio's own loop too."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.name == "test_door.py":
        loops["asyncio"] = asyncio.new_event_loop
    return loops


def rendered(message: bytes) -> tuple[Rendered, int]:
    made = mime.render(message)
    return Rendered(made.header, made.envelope, made.bodystructure, made.body), made.size


# ── fakes ──


@dataclass
class Book:
    """Accounts in a dict; tests change it to withdraw rights."""

    by: dict[AccountId, Account]
    revoked: set[str] = field(default_factory=set[str])  # credentials

    def by_address(self, address: str) -> Account | None:
        return next((a for a in self.by.values() if a.address == address.lower()), None)

    def by_id(self, account: AccountId) -> Account | None:
        return self.by.get(account)

    def shared_with(self, person: AccountId) -> Sequence[Account]:
        shared = (a for a in self.by.values() if a.id != person and rights_in(a, person))
        return sorted(shared, key=lambda a: a.address)

    def is_local_domain(self, domain: str) -> bool:
        return domain == "example.org"

    def readers(self, account: AccountId) -> Sequence[Account]:
        return [self.by[member] for member in self.by[account].members] or [self.by[account]]

    def holds(self, account: AccountId, credential: str) -> bool:
        return account in self.by and credential not in self.revoked

    def change(self, account: AccountId, **what: object) -> None:
        self.by[account] = replace(self.by[account], **what)  # type: ignore[arg-type]


class Logins:
    """The password is "secret"; CHALLENGE asks a question first, as SCRAM does."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def mechanisms(self, peer: Peer) -> Sequence[str]:
        return ("PLAIN", "CHALLENGE") if peer.tls else ()

    def begin(self, mechanism: str, peer: Peer) -> Exchange:
        if mechanism == "PLAIN":
            return _Plain(self)
        return _Challenge(self)

    async def login(self, user: str, password: str, peer: Peer) -> Identity:
        account = self.book.by_address(user)
        if account is None or password != "secret":
            raise Refusal(535, "5.7.8", "Wrong user or password", "wrong-password")
        return Identity(account.id, account.address, account.kind, "PLAIN", "app-1")


@dataclass
class _Plain:
    logins: Logins

    async def step(self, response: bytes) -> bytes | Identity:
        _, user, password = response.split(b"\0")
        return await self.logins.login(user.decode(), password.decode(), PEER)


@dataclass
class _Challenge:
    logins: Logins
    steps: int = 0

    async def step(self, response: bytes) -> bytes | Identity:
        self.steps += 1
        if self.steps == 1:
            return b"who?"
        return await self.logins.login(response.decode(), "secret", PEER)


@dataclass
class Keeper:
    """Files what APPEND gives, verbatim; `refusal` makes it refuse."""

    store: Store
    refusal: Refusal | None = None

    async def keep(
        self,
        identity: Identity,
        mailbox: MailboxId,
        message: bytes,
        flags: Flag,
        keywords: frozenset[str],
        received_at: int | None,
    ) -> Filed:
        if self.refusal is not None:
            raise self.refusal
        account = await self.store.read(lambda reader: reader.mailbox(mailbox).account)
        return await file_verbatim(self.store, account, message, mailbox, flags, keywords, received_at)

    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        raise NotImplementedError

    async def admit_recipient(
        self, envelope: Envelope, address: str, asked: Asked = NOTHING_ASKED
    ) -> Recipient:
        raise NotImplementedError

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        raise NotImplementedError

    def refused(
        self, road: Road, peer: Peer, refusal_reason: str, detail: Sequence[tuple[str, str]] = ()
    ) -> None:
        raise NotImplementedError


async def file_verbatim(
    store: Store,
    account: AccountId,
    message: bytes,
    mailbox: MailboxId | SpecialUse = SpecialUse.INBOX,
    flags: Flag = Flag.NONE,
    keywords: frozenset[str] = frozenset(),
    received_at: int | None = None,
) -> Filed:
    rows, size = rendered(message)
    blob = await store.stage(account, message, compress=True)
    new = NewMessage(
        account,
        mailbox,
        VerbatimContent(blob),
        rows,
        size,
        received_at or int(time.time() * 1000),
        State.CUSTODY,
        flags=flags,
        keywords=keywords,
    )
    return await store.write(lambda transaction: transaction.file(new))


async def file_sealed(store: Store, account: AccountId, subject: bytes) -> Filed:
    """A split message; the packets are noise, as they are to this server."""
    packets, body = b"\xc1\x03abc", b"\xd2\xff" + b"noise" * 40
    outer = b"From: lab@example.org\r\nTo: alice@example.org\r\nSubject: " + subject + b"\r\n"
    head, tail = mime.wrap(outer, "bound")
    whole = head + armor(packets, body) + tail
    rows, size = rendered(whole)
    staged = await store.stage(None, body, compress=False)
    content = SplitContent(head, packets, staged, tail)
    new = NewMessage(
        account, SpecialUse.INBOX, content, rows, size, int(time.time() * 1000), State.SEALED, tag="abcd"
    )
    return await store.write(lambda transaction: transaction.file(new))


# ── a session without a socket ──

PEER = Peer("192.0.2.1", 4711, "imap", "session-1", tls=False)


class FakeLink:
    """Gives a session what the test says and keeps what it answers."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.said = bytearray()
        self.tls_started = 0
        self.writes: list[int] = []

    @property
    def congested(self) -> bool:
        return False

    async def read(self) -> bytes | None:
        return await self.inbox.get()

    def wake(self) -> None:
        self.inbox.put_nowait(None)

    def write(self, data: bytes | memoryview) -> None:
        self.writes.append(len(data))
        self.said += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    end_point: bytes | None = None

    async def start_tls(self) -> bytes | None:
        self.tls_started += 1
        return None


class Client:
    """Speaks lines to one session and reads lines back."""

    def __init__(self, services: Services, peer: Peer) -> None:
        self.link = FakeLink()
        self.session = Session(services, self.link, peer)
        self.task = asyncio.get_running_loop().create_task(run(self.session))
        self._at = 0
        self._tag = 0

    async def raw(self, data: bytes) -> None:
        self.link.inbox.put_nowait(data)
        await asyncio.sleep(0)

    async def until(self, pattern: bytes, timeout: float = 120) -> bytes:
        """What was said since the last look, up to the end of the line that matches."""
        end = time.monotonic() + timeout
        compiled = re.compile(pattern, re.MULTILINE)
        while time.monotonic() < end:
            match = compiled.search(self.link.said, self._at)
            line_end = self.link.said.find(b"\r\n", match.end()) if match else -1
            if match and line_end >= 0:
                said = bytes(self.link.said[self._at : line_end + 2])
                self._at = line_end + 2
                return said
            if self.task.done():
                await asyncio.sleep(0)
                if not compiled.search(self.link.said, self._at):
                    break
            await asyncio.sleep(0.001)
        raise AssertionError(f"never said {pattern!r}, but {bytes(self.link.said[self._at :])!r}")

    async def __call__(self, line: bytes | str, then: Sequence[bytes] = ()) -> list[str]:
        """One command; its answer's lines, the tagged one last with "tag" for its tag.

        `then` is sent piece by piece, each after a continuation.
        """
        self._tag += 1
        tag = b"t%d" % self._tag
        line = line.encode() if isinstance(line, str) else line
        await self.raw(tag + b" " + line + b"\r\n")
        for piece in then:
            await self.until(rb"^\+")
            await self.raw(piece)
        said = await self.until(rb"^" + tag + rb" (OK|NO|BAD)")
        return [
            re.sub(r"^t\d+ ", "tag ", one)
            for one in said.decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        ]

    async def login(self, user: str = "alice@example.org") -> None:
        answer = await self(f"LOGIN {user} secret")
        assert answer[-1].startswith("tag OK"), answer

    async def end(self) -> None:
        if not self.task.done():
            self.link.inbox.put_nowait(b"")
        await asyncio.wait_for(self.task, 120)


@dataclass
class World:
    """Everything a test may want to look at or break."""

    store: LocalStore
    book: Book
    keeper: Keeper
    services: Services
    events: list[Event] = field(default_factory=list[Event])
    clients: list[Client] = field(default_factory=list[Client])

    @property
    def limits(self) -> Limits:
        return self.services.limits

    async def connect(self, tls: bool = True) -> Client:
        client = Client(self.services, replace(PEER, tls=tls))
        self.clients.append(client)
        await client.until(rb"^\* OK")
        return client

    async def client(self, user: str = "alice@example.org") -> Client:
        client = await self.connect()
        await client.login(user)
        return client

    async def inbox(self, *messages: bytes, user: str = "alice@example.org") -> Client:
        """A client of Alice's with INBOX selected, these messages in it."""
        account = self.book.by_address(user)
        assert account is not None
        for message in messages:
            await self.file(message, account=account.id)
        client = await self.client(user)
        answer = await client("SELECT INBOX")
        assert answer[-1].startswith("tag OK"), answer
        return client

    async def file(
        self,
        message: bytes = SIMPLE,
        flags: Flag = Flag.NONE,
        keywords: frozenset[str] = frozenset(),
        received_at: int | None = None,
        account: AccountId = ALICE,
        mailbox: MailboxId | SpecialUse = SpecialUse.INBOX,
    ) -> Filed:
        return await file_verbatim(self.store, account, message, mailbox, flags, keywords, received_at)

    async def seal(self, subject: bytes = b"[...] abcd", account: AccountId = ALICE) -> Filed:
        return await file_sealed(self.store, account, subject)

    def with_settings(self, **what: object) -> None:
        settings = self.services.settings.model_copy(update=what)
        self.services = replace(self.services, settings=settings, limits=Limits(settings))


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the schema and the three accounts' mailboxes, copied for each test."""
    home = tmp_path_factory.mktemp("furnished")
    engine = create_engine(f"sqlite:///{home / 'mail.db'}")
    metadata.create_all(engine)
    engine.dispose()

    async def furnish() -> None:
        store = LocalStore(StoreSettings(free_space_floor=0), home, AesKeyWrapper(b"k" * 32))
        await store.start()

        def open_accounts(transaction: Transaction) -> None:
            for account in (ALICE, BOB, WARD):
                transaction.open_account(account)

        await store.write(open_accounts)
        await store.stop()

    asyncio.run(furnish())
    return home


@pytest.fixture
async def store(tmp_path: Path, furnished: Path) -> AsyncIterator[LocalStore]:
    home = tmp_path / "home"
    shutil.copytree(furnished, home)
    store = LocalStore(StoreSettings(free_space_floor=0), home, AesKeyWrapper(b"k" * 32))
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def world(store: LocalStore) -> AsyncIterator[World]:
    book = Book(
        {
            ALICE: Account(ALICE, "alice@example.org", Kind.PER),
            BOB: Account(BOB, "bob@example.org", Kind.PER),
            WARD: Account(WARD, "ward@example.org", Kind.ORG, members=(ALICE, BOB)),
        }
    )
    settings = ImapSettings(port=0, tls_port=0)
    events: list[Event] = []
    keeper = Keeper(store)
    services = Services(settings, store, keeper, book, Logins(book), events.extend, Limits(settings))
    world = World(store, book, keeper, services, events)
    yield world
    for client in world.clients:
        with contextlib.suppress(Exception):
            await client.end()


# ── real sockets ──


@dataclass
class Tls:
    server: ssl.SSLContext
    client: ssl.SSLContext
    ca: Path


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return Tls(server, ssl.create_default_context(cafile=str(pem)), pem)


@pytest.fixture
async def door(world: World, tls: Tls) -> AsyncIterator[ImapDoor]:
    s = world.services
    door = ImapDoor(s.settings, s.store, s.delivery, s.accounts, s.authenticator, tls.server, s.audit)
    await door.start()
    yield door
    await door.stop()


def plain(user: str, password: str = "secret") -> bytes:
    return base64.b64encode(b"\0" + user.encode() + b"\0" + password.encode())
