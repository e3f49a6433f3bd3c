"""The node's HTTP side: strict headers, signals left alone, certificates replaced while it serves."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from fastapi import APIRouter, Request

from deploy.demo.pki import Organisation, TestAuthority
from deploy.node import https, lifecycle
from deploy.node.https import Listener, WebServer, application
from deploy.node.tls import ReplaceableContext

OPERATOR = Organisation.with_siret("GRADES DES TROIS VALLEES", 7, "Ain (01)")
AUTHORITY = TestAuthority.create()


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/hello")
    async def hello() -> str:
        return "bonjour"

    @routes.get("/fault")
    async def fault() -> str:
        raise RuntimeError("secret detail")

    @routes.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    return routes


def tls(directory: Path, name: str) -> ssl.SSLContext:
    files = AUTHORITY.issue_server(name, OPERATOR).write(directory, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.fixture
async def plain() -> AsyncIterator[WebServer]:
    server = WebServer(application([router()]), Listener("127.0.0.1", 0))
    await server.start()
    yield server
    await server.stop()


def trusting(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(AUTHORITY.write(directory)))


async def ask(
    server: WebServer, path: str, *, tls: ssl.SSLContext | None = None, host: str = "mail.example"
) -> tuple[int, dict[str, str], str]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=tls, server_hostname="localhost" if tls else None
    )
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    status, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


async def common_name(server: WebServer, tls: ssl.SSLContext, name: str | None) -> str:
    tls.check_hostname = False
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls, server_hostname=name or "")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).subject.rfc4514_string().partition(",")[0]


async def test_every_answer_carries_the_strict_headers(plain: WebServer) -> None:
    for path, expected in (("/hello", 200), ("/nowhere", 404), ("/fault", 500)):
        status, headers, _ = await ask(plain, path)
        assert status == expected
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


async def test_an_answer_to_a_fault_and_its_log_line_tell_no_content(
    plain: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await ask(plain, "/fault"))[2] == "Internal Server Error"
    assert "a route failed: RuntimeError at test_https.py:" in caplog.text
    assert "secret detail" not in caplog.text
    assert (await ask(plain, "/nowhere"))[2] == "404 Not Found\n"


async def test_nothing_but_the_routers_is_served(plain: WebServer) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/hello/"):
        assert (await ask(plain, path))[0] == 404


async def test_https_tells_browsers_to_stay_on_https_but_not_for_localhost(tmp_path: Path) -> None:
    server = WebServer(application([router()]), Listener("127.0.0.1", 0, tls(tmp_path, "mail.example")))
    await server.start()
    try:
        _, headers, _ = await ask(server, "/hello", tls=trusting(tmp_path))
        assert headers["strict-transport-security"] == "max-age=31536000"
        _, headers, _ = await ask(server, "/hello", tls=trusting(tmp_path), host=f"localhost:{server.port}")
        assert "strict-transport-security" not in headers
    finally:
        await server.stop()


async def test_plain_http_does_not_speak_of_https(plain: WebServer) -> None:
    assert "strict-transport-security" not in (await ask(plain, "/hello"))[1]


@pytest.mark.parametrize("name", ["localhost", None])
async def test_a_new_certificate_serves_the_handshakes_that_follow(tmp_path: Path, name: str | None) -> None:
    replaceable = ReplaceableContext(tls(tmp_path, "first.example"))
    server = WebServer(application([router()]), Listener("127.0.0.1", 0, replaceable.front))
    await server.start()
    try:
        client = trusting(tmp_path)
        assert await common_name(server, client, name) == "CN=first.example"
        replaceable.use(tls(tmp_path, "second.example"))
        assert await common_name(server, client, name) == "CN=second.example"
    finally:
        await server.stop()


async def test_signals_stay_with_the_node() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]

    before = handlers()
    server = WebServer(application([router()]), Listener("127.0.0.1", 0))
    await server.start()
    during = handlers()
    await server.stop()
    assert before == during == handlers()


async def test_a_taken_port_is_an_oserror_and_leaves_nothing_open(plain: WebServer) -> None:
    with pytest.raises(OSError, match="in use"):
        await WebServer(application([]), Listener("127.0.0.1", plain.port)).start()


async def test_after_stop_the_port_is_closed() -> None:
    server = WebServer(application([router()]), Listener("127.0.0.1", 0))
    await server.start()
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await ask(server, "/hello")


def test_plain_http_is_refused_beyond_this_machine() -> None:
    with pytest.raises(ValueError, match="this machine only"):
        Listener("0.0.0.0", 0)


async def test_a_peer_that_never_finishes_its_request_is_cut(
    plain: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "HEAD_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"GET /hello HTTP/1.1\r\nHost: ")
    with pytest.raises(ConnectionResetError):
        raise_if_cut(await asyncio.wait_for(reader.read(), 60))
    writer.close()


async def test_a_head_without_end_is_cut(plain: WebServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"GET /hello HTTP/1.1\r\n" + b"X: " + b"a" * (https.MAX_HEAD_BYTES + 1))
    with pytest.raises(ConnectionResetError):
        raise_if_cut(await asyncio.wait_for(reader.read(), 60))
    writer.close()


async def test_a_head_that_is_too_long_is_cut_also_when_it_comes_whole(plain: WebServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(40))
    writer.write(b"GET /hello HTTP/1.1\r\nHost: mail.example\r\n" + fields + b"\r\n")
    with pytest.raises(ConnectionResetError):
        raise_if_cut(await asyncio.wait_for(reader.read(), 60))
    writer.close()


async def test_a_body_that_comes_with_its_head_does_not_count_as_head(plain: WebServer) -> None:
    """A busy node reads both at once."""
    body = b"x" * (4 * https.MAX_HEAD_BYTES)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    head = "POST /length HTTP/1.1\r\nHost: mail.example\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(str(len(body)).encode())
    writer.close()


def raise_if_cut(answer: bytes) -> None:
    """An aborted connection reads as reset or as end, by timing."""
    assert answer == b""
    raise ConnectionResetError


async def test_rubbish_is_answered_and_logged_nowhere(
    plain: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"\x16\x03\x01 not http\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert (await ask(plain, "/hello"))[0] == 200


def test_routes_are_made_before_anybody_asks() -> None:
    router = APIRouter()
    router.add_api_route("/there", lambda: None)
    app = application([router])
    made = getattr(app, "_app").routes  # noqa: B009 - of another class
    assert all(getattr(route, "_effective_candidates", [route]) for route in made)


async def test_a_port_that_is_taken_is_named() -> None:
    first = WebServer(application([]), Listener("127.0.0.1", 0))
    await first.start()
    try:
        with pytest.raises(OSError, match=f"'127.0.0.1', {first.port}") as taken:
            await WebServer(application([]), Listener("127.0.0.1", first.port)).start()
        assert lifecycle.network_words(taken.value).startswith(
            f"Port {first.port} is taken by another program"
        )
    finally:
        await first.stop()
