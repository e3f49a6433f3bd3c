"""Another operator's server that does as a test tells it, real TLS included, and the client that meets it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from deploy.demo.pki import LeafFiles, TestAuthority
from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.client.names import Exchanger, NamesFailed
from mail_server.outbound.client.security import PeerSecurity
from mail_server.outbound.interface import Leaving, Notify, Outcome, OutgoingRecipient
from mail_server.outbound.settings import OutboundSettings
from policies.interface import PeerStanding

T = TypeVar("T")
ALLOWED = PeerStanding(True, "CN=mx.autre.example")
DOMAIN = "autre.mssante.example"
LETTER = b"From: <a@ici.mssante.example>\r\nSubject: ...\r\n\r\nBonjour\r\n"


# --- certificates


@dataclass
class Pki:
    folder: Path
    authority: TestAuthority
    files: dict[str, LeafFiles]
    certificates: dict[str, bytes]
    """DER by name."""

    def server(self, name: str = "peer", **changes: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files[name].certificate, self.files[name].key)
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        for key, value in changes.items():
            setattr(context, key, value)
        return context

    def ours(self, name: str = "we") -> PeerSecurity:
        return PeerSecurity(self.files[name].certificate, self.files[name].key, self.folder / "ca.pem")


# --- the other operator


@dataclass(frozen=True)
class Raw:
    """These bytes, then go on."""

    octets: bytes


class Cut:
    """Hang up instead of an answer."""


class Silence:
    """Never answer, but keep the line."""


@dataclass(frozen=True)
class Endless:
    """One reply that never ends."""

    line: bytes = b"250-more\r\n"


@dataclass(frozen=True)
class Last:
    """Answer, then hang up."""

    reply: str


Answer = str | Raw | Cut | Silence | Endless | Last
EHLO = (
    "mx.autre.example",
    "PIPELINING",
    "SIZE 26214400",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
)


class _HangUp(Exception):
    pass


@dataclass
class Peer:
    """Answers are looked up by the words of a command, the longest that fit: "RCPT TO:<b@", "RCPT", "."...

    A list of answers is used up one by one; its last one stays.
    """

    tls: ssl.SSLContext
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict[str, Answer | list[Answer]])
    offers: Sequence[str] = EHLO
    clear_offers: Sequence[str] = ("mx.autre.example", "PIPELINING", "STARTTLS")
    after_starttls: bytes = b""
    most_recipients: int = 1000
    instead_of_tls: bytes = b""
    interruption: bytes = b""  # said in the middle of a letter
    deaf: bool = False  # reads nothing after 354
    port: int = 0

    def __post_init__(self) -> None:
        self.said: list[str] = []
        """Command lines, those inside TLS only behind their "STARTTLS"."""
        self.letters: list[bytes] = []
        """As they came, dots undone."""
        self.raw: list[bytes] = []
        self.connections = 0
        self.client_certificates: list[bytes | None] = []
        self.server_names: list[str | None] = []
        self.tls.sni_callback = lambda _tls, name, _context: self.server_names.append(name)
        self.groups: list[int] = []
        """How many commands each write brought, as far as they came together."""
        self._groups: dict[asyncio.StreamReader, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def inside(self) -> list[str]:
        """What was said inside TLS, EHLO and QUIT left out."""
        return [line for line in self.said if not line.startswith(("EHLO", "STARTTLS")) and line != "QUIT"]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (_HangUp, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answer(writer, "greeting", "220 mx.autre.example ESMTP")
        offers, accepted = self.clear_offers, 0
        while True:
            line = (await self._command(reader, inside=offers is self.offers))[:-2].decode()
            self.said.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                await self._answer(
                    writer, "EHLO" if offers is self.offers else "clear EHLO", _lines(250, offers)
                )
            elif verb == "STARTTLS":
                await self._answer(writer, "STARTTLS", "220 2.0.0 Go", after=self.after_starttls)
                if self.instead_of_tls:
                    await asyncio.sleep(0.05)
                    writer.write(self.instead_of_tls)
                    await reader.read()
                    raise _HangUp
                await writer.start_tls(self.tls)
                ssl_object = writer.get_extra_info("ssl_object")
                self.client_certificates.append(ssl_object.getpeercert(binary_form=True))
                offers = self.offers
            elif verb == "MAIL":
                accepted = 0
                await self._answer(writer, line, "250 2.1.0 Ok")
            elif verb == "RCPT":
                usual = "250 2.1.5 Ok" if accepted < self.most_recipients else "452 4.5.3 Too many"
                said = await self._answer(writer, line, usual)
                accepted += said.startswith("2")
            elif verb == "DATA":
                said = await self._answer(writer, line, "354 Go" if accepted else "554 5.5.1 Nobody")
                if said.startswith("354"):
                    await self._letter(reader, writer)
                    await self._answer(writer, ".", "250 2.0.0 Ok: queued as 4711")
            elif verb == "QUIT":
                await self._answer(writer, line, "221 2.0.0 Bye")
                raise _HangUp
            else:
                await self._answer(writer, line, "250 2.0.0 Ok")

    async def _command(self, reader: asyncio.StreamReader, *, inside: bool) -> bytes:
        """Read by groups, to see which commands came together."""
        waiting = self._groups.get(reader)
        if not waiting:
            first = await reader.readuntil(b"\r\n")
            waiting = self._groups[reader] = [first]
            while b"\n" in bytes(reader._buffer):  # type: ignore[attr-defined]
                waiting.append(await reader.readuntil(b"\r\n"))
            if inside and not first.startswith((b"EHLO", b"QUIT")):
                self.groups.append(len(waiting))
        return waiting.pop(0)

    async def _letter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.deaf:
            await asyncio.sleep(3600)
        held = bytearray(b"\r\n")
        while not held.endswith(b"\r\n.\r\n"):
            if self.interruption and len(held) > 1 << 18:
                writer.write(self.interruption)
                self.interruption = b""
            held += await reader.readuntil(b"\r\n")
        raw = bytes(held)
        self.raw.append(raw[2:])
        self.letters.append(raw[:-3].replace(b"\r\n.", b"\r\n")[2:])

    async def _answer(self, writer: asyncio.StreamWriter, line: str, usual: str, after: bytes = b"") -> str:
        answer = self._chosen(line) or usual
        if isinstance(answer, Cut):
            raise _HangUp
        if isinstance(answer, Silence):
            await asyncio.sleep(3600)
        if isinstance(answer, Endless):
            for _ in range(1000):
                writer.write(answer.line * 100)
                await writer.drain()
        if isinstance(answer, Raw):
            writer.write(answer.octets)
            await writer.drain()
            return answer.octets.decode("latin-1")
        said = answer.reply if isinstance(answer, Last) else str(answer)
        writer.write(said.encode() + b"\r\n" + after)
        await writer.drain()
        if isinstance(answer, Last):
            raise _HangUp
        return said

    def _chosen(self, line: str) -> Answer | None:
        fitting = [words for words in self.answers if line.startswith(words)]
        if not fitting:
            return None
        found = self.answers[max(fitting, key=len)]
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


def _lines(code: int, lines: Sequence[str]) -> str:
    return "\r\n".join(
        f"{code}{' ' if place == len(lines) - 1 else '-'}{line}" for place, line in enumerate(lines)
    )


@contextlib.contextmanager
def blunt_server(tls: ssl.SSLContext) -> Generator[int]:
    """A server on blocking sockets up to its handshake: OpenSSL then says its alert, which asyncio's drops."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)

        def serve() -> None:
            with contextlib.suppress(OSError):
                line, _ = listening.accept()
                with line:
                    line.settimeout(5)
                    line.sendall(b"220 mx.autre.example\r\n")
                    line.recv(1000)
                    line.sendall(b"250 STARTTLS\r\n".replace(b"250 ", b"250-mx\r\n250 "))
                    line.recv(1000)
                    line.sendall(b"220 Go\r\n")
                    secured = tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
                    with secured:
                        with contextlib.suppress(ssl.SSLError):
                            secured.do_handshake()
                        secured.shutdown(socket.SHUT_WR)
                        raw = socket.socket(fileno=os.dup(secured.fileno()))
                        with raw:  # closed with something unread, TCP would take the alert back
                            raw.settimeout(5)
                            while raw.recv(1000):
                                pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


