"""SMTP as a hospital's system speaks it: TLS, its client certificate, SASL EXTERNAL, commands in one write.

A client of our own, small: what the market offers sends MAIL, RCPT and DATA one by one, three round trips each night
five thousand times, and reads no more than one answer for them (RFC 2920).

Invariants: nothing is said before TLS stands and the node's certificate was checked; a letter counts as taken on the
final 250 alone; whatever is cut before it is sent again as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mail_server.reports.settings import NodeSection

T = TypeVar("T")
_LINE = 8192
_ANSWER_LINES = 100
_CHUNK = 256 * 1024


# What ends a connection: the network, TLS, silence, an end in the middle, lines without end, replies that are none.
_BROKEN = (OSError, ssl.SSLError, TimeoutError, EOFError, asyncio.LimitOverrunError, ValueError)


class NotReached(Exception):
    """The node cannot be talked to now: tried again later. The text says why, in a few words."""


class Unwelcome(NotReached):
    """The node does not let this system in: an administrator must look."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node says to one letter."""

    code: int
    text: str = field(default="", repr=False)  # a refusal may name the address

    @property
    def taken(self) -> bool:
        return self.code // 100 == 2

    @property
    def temporary(self) -> bool:
        return self.code // 100 == 4


def client_context(node: NodeSection) -> ssl.SSLContext:
    """TLS 1.2 at least, the node's name checked, this system's certificate shown. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=str(node.authorities) if node.authorities else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(node.certificate, node.key)
    return context


class Connection:
    """One connection to the node."""

    def __init__(self, node: NodeSection, context: ssl.SSLContext, name: str, seconds: float) -> None:
        self._node, self._context, self._name, self._seconds = node, context, name, seconds
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._keywords: set[str] = set()

    @property
    def open(self) -> bool:
        return self._writer is not None

    async def connect(self) -> None:
        """Raises NotReached, Unwelcome."""
        await self._bounded(self._connect(), "no connection")

    async def _connect(self) -> None:
        at_once = None if self._node.start_tls else self._context
        self._reader, self._writer = await asyncio.open_connection(
            self._node.host, self._node.port, ssl=at_once, limit=_LINE
        )
        await self._expect(220)
        await self._hello()
        if self._node.start_tls:
            await self._command(b"STARTTLS", 220)
            # What an attacker appended in clear before TLS must not be read as said inside (CVE-2011-0411).
            if self._reader._buffer:  # type: ignore[attr-defined]  # asyncio shows it by no other name
                raise NotReached("something was said before TLS stood")
            await self._writer.start_tls(self._context, server_hostname=self._node.host)
            await self._hello()
        answer = await self._say(b"AUTH EXTERNAL =")  # RFC 4422 appendix A: whoever the certificate names
        if answer.code != 235:
            self.drop()
            raise Unwelcome(f"the node does not know this certificate ({answer.code})")

    async def _hello(self) -> None:
        answer = await self._command(b"EHLO " + self._name.encode("ascii", "replace"), 250)
        self._keywords = {line.split(" ")[0].upper() for line in answer.text.splitlines()[1:]}

    async def send(self, sender: str, recipient: str, message: bytes) -> Answer:
        """One letter to one recipient. Raises NotReached when the connection broke before the answer."""
        return await self._bounded(self._send(sender, recipient, message), "cut")

    async def _bounded(self, work: Coroutine[Any, Any, T], words: str) -> T:
        """Whatever breaks the connection ends it, and is one error."""
        try:
            async with asyncio.timeout(self._seconds):
                return await work
        except _BROKEN as failure:
            self.drop()
            raise NotReached(f"{words} ({type(failure).__name__})") from None

    async def _send(self, sender: str, recipient: str, message: bytes) -> Answer:
        mail = f"MAIL FROM:<{sender}> BODY=8BITMIME SIZE={len(message)}".encode("ascii")
        commands = [mail, f"RCPT TO:<{recipient}>".encode("ascii"), b"DATA"]
        if any(b"\r" in one or b"\n" in one for one in commands):
            raise ValueError("an address with a line break")
        if "PIPELINING" in self._keywords:
            self._write(b"\r\n".join(commands) + b"\r\n")  # RFC 2920 §3.1: DATA ends the group
            answers = [await self._answer() for _ in commands]
        else:
            answers = list[Answer]()
            for command in commands:
                answers.append(await self._say(command))
                if answers[-1].code // 100 not in (2, 3):
                    break
        refused = next((one for one in answers if one.code // 100 in (4, 5)), None)
        if refused is not None:
            if answers[-1].code == 354:  # it goes on without a recipient: RFC 2920 §3.1, send nothing
                await self._say(b".")
            if refused.code == 421:
                self.drop()
            else:
                await self._say(b"RSET")
            return refused
        if answers[-1].code != 354:
            raise ValueError("an answer that is none")
        await self._body(message)
        answer = await self._answer()
        if answer.code == 421:
            self.drop()
        return answer

    async def _body(self, message: bytes) -> None:
        stuffed = message.replace(b"\r\n.", b"\r\n..")  # RFC 5321 §4.5.2
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        assert self._writer is not None
        for at in range(0, len(stuffed), _CHUNK):
            self._writer.write(stuffed[at : at + _CHUNK])
            await self._writer.drain()
        self._writer.write(b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
        await self._writer.drain()

    async def quit(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await self._say(b"QUIT")
        self.drop()

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    # -- lines

    async def _command(self, line: bytes, code: int) -> Answer:
        answer = await self._say(line)
        if answer.code != code:
            raise NotReached(f"the node said {answer.code}")
        return answer

    async def _expect(self, code: int) -> None:
        answer = await self._answer()
        if answer.code != code:
            raise NotReached(f"the node said {answer.code}")

    async def _say(self, line: bytes) -> Answer:
        self._write(line + b"\r\n")
        return await self._answer()

    def _write(self, octets: bytes) -> None:
        if self._writer is None:
            raise ConnectionResetError
        self._writer.write(octets)

    async def _answer(self) -> Answer:
        """RFC 5321 §4.2.1: lines of one reply, the last with a space after its code."""
        if self._reader is None:
            raise ConnectionResetError
        lines: list[str] = []
        for _ in range(_ANSWER_LINES):
            raw = await self._reader.readuntil(b"\n")
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if len(line) < 3 or not line[:3].isdigit():
                raise ValueError("not a reply")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Answer(int(line[:3]), "\n".join(lines))
        raise ValueError("a reply without end")
