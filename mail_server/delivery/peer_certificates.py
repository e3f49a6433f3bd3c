"""What certificates are worth at MAIL FROM: another operator's, and the one that a system of ours logged in with.

Invariants: asked anew for each letter, so that what was revoked, blocked or taken off the list since the handshake
counts in a connection that is open; who shows no certificate is the rules' to refuse; what cannot be known now is
refused for the time being, never let in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mail_server.accounts.interface import Identity, Peer
from mail_server.delivery.interface import Road
from policies.interface import PeerTrust
from policies.refusal import Refusal
from policies.trust_list.names import NameRefused, subject_dn
from policies.trust_list.revocation.interface import Finding, NothingToCheckWith, Revocation


class PeerCertificates:
    """Without `trust` other operators are judged by the rules alone."""

    def __init__(
        self,
        trust: PeerTrust | None = None,
        revocation: Revocation | None = None,
        listed: Callable[[str], None] = lambda _address: None,
    ) -> None:
        """`listed` is told the IP address of an operator that stands on the trust list."""
        self._listed = listed
        self._trust = trust
        self._revocation = revocation or NothingToCheckWith()

    async def require(self, road: Road, mail_from: str, peer: Peer, identity: Identity | None) -> None:
        """Raises Refusal."""
        if peer.certificate is None:
            return
        if road is Road.OPERATOR:
            await self._require_operator(peer.certificate, mail_from)
            if self._trust is not None:
                self._listed(peer.address)
        elif identity is not None and identity.mechanism == "EXTERNAL":
            await self._require_system(peer.certificate)

    async def _require_operator(self, certificate: bytes, mail_from: str) -> None:
        if self._trust is None:
            return
        if not for_clients(certificate):
            raise _refusal(
                "Your certificate is not one for client authentication",
                "certificate-not-for-clients",
                temporary=False,
            )
        domain = mail_from.rpartition("@")[2].lower() or None  # None: the null sender
        standing = await self._trust.judge([certificate], domain)
        if not standing.allowed:
            raise _refusal(standing.sentence, standing.reason, temporary=standing.temporary)

    async def _require_system(self, certificate: bytes) -> None:
        finding = await self._revocation.look([certificate])
        if finding is Finding.REVOKED:
            raise _refusal("Your certificate is revoked", "certificate-revoked", temporary=False)
        if finding is Finding.UNKNOWN:
            words = "It cannot be known now whether your certificate is revoked, try again later"
            raise _refusal(words, "revocation-unknown", temporary=True)


def named(peer: Peer) -> str:
    """How the trace names who shows this certificate, which TLS has verified; "" for nobody."""
    if peer.certificate is None:
        return ""
    try:
        return f"operator:{subject_dn(peer.certificate)}"
    except NameRefused:
        return ""


@lru_cache(maxsize=1024)
def for_clients(certificate: bytes) -> bool:
    """Whether it names client use (RFC 5280 §4.2.1.12): OpenSSL takes one that names no use for any."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        return (
            ExtendedKeyUsageOID.CLIENT_AUTH in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
    except (ValueError, x509.ExtensionNotFound):
        return False


def _refusal(sentence: str, reason: str, *, temporary: bool) -> Refusal:
    """RFC 3463 §3.8 (X.7.1): not authorised to deliver."""
    return Refusal(451, "4.7.1", sentence, reason) if temporary else Refusal(550, "5.7.1", sentence, reason)
