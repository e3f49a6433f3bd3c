"""What is asked of a provider over the network: under its own authorities, bounded in time and size, never led away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from deploy.demo.pki import Organisation, TestAuthority
from deploy.node.https import Listener, WebServer, application
from mail_server.accounts.oidc.http import ProviderHttp
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings

Handler = Callable[[Request], Awaitable[Response]]


def settings(tmp_path: Path, base: str, **more: object) -> ProviderSettings:
    secret = tmp_path / "secret"
    secret.write_text("à garder: %&+")
    return ProviderSettings.model_validate(
        {"name": "psc", "issuer": base, "client_id": "nœud", "client_secret_file": secret, **more}
    )


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    routes = APIRouter()
    routes.add_api_route("/x", handler, methods=["GET", "POST"])
    server = WebServer(application([routes]), Listener("127.0.0.1", 0, tls))
    await server.start()
    try:
        yield f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{server.port}"
    finally:
        await server.stop()


async def refusal(base: str, provider: ProviderSettings, timeout: float = 2.0) -> str:
    http = ProviderHttp(provider, OidcSettings(timeout=timeout))
    try:
        with pytest.raises(TokenRefused) as caught:
            await http.get(f"{base}/x")
        assert caught.value.temporary
        return caught.value.reason
    finally:
        await http.close()


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []

    async def away(request: Request) -> Response:
        asked.append(request.url.path)
        return RedirectResponse("/x?again")

    async with served(away) as base:
        http = ProviderHttp(settings(tmp_path, base), OidcSettings())
        answer = await http.get(f"{base}/x")
        await http.close()
    assert (answer.status, answer.ok, len(asked)) == (307, False, 1)


async def test_an_answer_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async def long(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield bytes(64 * 1024)

        return StreamingResponse(pieces())

    async with served(long) as base:
        assert await refusal(base, settings(tmp_path, base)) == "provider-unreachable"


async def test_an_answer_that_drips_is_refused_in_time(tmp_path: Path) -> None:
    async def drips(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(1200):
                await asyncio.sleep(0.05)
                yield b" "

        return StreamingResponse(pieces())

    async with served(drips) as base, asyncio.timeout(50):
        assert await refusal(base, settings(tmp_path, base), 0.3) == "provider-unreachable"


async def test_nobody_there(tmp_path: Path) -> None:
    base = "http://127.0.0.1:9"
    assert await refusal(base, settings(tmp_path, base)) == "provider-unreachable"


async def test_an_address_that_is_not_safe_is_not_asked(tmp_path: Path) -> None:
    provider = settings(tmp_path, "http://127.0.0.1:9")
    assert await refusal("http://198.51.100.1", provider) == "provider-unreachable"


@pytest.mark.parametrize("said", [b"", b"[]", b"<html>", b"\xff", b'"x"', b"[" * 100_000])
async def test_what_is_no_object_says_nothing(tmp_path: Path, said: bytes) -> None:
    async def rubbish(_: Request) -> Response:
        return Response(said, media_type="application/json")

    async with served(rubbish) as base:
        http = ProviderHttp(settings(tmp_path, base), OidcSettings())
        answer = await http.get(f"{base}/x")
        await http.close()
    assert dict(answer.said) == {}


async def test_the_client_proves_itself_as_rfc_6749_spells_it(tmp_path: Path) -> None:
    """§2.3.1: both parts are form-encoded before they are joined."""
    seen: list[str] = []

    async def token(request: Request) -> Response:
        seen.append(request.headers["authorization"])
        return Response(b"{}")

    async with served(token) as base:
        http = ProviderHttp(settings(tmp_path, base), OidcSettings())
        await http.post(f"{base}/x", {"a": "b"})
        await http.close()
    assert seen == ["Basic biVDNSU5M3VkOiVDMyVBMCUyMGdhcmRlciUzQSUyMCUyNSUyNiUyQg=="]


async def test_neither_secret_nor_answer_shows_in_a_repr(tmp_path: Path) -> None:
    async def token(_: Request) -> Response:
        return Response(b'{"access_token": "tres-secret"}')

    async with served(token) as base:
        http = ProviderHttp(settings(tmp_path, base), OidcSettings())
        answer = await http.post(f"{base}/x", {})
        await http.close()
    assert answer.said["access_token"] == "tres-secret"
    assert "tres-secret" not in repr(answer)


async def test_over_tls_only_the_authorities_named_for_it_count(tmp_path: Path) -> None:
    async def hello(_: Request) -> Response:
        return Response(b'{"hello": 1}')

    authority = TestAuthority.create()
    ca = authority.write(tmp_path / "pki")
    leaf = authority.issue_server("localhost", Organisation.with_finess("Essai", 1, "Loire (42)")).write(
        tmp_path, "provider"
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(leaf.certificate, leaf.key)
    async with served(hello, tls) as base:
        http = ProviderHttp(settings(tmp_path, base, ca=ca), OidcSettings())
        assert (await http.get(f"{base}/x")).said["hello"] == 1
        await http.close()
        assert await refusal(base, settings(tmp_path, base)) == "provider-unreachable"
