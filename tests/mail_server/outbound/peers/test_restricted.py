"""What operators tell each other alone, asked of a server that is sometimes no operator; and answers asked again."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.pki import Organisation, TestAuthority
from mail_server.outbound.client.security import PeerSecurity
from mail_server.outbound.peers.restricted import KEYWORD, PATH, RestrictedDirectory, place_in
from mail_server.outbound.peers.wkd import Silent, lasts_of
from mail_server.outbound.reach import Reach
from policies.interface import PeerStanding
from policies.refusal import Refusal
from tests.mail_server.outbound.peers.conftest import ADDRESS, DOMAIN, Node, Site

NUMBER = f"251036999971119@patient.{DOMAIN}"
OPAQUE = f"k7q2@patient.{DOMAIN}"


@dataclass
class Operator:
    """Its port for other operators; it answers with what it is told to."""

    port: int = 0
    reply: bytes = b""
    asked: list[bytes] = field(default_factory=list[bytes])
    shown: list[bool] = field(default_factory=list[bool])  # whether a certificate was shown, by connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        self.shown.append(tls.getpeercert(binary_form=True) is not None)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")
            )
            self.asked.append(head + await reader.readexactly(length))
            writer.write(self.reply)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        writer.close()

    def says(self, body: object, status: str = "200 OK", more: str = "") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.reply = f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(raw)}\r\n\r\n".encode() + raw


@dataclass
class Trust:
    standing: PeerStanding = field(default_factory=lambda: PeerStanding(True))
    judged: list[str | None] = field(default_factory=list[str | None])

    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding:
        assert chain
        self.judged.append(domain)
        return self.standing

    def listed(self, domain: str) -> bool:
        return True

    def host_of(self, domain: str) -> str:
        return ""


@pytest.fixture
def trust() -> Trust:
    return Trust()


@pytest_asyncio.fixture
async def operator(
    authority: TestAuthority, organisation: Organisation, anchor: Path, tmp_path: Path
) -> AsyncIterator[Operator]:
    files = authority.issue_operator("smtp.peer.example", organisation, local=True).write(
        tmp_path / "op", "op"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(anchor)
    context.verify_mode = ssl.CERT_OPTIONAL
    made = Operator()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
def asking(
    authority: TestAuthority, anchor: Path, tmp_path: Path, operator: Operator, trust: Trust
) -> RestrictedDirectory:
    us = Organisation.with_finess("NOUS", 8, "Loire (42)")
    files = authority.issue_operator("smtp.us.example", us).write(tmp_path / "us", "us")

    async def policy(_domain: str) -> bytes:
        return f"{KEYWORD}: localhost:{operator.port}\n".encode()

    security = PeerSecurity(files.certificate, files.key, anchor)
    return RestrictedDirectory(
        security, trust, policy, seconds=60, ports=[operator.port], reach=Reach(["127.0.0.0/8", "::1/128"])
    )


def told(certificate: bytes, address: str = OPAQUE) -> dict[str, str]:
    return {"address": address, "certificate": base64.b64encode(certificate).decode()}


async def test_the_number_goes_in_the_body_alone_with_our_certificate_shown(
    asking: RestrictedDirectory, operator: Operator, trust: Trust
) -> None:
    operator.says(told(b"certificate"), more="Cache-Control: private, max-age=60\r\n")
    answer = await asking.ask(NUMBER)
    assert (answer.data, answer.named, answer.lasts) == (b"certificate", OPAQUE, 60_000)
    assert operator.shown == [True]
    assert trust.judged == [f"patient.{DOMAIN}"]
    (request,) = operator.asked
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(f"POST {PATH} HTTP/1.1\r\n".encode())
    assert b"2510369" not in head
    assert json.loads(body) == {"address": NUMBER}


@pytest.mark.parametrize(
    ("place", "leads", "reason"),
    [
        ("localhost:{port}", "127.0.0.1", "inside"),
        ("127.0.0.1:{port}", "127.0.0.1", "inside"),
        ("[::1]:{port}", "::1", "inside"),
        ("intranet.peer.example:{port}", "10.0.0.7", "inside"),
        ("169.254.169.254:{port}", "169.254.169.254", "inside"),
        ("mx.peer.example:22", "127.0.0.1", "foreign-port"),
        ("victim.example:{port}", "8.8.8.8", "foreign-host"),
        ("notpeer.example:{port}", "8.8.8.8", "foreign-host"),
        ("8.8.8.8:{port}", "8.8.8.8", "foreign-host"),
    ],
)
async def test_a_policy_file_leads_into_no_network_of_ours_and_to_nobody_else(
    asking: RestrictedDirectory,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    leads: str,
    reason: str,
) -> None:
    async def policy(_domain: str) -> bytes:
        return f"{KEYWORD}: {place.format(port=operator.port)}\n".encode()

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (leads, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asking, "_policy", policy)
    monkeypatch.setattr(asking, "_reach", Reach())
    monkeypatch.setattr(asking, "_names_of", lambda _domain: ("peer.example", "smtp.other.example"))  # pyright: ignore
    with pytest.raises(Silent, match=reason):
        await asking.ask(NUMBER)
    assert operator.shown == []


@pytest.mark.parametrize("host", ["peer.example", "keys.peer.example", "smtp.other.example"])
async def test_the_operator_s_own_names_are_followed(
    asking: RestrictedDirectory, operator: Operator, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    async def policy(_domain: str) -> bytes:
        return f"{KEYWORD}: {host}:{operator.port}\n".encode()

    async def addresses(asked: str, port: int) -> list[str]:
        assert (asked, port) == (host, operator.port)
        return ["127.0.0.1"]

    reach = Reach()
    monkeypatch.setattr(reach, "addresses", addresses)
    monkeypatch.setattr(asking, "_policy", policy)
    monkeypatch.setattr(asking, "_reach", reach)
    monkeypatch.setattr(asking, "_names_of", lambda _domain: ("peer.example", "smtp.other.example"))  # pyright: ignore
    operator.says(told(b"certificate"))
    assert (await asking.ask(NUMBER)).data == b"certificate"


async def test_nothing_is_told_to_who_is_not_listed(
    asking: RestrictedDirectory, operator: Operator, trust: Trust
) -> None:
    trust.standing = PeerStanding(False, reason="certificate-unlisted")
    operator.says(told(b"certificate"))
    with pytest.raises(Silent, match="certificate-unlisted"):
        await asking.ask(NUMBER)
    assert operator.asked == []


async def test_none_is_none(asking: RestrictedDirectory, operator: Operator) -> None:
    operator.says(b"", "404 Not Found")
    assert (await asking.ask(NUMBER)).data == b""


BAD: dict[str, object] = {
    "no JSON": b"{",
    "nested too deeply": b"[" * 100_000,
    "a list": [],
    "no certificate": {"address": OPAQUE},
    "of another domain": told(b"c", "x@mss.other.example"),
    "not base64": {"address": OPAQUE, "certificate": "***"},
    "empty": told(b""),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_an_answer_that_makes_no_sense_is_no_answer(
    asking: RestrictedDirectory, operator: Operator, body: object
) -> None:
    operator.says(body)
    with pytest.raises(Silent, match="protocol"):
        await asking.ask(NUMBER)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ],
    ids=["closed", "no length", "too long", "negative", "two lengths", "cut", "no HTTP", "long head"],
)
async def test_a_server_that_speaks_otherwise_is_silent(
    asking: RestrictedDirectory, operator: Operator, reply: bytes
) -> None:
    operator.reply = reply
    with pytest.raises(Silent):
        await asking.ask(NUMBER)


@pytest.mark.parametrize(
    "line",
    [
        "", "mailbox-only", f"{KEYWORD}:", f"{KEYWORD}: host", f"{KEYWORD}: host:0", f"{KEYWORD}: host:99999",
        f"{KEYWORD}: https://host:8443/", f"x{KEYWORD}: host:8443", f"{KEYWORD}: ho st:8443",
    ],
)  # fmt: skip
def test_a_policy_file_that_does_not_say_where_leads_nowhere(line: str) -> None:
    assert place_in(f"auth-submit\n{line}\n".encode()) is None


def test_a_policy_file_that_says_where_is_understood_among_other_lines() -> None:
    found = place_in(f"mailbox-only\r\n{KEYWORD.upper()}: MX.peer.example:8443\r\n".encode())
    assert found is not None
    assert (found.host, found.port) == ("mx.peer.example", 8443)


@pytest.mark.parametrize(
    ("header", "ms"),
    [("", None), ("public", None), ("max-age=60", 60_000), ("public, MAX-AGE=5", 5_000), ("no-store", 0),
     ("max-age=x", None), ("max-age=99999999999", None)],
)  # fmt: skip
def test_how_long_an_answer_may_be_used_is_read_from_its_header(header: str, ms: int | None) -> None:
    assert lasts_of(header) == ms


# ------------------------------------------------------------------------------- asked again in time


async def test_a_certificate_is_asked_for_again_as_soon_as_its_operator_wants(
    node: Node, site: Site, forge: ModuleType
) -> None:
    made = forge.Forge()
    site.head = b'Cache-Control: public, max-age=60\r\nETag: "one"\r\n'
    site.publish(ADDRESS, made.certificate(ADDRESS))
    assert await node.peers.find(ADDRESS) is not None
    node.pass_time(hours=0.5 / 60)
    assert await node.peers.find(ADDRESS) is not None
    assert len(site.asked) == 1
    node.pass_time(hours=1 / 60)
    site.status = 304
    assert await node.peers.find(ADDRESS) is not None
    assert len(site.asked) == 2
    assert node.peers.counters.unchanged == 1


async def test_a_revocation_at_another_operator_is_heard_of_within_two_minutes(
    node: Node, site: Site, forge: ModuleType, revoked: Callable[[Any, str], bytes]
) -> None:
    made = forge.Forge()
    site.head = b"Cache-Control: public, max-age=60\r\n"
    site.publish(ADDRESS, made.certificate(ADDRESS))
    assert await node.peers.find(ADDRESS) is not None
    site.publish(ADDRESS, revoked(made, ADDRESS))
    node.pass_time(hours=2 / 60)
    with pytest.raises(Refusal, match="revoked"):
        await node.peers.find(ADDRESS)
