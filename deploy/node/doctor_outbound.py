"""What `doctor` says of the certificate that this node shows to other operators when it hands letters over,
and of where others may lead it.

Invariant: it reads files; it asks nobody.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.node.config import Config
from deploy.node.finding import Finding
from mail_server.outbound.client.security import PeerSecurity

_SUBJECT, _REACH = "outbound certificate", "outbound reach"
_OF_THIS_MACHINE = [
    ipaddress.ip_network(one) for one in ("127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8", "::/127", "fe80::/10")
]
_PEERS_PORTS = (443, 8443)
_WARN_DAYS = 30


def outbound_findings(settings: Config) -> Iterator[Finding]:
    """Nothing where no letter leaves."""
    outbound, policies, tls = settings.outbound, settings.policies, settings.tls
    listed = policies.trust_list is not None or policies.trust_list_url
    if not (outbound.enabled and listed):
        return
    certificate, key = outbound.certificate or tls.certificate, outbound.key or tls.key
    if certificate is None or key is None or tls.client_ca is None:
        yield Finding(
            _SUBJECT, "failed", "No letter leaves: certificate, key and client_ca in [tls] are needed."
        )
        return
    try:
        PeerSecurity(certificate, key, tls.client_ca)
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError):
        yield Finding(
            _SUBJECT,
            "failed",
            f"{certificate}, its key, or {tls.client_ca} cannot be read, or do not belong together.",
        )
        return
    left = (end := leaf.not_valid_after_utc) - dt.datetime.now(dt.UTC)
    if not _for_clients(leaf):
        words = f"{certificate} is not for clients (TLS client authentication): others refuse it."
        yield Finding(_SUBJECT, "failed", f"{words} Set certificate and key in [outbound].")
    elif left < dt.timedelta():
        yield Finding(_SUBJECT, "failed", f"{certificate} expired on {end:%Y-%m-%d}: renew it.")
    elif left < dt.timedelta(days=_WARN_DAYS):
        yield Finding(_SUBJECT, "warning", f"{certificate} expires on {end:%Y-%m-%d}: renew it.")
    else:
        yield Finding(_SUBJECT, "good", f"Valid until {end:%Y-%m-%d}: {leaf.subject.rfc4514_string()}.")


def reach_findings(settings: Config) -> Iterator[Finding]:
    """Where names of other operators may lead us to."""
    if not settings.outbound.enabled:
        return
    here, ours = list[str](), list[str]()
    for one in settings.outbound.inside:
        network = ipaddress.ip_network(one)
        of_this_machine = any(
            network.version == each.version and network.overlaps(each) for each in _OF_THIS_MACHINE
        )
        (here if of_this_machine else ours).append(one)
    if here:
        yield Finding(
            _REACH,
            "failed",
            f"{', '.join(here)} (outbound.inside): another operator can have us connect to this machine itself. That "
            "is for a bench; take it out where real letters are.",
        )
    if ours:
        yield Finding(
            _REACH,
            "warning",
            f"Names of other operators may lead into {', '.join(ours)} (outbound.inside): let nothing else stand there "
            "on the ports of mail and HTTPS.",
        )
    if not settings.web.peers_port or settings.web.peers_port in _PEERS_PORTS:
        return
    yield Finding(
        _REACH,
        "warning",
        f"web.peers_port is {settings.web.peers_port}: other operators ask at 443 or 8443 alone, unless they name it "
        "(outbound.peers_ports).",
    )


def _for_clients(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))
