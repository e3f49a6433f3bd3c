"""The JMAP door over the real SQLite store; accounts, logins, the page's sessions and delivery are small fakes."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from fastapi import FastAPI
from sqlalchemy import create_engine

from mail_server import mime
from mail_server.accounts.entities import rights_in
from mail_server.accounts.interface import PAGE, Account, Exchange, Identity, Kind, Peer
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
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.interface import Capability
from mail_server.jmap.settings import JmapSettings
from mail_server.jmap.tables import metadata as jmap_metadata
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.armor import armor
from mail_server.store.interface import AlreadyFiled, Store, Transaction
from mail_server.store.model import (
    AccountId,
    CoarseClass,
    Filed,
    FindingsColumns,
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
from mail_server.store.tables import metadata as store_metadata
from policies.interface import Event
from policies.refusal import Refusal

ALICE, BOB, WARD = AccountId("alice" + "a" * 15), AccountId("bob" + "b" * 17), AccountId("ward" + "w" * 16)
PATIENT = AccountId("patient" + "p" * 13)
NUMBER = "260058815400233@patient.example.org"
ALL = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission",
       "urn:ietf:params:jmap:quota"]  # fmt: skip
VENDOR = "https://vaguemestre.example/jmap/mail"
KEYS = AesKeyWrapper(b"k" * 32)
SIMPLE = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: hello\r\n"
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\nFirst line\r\nSecond line\r\n"
)
# An OpenPGP message in form: one PKESK v3 that names a key, one integrity-protected packet of noise.
PKESK = b"\xc1\x0d\x03" + bytes.fromhex("0123456789ABCDEF") + b"\x12" + b"\x00\x01\x01"
SEIPD = b"\xd2\x21\x01" + b"n" * 32


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def letter(subject: str = "hello", text: str = "First line", **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: {subject}\r\n{more}"
    return (head + "\r\n" + text + "\r\n").encode()


def pgp_mime(
    outer: bytes = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: [...] abcd\r\n",
) -> bytes:
    head, tail = mime.wrap(outer, "bound")
    return head + armor(PKESK, SEIPD) + tail


def rendered(message: bytes) -> tuple[Rendered, int]:
    made = mime.render(message)
    return Rendered(made.header, made.envelope, made.bodystructure, made.body), made.size


# ── fakes ──


@dataclass
class Book:
    by: dict[AccountId, Account]
    revoked: set[str] = field(default_factory=set[str])

    def by_address(self, address: str) -> Account | None:
        return next((a for a in self.by.values() if address.lower() in (a.address, a.alias)), None)

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


@dataclass
class Logins:
    book: Book
    asked: list[tuple[str, Peer]] = field(default_factory=list[tuple[str, Peer]])
    unable: bool = False

    def mechanisms(self, peer: Peer) -> Sequence[str]:
        return ()

    def begin(self, mechanism: str, peer: Peer) -> Exchange:
        raise NotImplementedError

    async def login(self, user: str, password: str, peer: Peer) -> Identity:
        self.asked.append((user, peer))
        if self.unable:
            raise Refusal(454, "4.7.0", "Temporary authentication failure", "trace-full")
        if not peer.tls:
            raise Refusal(538, "5.7.11", "Encryption required: start TLS first", "tls-required")
        account = self.book.by_address(user)
        if account is None or password != "secret":
            raise Refusal(535, "5.7.8", "Wrong user or password", "wrong-password")
        return Identity(account.id, account.address, account.kind, "PLAIN", f"app-{account.address}")


@dataclass
class Cookies:
    """The page's sessions: the cookie's value is who it is for."""

    book: Book
    by: dict[str, AccountId] = field(default_factory=dict[str, AccountId])

    def by_cookie(self, cookie: str) -> Identity | None:
        account = self.book.by_id(self.by[cookie]) if cookie in self.by else None
        return (
            Identity(account.id, account.address, account.kind, PAGE, f"page-{cookie}") if account else None
        )


@dataclass
class Post:
    """Delivery in small: addresses of the book, files verbatim, knows what it filed; `refuses` by address."""

    store: Store
    book: Book
    refuses: dict[str, Refusal] = field(default_factory=dict[str, Refusal])
    refuses_sender: Refusal | None = None
    refuses_letter: Refusal | None = None
    refuses_keeping: Refusal | None = None
    limit: int = 0
    used: int = 0
    identities: list[Identity] = field(default_factory=list[Identity])
    delivered: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    parameters: list[MailParameters] = field(default_factory=list[MailParameters])
    asked: list[Asked] = field(default_factory=list[Asked])
    dies_after: int | None = None  # deliveries until the process "is killed"

    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        assert identity is not None
        self.identities.append(identity)
        if self.refuses_sender is not None:
            raise self.refuses_sender
        return Sender(road, mail_from, peer, identity)

    async def admit_recipient(
        self, envelope: Envelope, address: str, asked: Asked = NOTHING_ASKED
    ) -> Recipient:
        self.parameters.append(envelope.parameters)
        self.asked.append(asked)
        if address in self.refuses:
            raise self.refuses[address]
        account = self.book.by_address(address)
        if account is None:
            raise Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
        return Recipient(account.address, account.id)

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        if self.refuses_letter is not None:
            raise self.refuses_letter
        to = envelope.recipients[0]
        fingerprint = self.store.submission_fingerprint(
            envelope.sender.mail_from.encode(), to.account.encode(), message
        )
        now = int(time.time() * 1000)
        try:
            await self.store.write(lambda transaction: transaction.remember_submission(fingerprint, now))
        except AlreadyFiled:
            return Accepted("again")
        filed = await file_verbatim(self.store, to.account, message)
        self.delivered.append((to.address, message))
        if self.dies_after is not None and len(self.delivered) >= self.dies_after:
            raise asyncio.CancelledError
        return Accepted(filed.email_id)

    async def keep(
        self,
        identity: Identity,
        mailbox: MailboxId,
        message: bytes,
        flags: Flag,
        keywords: frozenset[str],
        received_at: int | None,
        *,
        also: Sequence[MailboxId] = (),
        sealed_summary: bytes | None = None,
        coarse_class: CoarseClass | None = None,
        to_be_sent: bool = False,
    ) -> Filed:
        if self.refuses_keeping is not None:
            raise self.refuses_keeping
        account = await self.store.read(lambda reader: reader.mailbox(mailbox).account)
        held = self.book.by_id(account)
        sealed = b"BEGIN PGP MESSAGE" in message
        if held is not None and held.kind is Kind.PATIENT and not sealed:
            raise Refusal(
                550, "5.7.1", "Nothing is stored in clear in a patient's space", "clear-content-refused"
            )
        state = State.SEALED if sealed else State.KEPT
        coarse = coarse_class if sealed and coarse_class is not None else CoarseClass.MESSAGE
        return await file_verbatim(
            self.store,
            account,
            message,
            mailbox,
            flags,
            keywords,
            received_at,
            state,
            sealed_summary,
            also,
            coarse,
        )

    def quota_of(self, account: AccountId) -> tuple[int, int]:
        return self.used, self.limit

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
    state: State = State.CUSTODY,
    summary: bytes | None = None,
    also: Sequence[MailboxId] = (),
    coarse: CoarseClass = CoarseClass.MESSAGE,
) -> Filed:
    rows, size = rendered(message)
    blob = await store.stage(account, message, compress=True)
    ids = [
        found
        for name in ("message-id", "references", "in-reply-to")
        for one in mime.fields(message)
        if one.name == name
        for found in mime.message_ids(one.value)
    ]
    new = NewMessage(
        account,
        mailbox,
        VerbatimContent(blob),
        rows,
        size,
        received_at or int(time.time() * 1000),
        state,
        message_ids=ids,
        findings=FindingsColumns(coarse, summary=summary),
        flags=flags,
        keywords=keywords,
    )

    def write(transaction: Transaction) -> Filed:
        filed = transaction.file(new)
        if also:
            places = frozenset({filed.mailbox, *also})
            transaction.place(account, filed.email_id, places, flags, keywords)
        return filed

    return await store.write(write)


async def file_sealed(store: Store, account: AccountId, summary: bytes | None = None) -> Filed:
    """A split message; the packets are noise, as they are to this server."""
    outer = b"From: lab@example.org\r\nTo: alice@example.org\r\nSubject: [...] abcd\r\n"
    head, tail = mime.wrap(outer, "bound")
    rows, size = rendered(head + armor(PKESK, SEIPD) + tail)
    staged = await store.stage(None, SEIPD, compress=False)
    new = NewMessage(
        account,
        SpecialUse.INBOX,
        SplitContent(head, PKESK, staged, tail),
        rows,
        size,
        int(time.time() * 1000),
        State.SEALED,
        tag="abcd",
        findings=FindingsColumns(summary=summary),
    )
    return await store.write(lambda transaction: transaction.file(new))


# ── the door ──


class Client:
    """A program that speaks JMAP over HTTP, without a socket."""

    def __init__(self, http: httpx.AsyncClient, account: AccountId, headers: dict[str, str]) -> None:
        self.http = http
        self.account = account
        self.headers = headers
        self.using = ALL

    async def post(self, request: Any, **headers: str) -> httpx.Response:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        sent = {"content-type": "application/json", **self.headers, **headers}
        return await self.http.post("/jmap/api", content=body, headers=sent)

    async def calls(self, *calls: Sequence[Any], using: Sequence[str] | None = None) -> list[Any]:
        """Method responses; a call without an id gets its number, one without an account this client's."""
        numbered = [
            [
                name,
                arguments if name == "Core/echo" else {"accountId": self.account, **arguments},
                *(rest or [str(at)]),
            ]
            for at, (name, arguments, *rest) in enumerate(calls)
        ]
        answer = await self.post({"using": list(using or self.using), "methodCalls": numbered})
        assert answer.status_code == 200, answer.text
        return answer.json()["methodResponses"]

    async def __call__(self, name: str, using: Sequence[str] | None = None, **arguments: Any) -> Any:
        """The arguments of the one response; an error object when it is one."""
        [[_, result, _]] = await self.calls((name, arguments), using=using)
        return result

    async def upload(
        self, data: bytes, media_type: str = "message/rfc822", account: str | None = None
    ) -> httpx.Response:
        headers = {"content-type": media_type, **self.headers}
        return await self.http.post(f"/jmap/upload/{account or self.account}/", content=data, headers=headers)

    async def blob(self, data: bytes) -> str:
        answer = await self.upload(data)
        assert answer.status_code == 201, answer.text
        return answer.json()["blobId"]

    async def download(
        self, blob: str, name: str = "a.bin", media_type: str = "", account: str | None = None
    ) -> httpx.Response:
        url = f"/jmap/download/{account or self.account}/{blob}/{name}"
        return await self.http.get(url, params={"type": media_type}, headers=self.headers)

    async def folder(self, role: str) -> str:
        found = await self("Mailbox/get", ids=None, properties=["role"])
        return next(each["id"] for each in found["list"] if each["role"] == role)


