"""Responders (RFC 6960): asked about one certificate, believed under the signature of its issuer or of whom that named.

Invariants: an answer that is not signed, is about another certificate, is not of today, or repeats another question's
nonce is no answer; what is known is told from memory while the answer holds, and asked again behind the answer; a
responder that does not answer costs the first who asks a few seconds, and the others of that moment nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from policies.trust_list.revocation.chain import IssuerKey, Link, issued_by, key_of
from policies.trust_list.revocation.interface import Finding

LARGEST = 64 * 1024
_SKEW_MS = 300_000
_WITHOUT_END_MS = 3_600_000  # how long an answer holds that does not say until when
_SILENCE_MS = 30_000  # how long a responder that did not answer is left alone
_REMEMBERED = 4096
_STILL_ASKED_MS = 86_400_000  # who was not asked about for a day is not asked again
_log = logging.getLogger("vaguemestre.policies")

Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Address and request; the answer. Raises what the network raises, as `NotAnswered`."""


class NotAnswered(Exception):
    """No answer that can be believed. The text is a slug."""


@dataclass(slots=True)
class _Known:
    link: Link
    finding: Finding  # GOOD, REVOKED, UNKNOWN
    until: int  # ms UTC: holds so long
    asked: int  # ms UTC: of the responder
    wanted: int  # ms UTC: by a judgement


@dataclass(slots=True)
class Counters:
    asked: int = 0
    unanswered: int = 0


class Responders:
    def __init__(self, ask: Ask, url: str, *, grace_ms: int, every_ms: int, clock: Callable[[], int]) -> None:
        """`url`: the one to ask about leaves; else the one that each certificate names."""
        self._ask = ask
        self._url = url
        self._grace_ms = grace_ms
        self._every_ms = every_ms
        self._clock = clock
        self._known: dict[tuple[IssuerKey, int], _Known] = {}
        self._under_way: dict[tuple[IssuerKey, int], asyncio.Task[_Known]] = {}
        self.counters = Counters()

    def address(self, link: Link) -> str:
        """Who is asked about this certificate; "" for nobody."""
        return self._url if self._url and not link.is_authority else _named_in(link.certificate)

    async def find(self, link: Link) -> Finding:
        """UNCHECKED: there is nobody to ask. UNKNOWN: no answer holds now."""
        if not self.address(link):
            return Finding.UNCHECKED
        key = (key_of(link.issuer), link.certificate.serial_number)
        known, now = self._known.get(key), self._clock()
        if known is not None:
            known.wanted = now
            if known.finding is Finding.REVOKED or now < known.until:
                return known.finding
        return (await self._asked(key, link, now)).finding

    async def refresh(self) -> None:
        """Ask again about those that somebody wanted to know about lately; one after another."""
        now = self._clock()
        for key, known in list(self._known.items()):
            if now - known.wanted > _STILL_ASKED_MS:
                del self._known[key]
            elif now - known.asked >= self._every_ms:
                await self._asked(key, known.link, known.wanted)

    async def stop(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _asked(self, key: tuple[IssuerKey, int], link: Link, wanted: int) -> _Known:
        """One question at a time about one certificate; everybody waits for the same answer."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._question(key, link, wanted))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _question(self, key: tuple[IssuerKey, int], link: Link, wanted: int) -> _Known:
        self.counters.asked += 1
        now = self._clock()
        before = self._known.get(key)
        try:
            request, nonce = _request(link)
            answer = await self._ask(self.address(link), request)
            finding, until = read(answer, link, nonce, now)
            known = _Known(link, finding, min(until, now + self._grace_ms), now, wanted)
        except NotAnswered as failure:
            self.counters.unanswered += 1
            _log.warning("no answer of a responder (OCSP) that can be believed: %s", failure)
            if before is not None and (before.finding is Finding.REVOKED or now < before.until):
                before.asked = now
                return before
            known = _Known(link, Finding.UNKNOWN, now + _SILENCE_MS, now, wanted)
        if len(self._known) >= _REMEMBERED and key not in self._known:
            self._known.pop(next(iter(self._known)))
        self._known[key] = known
        return known


def _request(link: Link) -> tuple[bytes, bytes]:
    nonce = secrets.token_bytes(16)
    builder = (
        ocsp.OCSPRequestBuilder()
        # RFC 5019 §2.1.1: the hash that every responder knows; it only names the issuer.
        .add_certificate(link.certificate, link.issuer, hashes.SHA1())  # noqa: S303
        .add_extension(x509.OCSPNonce(nonce), critical=False)
    )
    return builder.build().public_bytes(Encoding.DER), nonce


def read(answer: bytes, link: Link, nonce: bytes, now: int) -> tuple[Finding, int]:
    """What it says, and until when it holds. Raises NotAnswered."""
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NotAnswered(f"responder-{response.response_status.name.lower().replace('_', '-')}")
        _require_about(response, link)
        _require_signed(response, link, now)
        _require_nonce(response, nonce)
        until = _until(response, now)
    except (ValueError, UnsupportedAlgorithm):
        raise NotAnswered("ill-formed") from None
    match response.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Finding.GOOD, until
        case ocsp.OCSPCertStatus.REVOKED:
            return Finding.REVOKED, until
        case _:
            return Finding.UNKNOWN, min(until, now + _SILENCE_MS)


def _require_about(response: ocsp.OCSPResponse, link: Link) -> None:
    """RFC 6960 §3.2, 1 and 2: the certificate that was asked about, of that issuer."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        link.certificate, link.issuer, response.hash_algorithm
    )
    asked = builder.build()
    if (
        response.serial_number != link.certificate.serial_number
        or response.issuer_name_hash != asked.issuer_name_hash
        or response.issuer_key_hash != asked.issuer_key_hash
    ):
        raise NotAnswered("about-another-certificate")


def _require_signed(response: ocsp.OCSPResponse, link: Link, now: int) -> None:
    """RFC 6960 §4.2.2.2: by the issuer, or by whom the issuer certified for this alone."""
    if _signed_by(response, link.issuer):
        return
    for delegate in response.certificates:
        if (
            issued_by(delegate, link.issuer)
            and _may_respond(delegate)
            and delegate.not_valid_before_utc.timestamp() * 1000 <= now + _SKEW_MS
            and now <= delegate.not_valid_after_utc.timestamp() * 1000
            and _signed_by(response, delegate)
        ):
            return
    raise NotAnswered("signature")


def _may_respond(delegate: x509.Certificate) -> bool:
    try:
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, signed, algorithm = (
        signer.public_key(),
        response.tbs_response_bytes,
        response.signature_hash_algorithm,
    )
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(response.signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(response.signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(response.signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _require_nonce(response: ocsp.OCSPResponse, nonce: bytes) -> None:
    """RFC 8954: most responders answer from what they signed beforehand, without one."""
    try:
        given = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if given not in (nonce, b"\x04\x10" + nonce):  # as it was sent, or in its own envelope
        raise NotAnswered("nonce-of-another-question")


def _until(response: ocsp.OCSPResponse, now: int) -> int:
    begun = int(response.this_update_utc.timestamp() * 1000)
    if begun > now + _SKEW_MS:
        raise NotAnswered("future")
    ended = response.next_update_utc
    until = int(ended.timestamp() * 1000) if ended is not None else begun + _WITHOUT_END_MS
    if now >= until:
        raise NotAnswered("expired")
    return until


def _named_in(certificate: x509.Certificate) -> str:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    for each in access:
        if each.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            each.access_location, x509.UniformResourceIdentifier
        ):
            address = each.access_location.value
            return address if address.startswith(("http://", "https://")) and len(address) < 500 else ""
    return ""
