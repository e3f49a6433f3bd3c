"""A hospital's side of its own: settings, spool and a node that a test scripts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.demo import letters, pki
from mail_server.keys.kek import make_kek
from mail_server.reports.sending import Desk
from mail_server.reports.settings import HospitalSettings

SENDER = "dpi@ch.essai.test"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports-pki")
    authority = pki.TestAuthority.create()
    authority.write(folder)
    here = pki.Organisation.with_finess("CH ESSAI", 1, "Rhône (69)")
    authority.issue_server("smtp.essai.test", here).write(folder, "server")
    authority.issue_client("DPI", here).write(folder, "client")
    return folder


@pytest.fixture
def settings(tmp_path: Path, certificates: Path) -> HospitalSettings:
    make_kek(tmp_path / "key" / "spool.key", tmp_path / "spool")
    (tmp_path / "documents").mkdir()
    return HospitalSettings.model_validate(
        {
            "node": {
                "host": "localhost",
                "certificate": certificates / "client.pem",
                "key": certificates / "client.key",
                "authorities": certificates / "ca.pem",
            },
            "account": {"address": SENDER, "name": "CH Essai", "reply_to": "service@ch.essai.test"},
            "establishment": {
                "name": "CH Essai",
                "identifier": "1690000001",
                "author_family_name": "Aurore",
                "author_given_name": "Lise",
                "author_identifier": "899700000001",
            },
            "spool": {"folder": tmp_path / "spool", "key": tmp_path / "key" / "spool.key"},
            "watch": {"folder": tmp_path / "documents", "settle_seconds": 0, "poll_seconds": 0.05},
            "sending": {"first_retry_seconds": 0.05, "connections": 2},
        }
    )


@pytest.fixture
def desk(settings: HospitalSettings) -> Iterator[Desk]:
    made = Desk.open(settings)
    yield made
    made.spool.close()


@pytest.fixture(scope="session")
def pdf() -> bytes:
    return letters.pdf("Compte rendu", 3000)


class ScriptedNode:
    """An SMTP server that answers as told: `reply(recipient, how often it was seen)` after DATA."""

    def __init__(self, reply: Callable[[str, int], str]) -> None:
        self.reply = reply
        self.letters: list[tuple[str, bytes]] = []
        self.seen: dict[str, int] = {}
        self.lines: list[str] = []
        self.rcpt: Callable[[str], str] = lambda _: "250 2.1.5 ok"
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 essai")
        recipient, refused = "", False
        try:
            while line := (await reader.readline()).decode().strip():
                self.lines.append(line)
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    say("250-essai\r\n250-PIPELINING\r\n250 AUTH EXTERNAL")
                elif verb == "AUTH":
                    say("235 2.7.0 ok")
                elif verb == "RCPT":
                    recipient = line.partition("<")[2].rstrip(">")
                    answer = self.rcpt(recipient)
                    refused = not answer.startswith("250")
                    say(answer)
                elif verb == "DATA" and refused:
                    say("503 5.5.1 no recipients")
                elif verb == "DATA":
                    say("354 go on")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    self.seen[recipient] = self.seen.get(recipient, 0) + 1
                    self.letters.append((recipient, data[:-3].replace(b"\r\n..", b"\r\n.")))
                    answer = self.reply(recipient, self.seen[recipient])
                    if not answer:
                        return  # cut before the answer
                    say(answer)
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 2.0.0 ok")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def reports(self) -> list[tuple[str, bytes]]:
        return [one for one in self.letters if not one[0].startswith("suivi@")]


@pytest.fixture
def node(certificates: Path, settings: HospitalSettings):
    @asynccontextmanager
    async def run(
        reply: Callable[[str, int], str] = lambda *_: "250 2.0.0 R1",
    ) -> AsyncIterator[ScriptedNode]:
        made = ScriptedNode(reply)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
        made.port = server.sockets[0].getsockname()[1]
        object.__setattr__(settings.node, "port", made.port)
        try:
            yield made
        finally:
            server.close()

    return run
