"""Requests to one provider, over TLS under its own authorities: short, bounded, and never led elsewhere.

Invariants: no redirect is followed, no proxy of the environment used, no cookie kept; an answer has a clock and a
size; whatever goes wrong is one refusal without a word of what was sent or received.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import httpx

from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings, is_safe_url

_LARGEST = 256 * 1024
_OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    said: Mapping[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        return self.status == _OK

    @property
    def error(self) -> str:
        """RFC 6749 §5.2: why the provider refuses."""
        told = self.said.get("error")
        return told if isinstance(told, str) else ""


class ProviderHttp:
    def __init__(
        self,
        provider: ProviderSettings,
        settings: OidcSettings,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Reads the secret and the certificates. Raises OSError, ssl.SSLError, ValueError."""
        self._provider = provider
        self._secret = _secret(provider)
        self._timeout = settings.timeout
        self._turns = asyncio.Semaphore(settings.connections)
        self._client = httpx.AsyncClient(
            verify=_tls(provider),
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            limits=httpx.Limits(max_connections=settings.connections, keepalive_expiry=30),
            headers={"accept": "application/json", "user-agent": "vaguemestre"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, url: str, bearer: str = "") -> Answer:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return await self._send("GET", url, headers, None)

    async def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """As this client: RFC 6749 §2.3.1 (Basic), or the certificate of the connection (RFC 8705 §2)."""
        client = self._provider.client_id
        if self._secret is None:
            return await self._send("POST", url, {}, {"client_id": client, **form})
        basic = httpx.BasicAuth(quote(client, safe=""), quote(self._secret, safe=""))
        return await self._send("POST", url, {}, form, basic)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
        auth: httpx.Auth | None = None,
    ) -> Answer:
        if not is_safe_url(url):
            raise unreachable()
        try:
            # httpx counts each step of an answer apart: a peer that drips has a clock over all of it, too.
            async with self._turns, asyncio.timeout(self._timeout):
                return await self._exchange(
                    self._client.build_request(method, url, headers=headers, data=form), auth
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError, RecursionError):
            raise unreachable() from None

    async def _exchange(self, request: httpx.Request, auth: httpx.Auth | None) -> Answer:
        response = await self._client.send(request, auth=auth, stream=True)
        try:
            received = bytearray()
            async for piece in response.aiter_bytes():
                received += piece
                if len(received) > _LARGEST:
                    raise unreachable()
        finally:
            await response.aclose()
        self._client.cookies.clear()
        return Answer(response.status_code, _object(bytes(received)))


def unreachable() -> TokenRefused:
    return TokenRefused("provider-unreachable", temporary=True)


def _object(data: bytes) -> Mapping[str, Any]:
    """What is no JSON object says nothing: an empty one."""
    try:
        loaded: object = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", loaded) if isinstance(loaded, dict) else {}


def _secret(provider: ProviderSettings) -> str | None:
    if provider.client_secret_file is None:
        return None
    secret = provider.client_secret_file.read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError(f"{provider.client_secret_file} is empty")
    return secret


def _tls(provider: ProviderSettings) -> ssl.SSLContext:
    if provider.issuer.startswith("http:") and provider.ca is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # on this machine, without TLS: no authority counts
    else:
        context = ssl.create_default_context(cafile=str(provider.ca) if provider.ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if provider.client_certificate is not None:
        context.load_cert_chain(provider.client_certificate, provider.client_key)
    return context