# --- our side


@dataclass
class Trust:
    """Judges as a test says; remembers what it was asked."""

    standing: PeerStanding = field(default_factory=lambda: ALLOWED)
    domains: set[str] = field(default_factory=lambda: {DOMAIN})
    host: str = ""
    asked: list[tuple[tuple[bytes, ...], str | None]] = field(
        default_factory=list[tuple[tuple[bytes, ...], str | None]]
    )

    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding:
        self.asked.append((tuple(chain), domain))
        return self.standing

    def listed(self, domain: str) -> bool:
        return domain in self.domains

    def host_of(self, domain: str) -> str:
        return self.host


@dataclass
class FakeNames:
    """A name service in memory; None is one that is silent."""

    mx: dict[str, tuple[Exchanger, ...] | None] = field(
        default_factory=dict[str, tuple[Exchanger, ...] | None]
    )
    hosts: dict[str, tuple[str, ...] | None] = field(default_factory=dict[str, tuple[str, ...] | None])
    asked: list[str] = field(default_factory=list[str])

    async def exchangers(self, domain: str) -> tuple[Exchanger, ...]:
        self.asked.append(f"MX {domain}")
        return self._known(self.mx.get(domain, ()))

    async def addresses(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        return self._known(self.hosts.get(host, ("127.0.0.1",)))

    @staticmethod
    def _known(found: tuple[T, ...] | None) -> tuple[T, ...]:
        if found is None:
            raise NamesFailed
        return found


def letter(*recipients: str | OutgoingRecipient, **changes: object) -> Leaving:
    made = tuple(
        one if isinstance(one, OutgoingRecipient) else OutgoingRecipient(one)
        for one in recipients or (f"b@{DOMAIN}",)
    )
    plain = Leaving(1, "ref-1", "a@ici.mssante.example", made, len(LETTER))
    return replace(plain, **changes)  # type: ignore[arg-type]


@dataclass
class Contents:
    """The queue's `content`: counts how often it was opened."""

    octets: bytes = LETTER
    error: Exception | None = None
    opened: int = 0

    async def __call__(self) -> bytes:
        self.opened += 1
        if self.error is not None:
            raise self.error
        return self.octets


@dataclass
class Side:
    """Our side, and a peer beside it."""

    peer: Peer
    client: SmtpClient
    trust: Trust
    contents: Contents
    pki: Pki

    async def elsewhere(self, port: int) -> Outcome:
        """A letter to a server on this port."""
        given = {**SETTINGS, "routes": {DOMAIN: f"127.0.0.1:{port}"}}
        client = SmtpClient(
            OutboundSettings.model_validate(given), "mx.ici.example", self.trust, self.pki.ours(), FakeNames()
        )
        (outcome,) = await client.hand_over(DOMAIN, letter(), self.contents)
        await client.close()
        return outcome

    async def send(self, leaving: Leaving | None = None) -> list[Outcome]:
        async with asyncio.timeout(120):
            return list(await self.client.hand_over(DOMAIN, leaving or letter(), self.contents))

    async def send_one(self, leaving: Leaving | None = None) -> Outcome:
        (outcome,) = await self.send(leaving)
        return outcome


Start = Callable[..., Awaitable[Side]]
SETTINGS: dict[str, object] = {
    "inside": ["127.0.0.0/8", "::1/128"],
    "connect_seconds": 10.0,
    "reply_seconds": 10.0,
    "content_seconds": 10.0,
    "idle_seconds": 5.0,
}


def asked(address: str, notify: Notify = Notify.NONE, orcpt: str = "") -> OutgoingRecipient:
    return OutgoingRecipient(address, notify, orcpt)