@dataclass
class World:
    store: LocalStore
    book: Book
    logins: Logins
    cookies: Cookies
    post: Post
    door: JmapDoor
    app: FastAPI
    http: httpx.AsyncClient
    events: list[Event] = field(default_factory=list[Event])
    full: bool = False

    def program(self, user: str = "alice@example.org", password: str = "secret") -> Client:
        account = self.book.by_address(user)
        proof = base64.b64encode(f"{user}:{password}".encode()).decode()
        return Client(self.http, account.id if account else ALICE, {"authorization": f"Basic {proof}"})

    def page(self, account: AccountId = PATIENT, cookie: str = "biscuit") -> Client:
        self.cookies.by[cookie] = account
        headers = {
            "cookie": f"__Host-vaguemestre={cookie}",
            "x-vaguemestre": "1",
            "origin": "https://mail.example",
        }
        return Client(self.http, account, headers)

    async def file(self, account: AccountId = ALICE, message: bytes = SIMPLE, **more: Any) -> str:
        return (await file_verbatim(self.store, account, message, **more)).email_id

    async def inbox(self, account: AccountId) -> list[bytes]:
        """The letters that lie there, oldest first."""

        def read(reader: Any) -> list[bytes]:
            box = reader.mailbox_by_use(account, SpecialUse.INBOX)
            rows = reader.rows(box.id, [one.uid for one in reader.memberships(box.id)])
            return [reader.content(row.message) for row in rows]

        return await self.store.read(read)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the schema and the accounts' mailboxes, copied for each test."""
    home = tmp_path_factory.mktemp("furnished")
    engine = create_engine(f"sqlite:///{home / 'mail.db'}")
    store_metadata.create_all(engine)
    jmap_metadata.create_all(engine)
    engine.dispose()

    async def furnish() -> None:
        store = LocalStore(StoreSettings(free_space_floor=0), home, KEYS)
        await store.start()

        def open_accounts(transaction: Transaction) -> None:
            for account in (ALICE, BOB, WARD, PATIENT):
                transaction.open_account(account)

        await store.write(open_accounts)
        await store.stop()

    asyncio.run(furnish())
    return home


