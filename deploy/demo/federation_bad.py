"""An operator that does not keep to the rules: a server that spoils what others hand over to it, and a raw client.

Invariants: it keeps what it was told, in memory alone, so that who looks can say that nothing came in clear; it knows
no way to get a letter but to be handed one.
"""

from __future__ import annotations

import enum
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo import pki

_WEAK = "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0"


class Starttls(enum.Enum):
    """What it makes of STARTTLS."""

    OFFERED = "offered"
    MISSING = "missing"  # EHLO does not name it
    STRIPPED = "stripped"  # as boxes in between do: XXXXXXXA
    REFUSED = "refused"  # 454


@dataclass(slots=True)
class Manners:
    """How it behaves now; changed while it serves."""

    starttls: Starttls = Starttls.OFFERED
    newest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    weak_suites: bool = False
    answers: dict[str, str] = field(default_factory=dict[str, str])
    """By step ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"): the reply instead of a good one."""
    cut_at: str = ""  # the step at which it goes away without a word
    size: int = 0  # SIZE that it announces; 0: none


@dataclass(slots=True)
class Taken:
    """A letter that it was handed."""

    mail_from: str
    recipients: list[str]
    data: bytes = field(repr=False)


class BadServer:
    """An SMTP server of one thread a connection, on 127.0.0.1."""

    def __init__(self, leaf: pki.Leaf, authorities: Path, port: int = 0) -> None:
        self.manners = Manners()
        self.taken: list[Taken] = []
        self.clear: list[str] = []  # commands that came before TLS, but for those that must
        self.connections = 0
        self.refused = 0  # replies of 4yz and 5yz
        self._leaf = leaf
        self._authorities = authorities
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def show(self, leaf: pki.Leaf) -> None:
        """From the next connection on it stands under this certificate."""
        self._leaf = leaf

    def await_letter(self, marker: bytes, seconds: float = 120) -> Taken:
        deadline = time.monotonic() + seconds
        while True:
            for letter in list(self.taken):
                if marker in letter.data:
                    return letter
            if time.monotonic() > deadline:
                raise TimeoutError("the letter did not come")
            time.sleep(0.02)

    def await_connection(self, after: int, seconds: float = 120) -> None:
        """Until somebody has come once more."""
        deadline = time.monotonic() + seconds
        while self.connections <= after:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody came")
            time.sleep(0.02)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(120)
        with suppress(OSError, _Gone):
            _Conversation(self, connection).run()
        with suppress(OSError):
            connection.close()

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_verify_locations(self._authorities)
        made.verify_mode = ssl.CERT_OPTIONAL
        if self.manners.newest_tls < ssl.TLSVersion.TLSv1_2:
            made.minimum_version = ssl.TLSVersion.TLSv1
            made.set_ciphers("ALL:@SECLEVEL=0")
        if self.manners.weak_suites:
            made.maximum_version = ssl.TLSVersion.TLSv1_2
            made.set_ciphers(_WEAK)
        else:
            made.maximum_version = self.manners.newest_tls
        with tempfile.TemporaryDirectory(prefix="vm-bad-") as folder:
            files = self._leaf.write(Path(folder), "bad")
            made.load_cert_chain(files.certificate, files.key)
        return made


class _Gone(Exception):
    """The conversation is over."""


