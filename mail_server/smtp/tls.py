"""TLS as the door sees it: which contexts it takes, the peer's certificate, why a handshake failed.

Invariants: a certificate is believed only when the context did verify it; it is verified at each handshake, for
sessions are not resumed by ticket; port 25 does not open with a context that verifies none; the audit has a slug
for each failure, never library text.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from mail_server.accounts.handshakes import cause_of
from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Road
from mail_server.smtp.services import Services, SessionEvent

SHUTDOWN_SECONDS = 5.0


def checked(tls: Mapping[Road, ssl.SSLContext]) -> Mapping[Road, ssl.SSLContext]:
    """Contexts fit for the two roads. Raises ValueError when one is missing, or asks operators for nothing."""
    missing = [road.value for road in Road if road not in tls]
    if missing:
        raise ValueError(f"no TLS context for: {', '.join(missing)}")
    if tls[Road.OPERATOR].verify_mode is ssl.CERT_NONE:
        raise ValueError("the TLS context of port 25 must verify client certificates")
    for context in tls.values():
        # A ticket would carry a certificate past its revocation or the authority's withdrawal.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return dict(tls)


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """The peer's certificate in DER, when TLS is up and its chain was verified."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject) or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    return tls.getpeercert(binary_form=True)


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