@pytest.fixture
async def store(tmp_path: Path, furnished: Path) -> AsyncIterator[LocalStore]:
    home = tmp_path / "home"
    shutil.copytree(furnished, home)
    store = LocalStore(StoreSettings(free_space_floor=0), home, KEYS)
    await store.start()
    yield store
    await store.stop()


def people() -> Book:
    return Book(
        {
            ALICE: Account(ALICE, "alice@example.org", Kind.PER),
            BOB: Account(BOB, "bob@example.org", Kind.PER),
            WARD: Account(WARD, "ward@example.org", Kind.ORG, members=(ALICE,)),
            PATIENT: Account(PATIENT, f"{PATIENT}@patient.example.org", Kind.PATIENT, alias=NUMBER),
        }
    )


def build(
    store: LocalStore, settings: JmapSettings | None = None, capabilities: Sequence[Capability] = ()
) -> World:
    book = people()
    logins, cookies, post = Logins(book), Cookies(book), Post(store, book)
    events: list[Event] = []
    world: World
    door = JmapDoor(
        settings or JmapSettings(),
        store=store,
        delivery=post,
        accounts=book,
        authenticator=logins,
        sessions=cookies,
        keys=KEYS,
        audit=events.extend,
        capabilities=capabilities,
        trace_full=lambda: world.full,
    )
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(door.router)
    transport = httpx.ASGITransport(app=app)
    http = httpx.AsyncClient(transport=transport, base_url="https://mail.example")
    world = World(store, book, logins, cookies, post, door, app, http, events)
    return world


@pytest.fixture
async def world(store: LocalStore) -> AsyncIterator[World]:
    world = build(store)
    await world.door.start()
    yield world
    await world.door.stop()
    await world.http.aclose()


@pytest.fixture
def alice(world: World) -> Client:
    return world.program("alice@example.org")


@pytest.fixture
def bob(world: World) -> Client:
    return world.program("bob@example.org")
