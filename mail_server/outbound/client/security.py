"""TLS towards other operators: our certificate shown, theirs verified, and what of it is judged.

Invariants: TLS 1.2 at least, ECDHE with AES-GCM or ChaCha20 (reference/mssante.md §9, row 11); the chain must end at
the configured authorities and name server use; the host's name is not compared, for the trust list says which
certificate stands for which domain; no session is resumed, for a resumed one would carry a certificate past its
revocation; a failure has a slug, never library text.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mail_server.accounts.handshakes import cause_of

_DER = 2  # ENCODING_DER of _ssl, which 3.11 does not name
_PEER_ALERTS = {
    "CERTIFICATE_REQUIRED": "our-certificate-refused",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "our-certificate-refused",
    "SSLV3_ALERT_BAD_CERTIFICATE": "our-certificate-refused",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our-certificate-refused",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "our-certificate-refused",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "our-certificate-refused",
    "TLSV1_ALERT_UNKNOWN_CA": "our-certificate-refused",
    "TLSV1_ALERT_ACCESS_DENIED": "our-certificate-refused",
    "UNSUPPORTED_PROTOCOL": "tls-version",
    "TLSV1_ALERT_PROTOCOL_VERSION": "tls-version",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "tls-suites",
    "WRONG_VERSION_NUMBER": "tls-garbage",
}


class PeerSecurity:
    """The context of all handshakes to others. Raises OSError (ssl.SSLError included) for files it cannot use."""

    def __init__(self, certificate: Path, key: Path, authorities: Path) -> None:
        self._files = (certificate, key, authorities)
        self._context = _context(certificate, key, authorities)

    @property
    def context(self) -> ssl.SSLContext:
        return self._context

    def reload(self) -> None:
        """Read the files again, for handshakes from now on. Raises OSError; then the old ones stay."""
        self._context = _context(*self._files)


def _context(certificate: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it asks for a certificate, of a server's purpose
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.load_verify_locations(authorities)
    context.load_cert_chain(certificate, key)
    return context


def chain_of(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """DER, the leaf first: the chain that was verified, as far as this Python gives it."""
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    verified = _verified(tls)
    return verified if verified and verified[0] == leaf else (leaf,)


def _verified(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    # Public from Python 3.13 on; before, only OpenSSL's object inside knows the chain.
    holder: Any = tls if hasattr(tls, "get_verified_chain") else getattr(tls, "_sslobj", None)
    ask = getattr(holder, "get_verified_chain", None)
    if ask is None:
        return ()
    found = cast("Iterable[Any]", ask() or ())
    return tuple(one if isinstance(one, bytes) else cast(bytes, one.public_bytes(_DER)) for one in found)


def for_servers(leaf: bytes) -> bool:
    """Whether the certificate itself names server use: OpenSSL takes one that names none for any."""
    try:
        usages = (
            x509.load_der_x509_certificate(leaf)
            .extensions.get_extension_for_class(x509.ExtendedKeyUsage)
            .value
        )
    except (ValueError, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in usages


def failure_of(error: BaseException) -> str:
    """Why a handshake failed, or a connection ended inside TLS."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError):
        return _PEER_ALERTS.get(error.reason or "", "tls-protocol")
    return cause_of(error)
