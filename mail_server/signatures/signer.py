"""Our own word for what leaves: two DKIM signatures above each letter, RSA-2048 and Ed25519.

RSA stands for those who do not read RFC 8463 yet; a verifier takes either. Invariants: a letter that cannot be signed
does not leave unsigned (`KeyUnavailable`, tried again later); nothing of the letter is kept; the loop is held for the
two signatures alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from mail_server import mime
from mail_server.mime import Field
from mail_server.signatures import canonical
from mail_server.signatures.keyring import KeyRing, SigningPair
from mail_server.signatures.signing import Method, Signed, canonical_fields, covered, dkim_signature

_LARGE = 1 << 16  # octets: hashed in a thread from there on (0.1 ms)
_DAY = 86_400
_PREHASHED = Prehashed(SHA256())
_PADDING = PKCS1v15()


@dataclass(slots=True)
class Counters:
    """For `/metrics`."""

    signed: int = 0
    sealed: int = 0  # ARC sets


class Signer:
    """`sign(wire, domain)`, or `await signed(wire, domain)`: the fields to put above the letter."""

    def __init__(
        self,
        ring: KeyRing,
        domains: Iterable[str],
        clock: Callable[[], int],
        *,
        enabled: bool = True,
        expiry_days: int = 0,
    ) -> None:
        self.ring = ring
        self.domains = tuple(domains)
        self.counters = Counters()
        self._clock = clock
        self._enabled = enabled
        self._expiry = expiry_days * _DAY

    def sign(self, wire: bytes, domain: str) -> bytes:
        """DKIM-Signature fields with their CRLF, for the bytes that go over the wire (CRLF line ends).

        b"" when signing is switched off, and for a domain that is not ours. Blocks for 0.4 ms, and as long as the
        letter takes to be hashed (4 ms each MB); for 20 ms more where the domain's first keys are made.
        Raises KeyUnavailable, OSError.
        """
        if not self._enabled or domain not in self.domains:
            return b""
        now = self._clock()
        pair = self.pair(domain)
        header = mime.header_block(wire)
        hashed = canonical.body_hash(wire, len(header))
        self.counters.signed += 1
        return signatures(mime.fields(header), hashed, domain, pair, now // 1000, self._expiry)

    async def signed(self, wire: bytes, domain: str) -> bytes:
        """The same, from the loop: what takes its time is done in a thread."""
        ready = self.ring.current_if_ready(domain, self._clock()) is not None
        if ready and len(wire) < _LARGE:
            return self.sign(wire, domain)
        return await asyncio.to_thread(self.sign, wire, domain)

    def pair(self, domain: str) -> SigningPair:
        """The keys in use, made now if there are none. Blocks then. Raises KeyUnavailable, OSError."""
        now = self._clock()
        return self.ring.current_if_ready(domain, now) or self.ring.current(domain, now)


def signatures(
    fields: list[Field], body_hash: bytes, domain: str, pair: SigningPair, at: int, expiry: int = 0
) -> bytes:
    names = covered(fields)
    signed = Signed(
        domain, names, canonical_fields(fields, names), body_hash, at, at + expiry if expiry else None
    )
    return b"".join(dkim_signature(signed, method) for method in (by_ed25519(pair), by_rsa(pair)))


def by_rsa(pair: SigningPair) -> Method:
    def sign(digest: bytes) -> bytes:
        return pair.rsa.sign(digest, _PADDING, _PREHASHED)

    return Method("rsa-sha256", pair.rsa_selector, sign)


def by_ed25519(pair: SigningPair) -> Method:
    # RFC 8463 §3: PureEdDSA over the digest, not over the text.
    return Method("ed25519-sha256", pair.ed25519_selector, pair.ed25519.sign)
