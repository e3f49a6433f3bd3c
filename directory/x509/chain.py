"""Whether a certificate leads to an authority that is configured, by those that came with it.

Invariant: each step is a signature that was verified here, by a certificate that says it is an authority and is in
time; no step is taken twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

_LONGEST = 8


@dataclass(frozen=True, slots=True)
class Authorities:
    anchors: tuple[x509.Certificate, ...] = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> Authorities:
        """Raises OSError, ValueError."""
        return cls(tuple(x509.load_pem_x509_certificates(file.read_bytes())))


def leads(
    certificate: x509.Certificate, above: Sequence[x509.Certificate], authorities: Authorities, at: int
) -> bool:
    """To one of the authorities, through any of those `above`."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    left = list(above)
    current = certificate
    for below in range(_LONGEST):
        if any(_issued(current, anchor, below, when) for anchor in authorities.anchors):
            return True
        step = next((one for one in left if _issued(current, one, below, when)), None)
        if step is None:
            return False
        left.remove(step)
        current = step
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int, when: datetime) -> bool:
    """`below`: authorities between the certificate at the end and this issuer."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    if not issuer.not_valid_before_utc <= when < issuer.not_valid_after_utc:
        return False
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not basic.ca or (basic.path_length is not None and basic.path_length < below):
            return False
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid
    except ValueError:
        return False
