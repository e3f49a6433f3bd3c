"""A door on loopback, a delivery and an authenticator that do as they are told, a test PKI, a plain-spoken client."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import fnmatch
import ssl
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
from mail_server.smtp.server import Entrance, SmtpDoor
from mail_server.smtp.services import SessionEvent
from mail_server.smtp.settings import SmtpSettings
from mail_server.store.model import AccountId
from policies.refusal import Refusal


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The product runs on uvloop; nothing may depend on it."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


# --- certificates


@dataclass
class Pki:
    folder: Path

    def client(self, name: str) -> ssl.SSLContext:
        """A client that trusts the test CA and shows certificate `name` ("" for none)."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.check_hostname = False
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def server(self, name: str = "server", *, verify: bool = True) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        if verify:
            context.load_verify_locations(self.folder / "ca.pem")
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def der(self, name: str) -> bytes:
        pem = (self.folder / f"{name}.pem").read_bytes()
        return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)

    def write(name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def issue(
        name: str,
        issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
        until: datetime.datetime,
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * day)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        )
        if issuer:
            usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
        write(name, certificate, key)
        return certificate, key

    ca = issue("ca", None, now + 30 * day)
    foreign = issue("foreign-ca", None, now + 30 * day)
    issue("server", ca, now + 20 * day)
    issue("server2", ca, now + 20 * day)
    issue("operator", ca, now + 20 * day)
    issue("expired", ca, now - day)
    issue("stranger", foreign, now + 20 * day)
    return Pki(folder)


# --- what stands behind the door