class _Conversation:
    def __init__(self, server: BadServer, connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self._rest = b""
        self._secured = False
        self._mail_from = ""
        self._recipients: list[str] = []

    def run(self) -> None:
        self._say("greeting", "220 mss.mauvais.test ESMTP")
        while True:
            line = self._line()
            word = line.partition(" ")[0].upper()
            if not self._secured and word not in {"EHLO", "STARTTLS", "QUIT", "NOOP", "RSET"}:
                self._server.clear.append(word)
            getattr(self, f"_on_{word.lower()}", self._on_other)(line)

    def _on_ehlo(self, _: str) -> None:
        manners = self._server.manners
        offered = ["mss.mauvais.test", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]
        if manners.size:
            offered.append(f"SIZE {manners.size}")
        if not self._secured and manners.starttls is not Starttls.MISSING:
            offered.append("XXXXXXXA" if manners.starttls is Starttls.STRIPPED else "STARTTLS")
        last = len(offered) - 1
        self._say(
            "EHLO", "\r\n".join(f"250{' ' if at == last else '-'}{word}" for at, word in enumerate(offered))
        )

    def _on_starttls(self, _: str) -> None:
        if self._server.manners.starttls is not Starttls.OFFERED:
            self._put("454 4.7.0 TLS not available")
            return
        self._say("STARTTLS", "220 Go ahead")
        self._socket = self._server.context().wrap_socket(self._socket, server_side=True)
        self._secured = True

    def _on_mail(self, line: str) -> None:
        self._mail_from = line.partition("<")[2].partition(">")[0]
        self._recipients = []
        self._say("MAIL", "250 2.1.0 Ok")

    def _on_rcpt(self, line: str) -> None:
        if self._say("RCPT", "250 2.1.5 Ok").startswith("2"):
            self._recipients.append(line.partition("<")[2].partition(">")[0])

    def _on_data(self, _: str) -> None:
        if not self._recipients:
            self._put("554 5.5.1 No valid recipients")
            return
        if not self._say("DATA", "354 Go on").startswith("3"):
            return
        while b"\r\n.\r\n" not in self._rest:
            self._more()
        content, _end, self._rest = self._rest.partition(b"\r\n.\r\n")
        if self._say("end", "250 2.0.0 Taken").startswith("2"):
            self._server.taken.append(Taken(self._mail_from, self._recipients, content))

    def _on_quit(self, _: str) -> None:
        self._put("221 2.0.0 Bye")
        raise _Gone

    def _on_other(self, _: str) -> None:
        self._put("250 2.0.0 Ok")

    def _say(self, step: str, good: str) -> str:
        manners = self._server.manners
        if manners.cut_at == step:
            raise _Gone
        return self._put(manners.answers.get(step, good))

    def _put(self, reply: str) -> str:
        self._server.refused += reply[:1] in "45"
        self._socket.sendall(reply.encode() + b"\r\n")
        return reply

    def _line(self) -> str:
        while b"\r\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line.decode(errors="replace")

    def _more(self) -> None:
        piece = self._socket.recv(65536)
        if not piece:
            raise _Gone
        self._rest += piece


# -- the client's side ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    words: str  # without the reference

    def __str__(self) -> str:
        return f"{self.code} {self.words}"


class BadClient:
    """An SMTP client that says exactly what it is told."""

    def __init__(self, port: int) -> None:
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._rest = b""
        self.offered: dict[str, str] = {}
        self.read()

    def read(self) -> Reply:
        lines: list[str] = []
        while True:
            while b"\r\n" not in self._rest:
                piece = self._socket.recv(65536)
                if not piece:
                    raise ConnectionError("it closed the connection")
                self._rest += piece
            line, _, self._rest = self._rest.partition(b"\r\n")
            lines.append(line.decode("ascii"))
            if line[3:4] != b"-":
                text = "\n".join(each[4:] for each in lines)
                return Reply(int(line[:3]), text.partition(" (ref ")[0])

    def put(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ask(self, line: str) -> Reply:
        self.put(line.encode() + b"\r\n")
        return self.read()

    def hello(self) -> None:
        told = self.ask("EHLO smtp.mauvais.test").words.splitlines()
        self.offered = {line.partition(" ")[0]: line.partition(" ")[2] for line in told[1:]}

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.ask("STARTTLS")
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")

    def data(self, message: bytes) -> Reply:
        asked = self.ask("DATA")
        if asked.code != 354:
            return asked
        self.put(message + b"\r\n.\r\n")
        return self.read()

    def close(self) -> None:
        self._socket.close()


def client_context(ca: Path, leaf: pki.Leaf | None) -> ssl.SSLContext:
    """As an operator connects; without a certificate where there is none."""
    context = ssl.create_default_context(cafile=str(ca))
    if leaf is not None:
        with tempfile.TemporaryDirectory(prefix="vm-bad-") as folder:
            files = leaf.write(Path(folder), "bad")
            context.load_cert_chain(files.certificate, files.key)
    return context


@contextmanager
def connected(port: int, context: ssl.SSLContext | None) -> Generator[BadClient]:
    """After the greeting and EHLO, under TLS where a context is given. Raises ssl.SSLError, ConnectionError."""
    client = BadClient(port)
    try:
        client.hello()
        if context is not None:
            client.start_tls(context)
            client.hello()
        yield client
    finally:
        client.close()


def attempt(
    port: int,
    context: ssl.SSLContext | None,
    mail_from: str,
    recipient: str,
    data: bytes = b"Subject: x\r\n\r\nx",
    parameters: str = "",
) -> Reply:
    """One letter as far as it gets: the refusal, or the reply to its end."""
    with connected(port, context) as client:
        for line in (f"MAIL FROM:<{mail_from}>{parameters}", f"RCPT TO:<{recipient}>"):
            reply = client.ask(line)
            if reply.code >= 400:
                return reply
        return client.data(data)
