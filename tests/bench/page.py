"""A page of 50 letters out of a mailbox of 100,000, by JMAP and by IMAP; and a thousand pages that wait for news.

What is compared: one JMAP request (Email/query and Email/get by back-reference) with what an IMAP client asks for the
same page (FETCH of 50 by sequence number), each on one kept TLS connection, pages drawn at random.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import imaplib
import json
import random
import ssl
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.process import CouldNotRun, Server, settle
from tests.bench.system import RECIPIENTS, Measure, System

MESSAGES = 100_000
PAGE = 50
HOLDER = "p0"
LISTENERS = 1_000
_ITEMS = "(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
# What the page's own list asks for (webmail/ui/src/lib); what is sealed is opened there, from its summary.
_PROPERTIES = [
    *("id", "threadId", "blobId", "mailboxIds", "keywords", "receivedAt", "from", "to", "subject"),
    *("guard", "keyIds", "sealedSummary"),
]
_USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "https://vaguemestre.example/jmap/mail"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a thousand open pages cost."""

    listeners: int
    kilobytes_each: float
    heard_ms: float  # from the last letter's 250 until the last page was told
    cpu_ms: float  # of taking a letter for each account and telling all pages

    def __str__(self) -> str:
        return (
            f"{self.listeners:,} EventSource listeners: {self.kilobytes_each:.0f} kB of memory each; "
            f"a letter to each of {RECIPIENTS} accounts: all told {self.heard_ms:.0f} ms after the last, "
            f"for {self.cpu_ms:.0f} ms of CPU"
        )


def by_imap(system: System, requests: int, messages: int = MESSAGES) -> Measure:
    """Pages of 50 by FETCH, the mailbox selected before the clock starts."""
    imap = imaplib.IMAP4_SSL("localhost", system.imap.port, ssl_context=_unchecked())
    try:
        address = f"{HOLDER}@{system.domain}"
        imap.login(address, system.passwords(address))
        imap.select("INBOX", readonly=True)

        def page(first: int) -> int:
            _, found = imap.fetch(f"{first}:{first + PAGE - 1}", _ITEMS)
            return sum(1 for each in found if each)

        return _measured(system.servers, page, requests, messages)
    finally:
        imap.logout()


def by_jmap(system: System, port: int, requests: int, messages: int = MESSAGES) -> Measure:
    """The same pages by one JMAP request each."""
    address = f"{HOLDER}@{system.domain}"
    jmap = _Jmap(port, address, system.passwords(address))
    try:
        return _measured(system.servers, jmap.page, requests, messages)
    finally:
        jmap.close()


