"""Fetching what the authorities publish: the trust list over HTTPS, lists of revocation and answers of responders.

The trust list is not signed: what speaks for it is TLS to a configured host, under the configured authorities alone, by
a certificate whose name is one of those configured. Lists of revocation and responders' answers are signed: they may
come in clear, and are believed by nobody here.

Invariants: no redirect is followed, no proxy of the environment used, no cookie kept; an answer has a clock over all of
it, and a size; the server's name is looked at before a byte of its answer is; no error text holds what was received.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from policies.trust_list import names
from policies.trust_list.listing import LARGEST, ListRefused
from policies.trust_list.names import NameRefused, subject_dn
from policies.trust_list.revocation.interface import Finding, Revocation
from policies.trust_list.space import Fetched

_SECONDS = 60.0
_LONGEST_ETAG = 200
_AGENT = "vaguemestre"
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})


class NotFetched(Exception):
    """Nothing usable came. `reason` is a slug; the text is a sentence for administrators."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    etag: str = ""
    unchanged: bool = False


class ListServer:
    """Implements `space.Fetch` over the network."""

    def __init__(
        self,
        url: str,
        authorities: Path,
        dns: Sequence[str],
        revocation: Revocation,
        seconds: float = _SECONDS,
    ) -> None:
        self._url = url
        self._authorities = authorities
        self._dns = tuple(dns)
        self._revocation = revocation
        self._seconds = seconds

    async def __call__(self, etag: str) -> Fetched:
        """Raises ListRefused: "unreachable", "server-certificate", "server-name", "server-revoked", "redirected"..."""
        try:
            tls = await asyncio.to_thread(anchored_in, self._authorities)
        except (OSError, ValueError):
            raise ListRefused(
                "no-authority", f"The authorities {self._authorities} cannot be read."
            ) from None
        headers = {"if-none-match": etag} if etag else {}
        try:
            answer = await self._ask(tls, headers)
        except NotFetched as failure:
            raise ListRefused(failure.reason, failure.sentence) from None
        return Fetched(None if answer.unchanged else answer.body, answer.etag)

    async def _ask(self, tls: ssl.SSLContext, headers: dict[str, str]) -> Answer:
        async def look(response: httpx.Response) -> None:
            certificate = _certificate_of(response)
            self._require_named(certificate)
            if (finding := await self._revocation.look([certificate])) is Finding.REVOKED:
                raise NotFetched("server-revoked", "The certificate of the list's server is revoked.")
            if finding is Finding.UNKNOWN:
                raise NotFetched(
                    "server-revocation-unknown",
                    "It cannot be known now whether the certificate of the list's server is revoked.",
                )

        return await _fetched("GET", self._url, tls, headers, b"", LARGEST, self._seconds, look)

    def _require_named(self, certificate: bytes) -> None:
        try:
            found = subject_dn(certificate)
        except NameRefused:
            found = ""
        if not any(names.same(found, dn) for dn in self._dns):
            told = f"{found!r}" if found else "no name that can be compared"
            raise NotFetched(
                "server-name", f"The list's server has {told}, which trust_list_dn does not name."
            )


async def fetch_signed(url: str, *, tls: ssl.SSLContext | None, largest: int, seconds: float) -> bytes:
    """What carries its own signature: a list of revocation. Raises NotFetched."""
    return (await _fetched("GET", url, tls, {}, b"", largest, seconds)).body


async def ask_responder(
    url: str,
    request: bytes,
    *,
    tls: ssl.SSLContext | None,
    largest: int,
    seconds: float,
    transport: httpx.AsyncBaseTransport | None = None,
) -> bytes:
    """One question by POST (RFC 6960 appendix A.1). Raises NotFetched, and what `transport` raises of that kind.

    `transport`: connects in our place, and knows `tls`: for an address that nobody here wrote down.
    """
    headers = {"content-type": "application/ocsp-request", "accept": "application/ocsp-response"}
    answer = await _fetched("POST", url, tls, headers, request, largest, seconds, transport=transport)
    return answer.body


def anchored_in(authorities: Path) -> ssl.SSLContext:
    """TLS that trusts these authorities and nobody else. Raises OSError, ssl.SSLError (an OSError), ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(authorities)
    return context


async def _any(response: httpx.Response) -> None:
    del response


async def _fetched(
    method: str,
    url: str,
    tls: ssl.SSLContext | None,
    headers: dict[str, str],
    content: bytes,
    largest: int,
    seconds: float,
    look: Callable[[httpx.Response], Awaitable[None]] = _any,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Answer:
    """`look` sees the answer before its body is read. Raises NotFetched."""
    try:
        # httpx counts each step of an answer apart: a server that drips has a clock over all of it, too.
        async with asyncio.timeout(seconds), _client(tls, seconds, transport) as client:
            # What is compressed could grow past every bound after it was counted.
            wanted = {"accept-encoding": "identity", **headers}
            async with client.stream(method, url, headers=wanted, content=content or None) as response:
                await look(response)
                if response.status_code == HTTPStatus.NOT_MODIFIED and "if-none-match" in headers:
                    return Answer(b"", _etag(response), unchanged=True)
                _require_plain(response, largest)
                body = bytearray()
                async for chunk in response.aiter_raw(65_536):
                    body += chunk
                    if len(body) > largest:
                        raise NotFetched("too-large", "The answer is larger than any of its kind.")
                return Answer(bytes(body), _etag(response))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as failure:
        raise _told(failure, url) from None


def _etag(response: httpx.Response) -> str:
    """What is sent back at the next time; "" for what could not be."""
    etag = response.headers.get("etag", "")
    return etag if len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable() else ""


def _require_plain(response: httpx.Response, largest: int) -> None:
    if response.status_code in _ELSEWHERE:
        raise NotFetched(
            "redirected", "The server sends elsewhere, where nobody follows: correct the address."
        )
    if response.status_code != HTTPStatus.OK:
        raise NotFetched("unreachable", f"The server answers {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotFetched("encoded", "The answer is compressed, which was not asked for.")
    length = response.headers.get("content-length", "")
    if length.isdigit() and len(length) < 20 and int(length) > largest:
        raise NotFetched("too-large", "The answer is larger than any of its kind.")


def without_anchors() -> ssl.SSLContext:
    """For what comes in clear: nobody is trusted by it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _client(
    tls: ssl.SSLContext | None, seconds: float, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=tls if tls is not None else without_anchors(),
        transport=transport,
        timeout=seconds,
        follow_redirects=False,
        trust_env=False,
        headers={"user-agent": _AGENT},
    )


def _certificate_of(response: httpx.Response) -> bytes:
    stream = response.extensions.get("network_stream")
    layer = stream.get_extra_info("ssl_object") if stream is not None else None
    certificate = layer.getpeercert(binary_form=True) if layer is not None else None
    if not isinstance(certificate, bytes):
        raise NotFetched("server-certificate", "The list's server shows no certificate.")
    return certificate


def _told(failure: Exception, url: str) -> NotFetched:
    host = httpx.URL(url).host if url.isprintable() else "the server"
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or "it does not verify"
            return NotFetched("server-certificate", f"The certificate of {host} is not accepted: {why}.")
        cause = cause.__cause__ or cause.__context__
    kind = (
        "it takes too long" if isinstance(failure, TimeoutError | httpx.TimeoutException) else "no connection"
    )
    return NotFetched("unreachable", f"{host} cannot be reached ({kind}).")
