"""TLS of the two roads: contexts, the peer's certificate, why a handshake failed.

Invariants: TLS 1.2 with four suites, or TLS 1.3 (reference of the trust space); a certificate is asked of
every peer, and one that does not verify ends the handshake; sessions are not resumed, so a certificate is
checked each time; a certificate is believed only when the context did verify it.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Road
from mail_server.smtp.services import Services, SessionEvent

SHUTDOWN_SECONDS = 5.0

_TLS12_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256"
)

# OpenSSL's verification results (X509_V_ERR_*), as slugs for the audit.
_CAUSES = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-self-signed",
    19: "chain-foreign",
    20: "chain-foreign",
    21: "chain-incomplete",
    23: "certificate-revoked",
    26: "certificate-wrong-purpose",
    79: "chain-foreign",
}


def server_context(certificate: Path, key: Path, trust: Path | None) -> ssl.SSLContext:
    """A server's context.

    `trust`: PEM authorities that client certificates must chain to; None: ask for none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    if trust is not None:
        context.load_verify_locations(trust)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """The peer's certificate in DER, when TLS is up and its chain was verified."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject) or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    return tls.getpeercert(binary_form=True)


def cause_of(error: BaseException) -> str:
    """Why a handshake failed, as a slug; library text stays out."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CAUSES.get(error.verify_code, f"certificate-refused-{error.verify_code}")
    if isinstance(error, ssl.SSLError):
        return "tls-protocol"
    return "connection-lost"


def plain_address(address: str) -> str:
    """An IPv4 peer of a dual-stack socket is shown as IPv4."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def report_failed_handshake(services: Services, road: Road, peer: Peer, error: OSError) -> None:
    """Audit a certificate or a TLS version that was refused;

    a port scan that just hangs up is only counted.
    """
    services.counters.handshakes_failed += 1
    cause = cause_of(error)
    services.event(SessionEvent(peer.session, road, "handshake-failed", cause))
    if isinstance(error, ssl.SSLError):
        services.delivery.refused(road, peer, "handshake-failed", (("cause", cause),))
