"""TLS contexts of the doors.

Invariants: TLS 1.2 at least; a client certificate is asked for on the SMTP roads and, when shown, must chain to
the configured authorities, else the handshake ends (DESIGN §6); no session tickets are kept across a reload.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from deploy.node.config import TlsSettings
from deploy.node.failures import StartError
from mail_server.accounts.channel_binding import BoundContext


def server_context(settings: TlsSettings, *, ask_client: bool) -> ssl.SSLContext:
    """Raises StartError with the file and what is wrong with it."""
    if settings.certificate is None or settings.key is None:
        raise StartError("No TLS certificate: set `certificate` and `key` in the [tls] section.")
    context = BoundContext(ssl.PROTOCOL_TLS_SERVER)  # it knows its certificate, for SCRAM-SHA-256-PLUS
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except FileNotFoundError as error:
        raise StartError(
            f"TLS certificate or key not found: {error.filename or settings.certificate}"
        ) from None
    except (ssl.SSLError, PermissionError) as error:
        raise StartError(
            f"TLS certificate {settings.certificate} and key {settings.key} cannot be used: {_why(error)}"
        ) from None
    if ask_client:
        if settings.client_ca is None:
            raise StartError(
                "No authority for client certificates: set `client_ca` in the [tls] section, or close port smtp."
            )
        load_authorities(context, settings.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        # A ticket would carry a certificate past its revocation or the authority's withdrawal.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def load_authorities(context: ssl.SSLContext, file: Path) -> None:
    """Raises StartError."""
    try:
        context.load_verify_locations(file)
    except OSError:  # not there, not readable, or no certificates in it
        raise StartError(f"Client authorities {file} cannot be read.") from None


def _why(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or type(error).__name__
    apart = error.reason == "KEY_VALUES_MISMATCH"
    return "they do not belong together" if apart else "one of them is no PEM file, or damaged"


class ReplaceableContext:
    """A context to listen with for good, whose handshakes use the current one.

    A loop keeps the context it listens with, and a port that closes for a new certificate refuses people.
    OpenSSL asks for the context of each handshake anyway, with or without a server name.
    """

    def __init__(self, current: ssl.SSLContext) -> None:
        """What the first context asks of clients, a later one cannot change: OpenSSL keeps it from `front`."""
        self._current = current
        self.front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.front.minimum_version = ssl.TLSVersion.TLSv1_2
        self.front.options |= current.options | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self.front.verify_mode = current.verify_mode
        self.front.verify_flags |= current.verify_flags
        self.front.num_tickets = current.num_tickets

        def hand_over(
            connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
        ) -> None:
            connection.context = self._current

        self.front.sni_callback = hand_over

    def use(self, context: ssl.SSLContext) -> None:
        """Handshakes from now on use `context`; open connections go on."""
        self._current = context


def own_certificate(file: Path) -> ssl.SSLContext:
    """Trusts exactly the node's certificate, whoever issued it: it is reached by an address it need not name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(file)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
