"""What a TLS connection can be bound to: the certificate we showed on it (tls-server-end-point, RFC 5929 §4).

Invariant: the hash is that of the very certificate that the connection's context was loaded with, so a connection
opened before a reload stays bound to the certificate it was opened with.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

_REPLACED_BY_SHA256 = frozenset({"md5", "sha1"})
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_READINGS = 3  # a file may be replaced while it is read


class BoundContext(ssl.SSLContext):
    """A server's context that knows the certificate it was given."""

    end_point: bytes | None = None

    def load_cert_chain(
        self,
        certfile: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        keyfile: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        password: Callable[[], str | bytes | bytearray] | str | bytes | bytearray | None = None,
    ) -> None:
        for _ in range(_READINGS):
            before = _first_certificate(certfile)
            super().load_cert_chain(certfile, keyfile, password)
            if _first_certificate(certfile) == before:
                self.end_point = end_point_of(before)
                return
        self.end_point = None  # the file changes all the time: which one was loaded cannot be told


def end_point_of(certificate: bytes) -> bytes | None:
    """The hash of a certificate (PEM or DER) by its own signature's hash; None where that names no single one.

    RFC 5929 §4.1: MD5 and SHA-1 give way to SHA-256; a signature without a hash function of its own (Ed25519)
    has no tls-server-end-point.
    """
    try:
        load = x509.load_pem_x509_certificate if _END in certificate else x509.load_der_x509_certificate
        read = load(certificate)
        algorithm = read.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in _REPLACED_BY_SHA256 else algorithm.name.replace("-", "_")
    try:
        return hashlib.new(name, read.public_bytes(Encoding.DER)).digest()
    except ValueError:
        return None


def of_connection(transport: asyncio.BaseTransport | None) -> bytes | None:
    """What this connection is bound to; None without TLS, or where nobody kept the certificate."""
    layer = transport.get_extra_info("ssl_object") if transport is not None else None
    context = layer.context if isinstance(layer, ssl.SSLObject) else None
    return context.end_point if isinstance(context, BoundContext) else None


def _first_certificate(file: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> bytes:
    """The server's own, as the file says now; intermediate ones follow it."""
    whole = Path(os.fsdecode(file)).read_bytes()
    end = whole.find(_END)
    begin = whole.find(_BEGIN)
    return whole[max(begin, 0) : end + len(_END)] if end >= 0 else b""