@dataclass
class FakeDelivery:
    """Admits everyone but whom it was told to refuse; keeps what it was given."""

    refuse_sender: Refusal | None = None
    refused_recipients: dict[str, Exception] = field(default_factory=dict)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    begun: int = 0
    senders: list[tuple[Road, str, MailParameters, Peer, Identity | None]] = field(default_factory=list)
    letters: list[tuple[Envelope, bytes]] = field(default_factory=list)
    audit: list[tuple[Road, Peer, str, tuple[tuple[str, str], ...]]] = field(default_factory=list)

    @property
    def audited(self) -> list[str]:
        return [reason for _, _, reason, _ in self.audit]

    @property
    def bodies(self) -> list[bytes]:
        return [message for _, message in self.letters]

    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        self.senders.append((road, mail_from, parameters, peer, identity))
        if self.refuse_sender is not None:
            raise self.refuse_sender
        return Sender(road, mail_from, peer, identity)

    async def admit_recipient(
        self, envelope: Envelope, address: str, asked: Asked = NOTHING_ASKED
    ) -> Recipient:
        if address in self.refused_recipients:
            raise self.refused_recipients[address]
        return Recipient(address, AccountId("a" * 20), asked.notify, asked.orcpt)

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        self.begun += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.letters.append((envelope, message))
        return Accepted(f"id{len(self.letters)}")

    async def keep(self, *_: object) -> None:  # type: ignore[override]
        raise AssertionError("a mail door never keeps")

    def refused(
        self, road: Road, peer: Peer, refusal_reason: str, detail: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.audit.append((road, peer, refusal_reason, tuple(detail)))


ALICE = Identity(AccountId("b" * 20), "alice@example.org", Kind.PER, "PLAIN", "cred1")


@dataclass
class FakeAccounts:
    """Alice's account alone; tests revoke what she logged in with."""

    revoked: set[str] = field(default_factory=set)
    suspended: bool = False

    def by_id(self, account: AccountId) -> Account | None:
        return Account(account, ALICE.address, Kind.PER, self.suspended) if account == ALICE.account else None

    def holds(self, account: AccountId, credential: str) -> bool:
        return account == ALICE.account and credential not in self.revoked


class FakeExchange:
    def __init__(self, mechanism: str, delivery_error: Exception | None) -> None:
        self._mechanism = mechanism
        self._error = delivery_error
        self._steps = 0

    async def step(self, response: bytes) -> bytes | Identity:
        self._steps += 1
        if self._error is not None:
            raise self._error
        failed = Refusal(535, "5.7.8", "Authentication credentials invalid", "login-failed")
        if self._mechanism == "PLAIN":
            if response == b"\0alice\0secret":
                return ALICE
            raise failed
        if self._mechanism == "EXTERNAL":
            return ALICE
        script = [
            (b"n,,n=alice,r=abc", b"r=abcdef,s=c2FsdA==,i=4096"),
            (b"c=biws,r=abcdef,p=cHJvb2Y=", b"v=dmVyaWY="),
        ]
        if self._steps <= len(script):
            expected, challenge = script[self._steps - 1]
            if response != expected:
                raise failed
            return challenge
        if response:
            raise failed
        return ALICE


@dataclass
class FakeAuthenticator:
    error: Exception | None = None

    def mechanisms(self, peer: Peer) -> Sequence[str]:
        if not peer.tls:
            return ()
        return ("PLAIN", "SCRAM-SHA-256", *(("EXTERNAL",) if peer.certificate else ()))

    def begin(self, mechanism: str, peer: Peer) -> Exchange:
        if mechanism not in self.mechanisms(peer):
            raise Refusal(504, "5.5.4", "Unrecognized authentication type", "unknown-mechanism")
        return FakeExchange(mechanism, self.error)

    async def login(self, user: str, password: str, peer: Peer) -> Identity:
        raise AssertionError("SMTP has no LOGIN command")


# --- the peer


class Talker:
    """A client that says exactly what it is told, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pki: Pki) -> None:
        self.reader = reader
        self.writer = writer
        self._pki = pki

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> str:
        async with asyncio.timeout(120):
            return (await self.reader.readline()).decode("ascii").removesuffix("\r\n")

    async def reply(self) -> str:
        """One whole reply; its lines joined by newlines."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def ask(self, command: str) -> str:
        await self.send(command.encode() + b"\r\n")
        return await self.reply()

    async def transcript(self, text: str) -> None:
        """`C:` lines are sent, `S:` lines are awaited (`*` stands for anything); `S: closed` is the end."""
        for row in textwrap.dedent(text).strip("\n").splitlines():
            who, said = row[:2], row[3:]
            if who == "C:":
                await self.send(said.encode() + b"\r\n")
            elif said == "closed":
                assert await self.closed()
            else:
                heard = await self.line()
                assert fnmatch.fnmatchcase(heard, said.replace("[", "[[]")), (
                    f"expected {said!r}, heard {heard!r}"
                )

    async def closed(self) -> bool:
        """Whether the server has hung up and said nothing more."""
        async with asyncio.timeout(120):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                return await self.reader.read() == b""
            return True

    async def starttls(self, certificate: str = "") -> None:
        await self.transcript("C: STARTTLS\nS: 220 2.0.0 Ready to start TLS")
        await self.writer.start_tls(self._pki.client(certificate))

    async def hello(self) -> list[str]:
        """EHLO; the keywords offered."""
        reply = await self.ask("EHLO client.example")
        return [line[4:] for line in reply.splitlines()[1:]]

    async def login(self) -> None:
        await self.transcript("C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 235 2.7.0 *")

    async def open_transaction(self, recipient: str = "bob@example.org") -> None:
        await self.transcript(
            f"C: MAIL FROM:<alice@example.org>\nS: 250 2.1.0 *\nC: RCPT TO:<{recipient}>\nS: 250 2.1.5 *"
        )

    async def begin_data(self) -> None:
        await self.open_transaction()
        await self.transcript("C: DATA\nS: 354 End data with <CR><LF>.<CR><LF>")

    def close(self) -> None:
        self.writer.close()


@dataclass
class World:
    """One door and everything around it."""

    door: SmtpDoor
    delivery: FakeDelivery
    authenticator: FakeAuthenticator
    accounts: FakeAccounts
    pki: Pki
    events: list[SessionEvent]
    talkers: list[Talker] = field(default_factory=list)

    async def connect(self, entrance: Entrance, certificate: str = "", greeted: bool = True) -> Talker:
        implicit = entrance is Entrance.SUBMISSIONS
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.door.ports[entrance], ssl=self.pki.client(certificate) if implicit else None
        )
        talker = Talker(reader, writer, self.pki)
        self.talkers.append(talker)
        if greeted:
            assert await talker.line() == "220 mx.example.org ESMTP"
        return talker

    async def operator(self, certificate: str = "operator") -> Talker:
        """Port 25, after STARTTLS and EHLO."""
        talker = await self.connect(Entrance.OPERATOR)
        await talker.hello()
        await talker.starttls(certificate)
        await talker.hello()
        return talker

    async def client(self, certificate: str = "") -> Talker:
        """Port 465, logged in."""
        talker = await self.connect(Entrance.SUBMISSIONS, certificate)
        await talker.hello()
        await talker.login()
        return talker

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
def world_parts() -> tuple[FakeDelivery, FakeAuthenticator, FakeAccounts]:
    return FakeDelivery(), FakeAuthenticator(), FakeAccounts()


OpenDoor = Callable[..., Awaitable[World]]


@pytest.fixture
async def open_door(pki: Pki) -> AsyncIterator[OpenDoor]:
    """Open a door with these settings."""
    worlds: list[World] = []

    async def build(**changed: object) -> World:
        given: dict[str, object] = {
            "hostname": "mx.example.org",
            "listen": ("127.0.0.1",),
            "operator_port": 0,
            "submission_port": 0,
            "submissions_port": 0,
            "greeting_pause_seconds": 0,
            "stop_grace_seconds": 1,
        }
        settings = SmtpSettings.model_validate(given | changed)
        delivery, authenticator, events = FakeDelivery(), FakeAuthenticator(), list[SessionEvent]()
        accounts = FakeAccounts()
        contexts = {road: pki.server() for road in Road}
        door = SmtpDoor(settings, delivery, authenticator, accounts, contexts, events.append)  # type: ignore[arg-type]
        await door.start()
        world = World(door, delivery, authenticator, accounts, pki, events)
        worlds.append(world)
        return world

    yield build
    for world in worlds:
        for talker in world.talkers:
            talker.close()
        await world.door.stop()
        assert world.door.open_connections == 0
        assert world.door.bytes_in_flight == 0


@pytest.fixture
async def world(open_door: OpenDoor) -> World:
    return await open_door()