class _Jmap:
    """One kept connection."""

    def __init__(self, port: int, address: str, password: str) -> None:
        self._connection = http.client.HTTPSConnection("localhost", port, context=_unchecked())
        self._headers = {"Authorization": basic(address, password), "Content-Type": "application/json"}
        session = json.loads(self._ask("GET", "/jmap/session"))
        self._account = session["primaryAccounts"][_USING[1]]
        (known,) = self._call(("Mailbox/get", {"ids": None}))
        self._inbox = next(each["id"] for each in known["list"] if each["role"] == "inbox")

    def page(self, first: int) -> int:
        newest = [{"property": "receivedAt", "isAscending": False}]
        asked = {"filter": {"inMailbox": self._inbox}, "sort": newest, "position": first - 1, "limit": PAGE}
        ids = {"resultOf": "c0", "name": "Email/query", "path": "/ids"}
        _, got = self._call(("Email/query", asked), ("Email/get", {"#ids": ids, "properties": _PROPERTIES}))
        return len(got["list"])

    def close(self) -> None:
        self._connection.close()

    def _call(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        named = [
            [name, {"accountId": self._account, **given}, f"c{n}"] for n, (name, given) in enumerate(calls)
        ]
        answer = json.loads(self._ask("POST", "/jmap/api", {"using": _USING, "methodCalls": named}))
        for name, response, _ in answer["methodResponses"]:
            if name == "error":
                raise CouldNotRun(f"JMAP answers {response['type']}")
        return [response for _, response, _ in answer["methodResponses"]]

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        self._connection.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise CouldNotRun(f"{path} answers {answer.status}")
        return content


def _measured(servers: Sequence[Server], page: Callable[[int], int], requests: int, messages: int) -> Measure:
    drawn = random.Random(requests)  # the same pages for everyone
    firsts = [drawn.randrange(1, messages - PAGE) for _ in range(requests)]
    page(firsts[0])
    settle(servers)
    before = [server.cpu_seconds() for server in servers]
    client, began = time.process_time(), time.perf_counter()
    times: list[float] = []
    for first in firsts:
        start = time.perf_counter()
        found = page(first)
        times.append((time.perf_counter() - start) * 1e3)
        if found != PAGE:
            raise CouldNotRun(f"a page held {found} messages")
    wall = time.perf_counter() - began
    client = time.process_time() - client
    settle(servers)
    spent = [
        (server.cpu_seconds() - was) * 1e3 / requests for server, was in zip(servers, before, strict=True)
    ]
    cuts = statistics.quantiles(times, n=100)
    return Measure(
        operations=requests,
        wall_s=wall,
        rate=requests / wall,
        cpu_ms=sum(spent),
        cpu_ms_by_server={server.name: cost for server, cost in zip(servers, spent, strict=True)},
        p50_ms=cuts[49],
        p95_ms=cuts[94],
        p99_ms=cuts[98],
        received_bytes=0,
        client_cpu_ms=client * 1e3 / requests,
    )


def waiting(system: System, port: int, deliver: Callable[[], None], listeners: int = LISTENERS) -> Waiting:
    """Open the listeners, weigh the server, then let a letter come."""
    return asyncio.run(_waiting(system, port, deliver, listeners))


async def _waiting(system: System, port: int, deliver: Callable[[], None], listeners: int) -> Waiting:
    asking = [_listening(system, f"u{number}@{system.domain}") for number in range(RECIPIENTS)]
    streams: list[asyncio.StreamReader] = []
    writers: list[asyncio.StreamWriter] = []
    server = system.servers[0]
    settle(system.servers)
    weight = _resident(server)
    try:
        for number in range(listeners):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=_unchecked())
            writer.write(asking[number % RECIPIENTS])
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise CouldNotRun("the server did not open an event stream: " + head[:60].decode("latin-1"))
            streams.append(reader)
            writers.append(writer)
        await asyncio.sleep(1)
        each = (_resident(server) - weight) / listeners
        spent = server.cpu_seconds()
        told = [asyncio.create_task(_told(stream)) for stream in streams]
        await asyncio.to_thread(deliver)
        began = time.perf_counter()
        await asyncio.wait_for(asyncio.gather(*told), 60)
        heard = (time.perf_counter() - began) * 1e3
        return Waiting(listeners, each, heard, (server.cpu_seconds() - spent) * 1e3)
    finally:
        for writer in writers:
            writer.transport.abort()


def _listening(system: System, address: str) -> bytes:
    """A request for an account's event stream; each account is listened to by several pages."""
    return (
        "GET /jmap/events?types=*&closeafter=no&ping=300 HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {basic(address, system.passwords(address))}\r\nAccept: text/event-stream\r\n\r\n"
    ).encode()


async def _told(stream: asyncio.StreamReader) -> None:
    while b"StateChange" not in await stream.readline():
        if stream.at_eof():
            raise CouldNotRun("an event stream ended")


def _resident(server: Server) -> float:
    """Kilobytes in memory of all the server's processes."""
    total = 0.0
    for pid in server.pids():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += float(line.split()[1])
    return total


def basic(address: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{address}:{password}".encode()).decode()


def _unchecked() -> ssl.SSLContext:
    """The bench's servers have certificates of its own; who they are is not what is measured."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
