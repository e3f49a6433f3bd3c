"""The gate of S/MIME certificates: what one must be before it is published for an address.

Invariants: what passes names this address and no other, is meant for encrypting mail, is in time and strong enough;
where authorities are configured it leads to one of them; what is refused is refused with a slug and a fixed sentence.
(RFC 8550 §3, §4.4; RFC 5280 §4.2.1.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from directory.openpgp.certificate import CertificateRefused
from directory.openpgp.gate import LONG_RSA_BITS, MINIMUM_RSA_BITS, SHORT_RSA_UNTIL
from directory.openpgp.packets import Algorithm, Curve, key_identity
from directory.x509.chain import Authorities, leads
from directory.x509.reasons import refusal

T = TypeVar("T", bound=x509.ExtensionType)

MAX_CERTIFICATE = 64 * 1024
_CURVES = {"secp256r1": Curve.P256, "secp384r1": Curve.P384, "secp521r1": Curve.P521}
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Passed:
    """A certificate that passed."""

    fingerprint: str  # SHA-256 of the DER, upper-case hex
    address: str
    data: bytes = field(repr=False)  # DER
    not_before: int  # ms
    not_after: int
    identities: tuple[bytes, ...] = field(repr=False)  # of its key, also as OpenPGP would carry it


def pass_certificate(data: bytes, address: str, at: int, authorities: Authorities | None = None) -> Passed:
    """Check a certificate (DER, or PEM with its intermediates behind it) for an address. Raises CertificateRefused."""
    certificate, above = _read(data)
    address = address.lower()
    names = addresses_of(certificate)
    if address not in names:
        raise refusal("address-of-another")
    if len(names) > 1:
        raise refusal("several-addresses")
    not_before, not_after = _ms(certificate.not_valid_before_utc), _ms(certificate.not_valid_after_utc)
    if at >= not_after:
        raise refusal("expired")
    if at < not_before:
        raise refusal("not-yet-valid")
    if reason := _weakness(certificate, at) or _misuse(certificate):
        raise refusal(reason)
    if authorities is not None and not leads(certificate, above, authorities, at):
        raise refusal("unknown-authority")
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Passed(
        fingerprint=hashlib.sha256(der).hexdigest().upper(),
        address=address,
        data=der,
        not_before=not_before,
        not_after=not_after,
        identities=_identities(certificate),
    )


def addresses_of(certificate: x509.Certificate) -> frozenset[str]:
    """Those of the subject's alternative names, and of the subject where it has one (RFC 8550 §3), lower case."""
    found = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)]
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return frozenset()
    alternative = names.get_values_for_type(x509.RFC822Name)
    return frozenset(one.lower() for one in (*found, *alternative)) if alternative else frozenset()


def _read(data: bytes) -> tuple[x509.Certificate, Sequence[x509.Certificate]]:
    """The certificate, and what the file holds to lead it to its authority."""
    if len(data) > MAX_CERTIFICATE:
        raise refusal("too-large")
    if b"PRIVATE KEY-----" in data:
        raise refusal("secret-key-offered")
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
        for one in found:
            _ = one.extensions  # read here once, so that nothing below can find it unreadable
        return found[0], found[1:]
    except _UNREADABLE:
        raise refusal("not-a-certificate") from None


def _weakness(certificate: x509.Certificate, at: int) -> str:
    try:
        key = certificate.public_key()
        hashed = certificate.signature_hash_algorithm
    except _UNREADABLE:
        return "unreadable-by-common-programs"
    if isinstance(hashed, _WEAK_HASHES):
        return "weak-key"
    if isinstance(key, rsa.RSAPublicKey):
        wanted = MINIMUM_RSA_BITS if at // 1000 < SHORT_RSA_UNTIL else LONG_RSA_BITS
        numbers = key.public_numbers()
        return "" if key.key_size >= wanted and numbers.e > 1 and numbers.e % 2 else "weak-key"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "" if key.curve.name in _CURVES else "weak-key"
    return "unreadable-by-common-programs"  # signs only, or is of a kind that no common program encrypts to


def _misuse(certificate: x509.Certificate) -> str:
    """Why it is not one to encrypt a person's mail to."""
    basic = _extension(certificate, x509.BasicConstraints)
    if basic is not None and basic.ca:
        return "authority"
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    wanted = {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if extended is not None and not wanted & set(extended):
        return "not-for-mail"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None:
        return ""
    # RFC 8550 §4.4.2: RSA transports the key, curves agree on it.
    is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    return "" if (usage.key_encipherment if is_rsa else usage.key_agreement) else "not-for-encryption"


def _identities(certificate: x509.Certificate) -> tuple[bytes, ...]:
    """What names the key whatever it is dressed in: an OpenPGP key of the same numbers is the same key."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return (key_identity(Algorithm.RSA, None, (_octets(numbers.n), _octets(numbers.e))),)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    curve = _CURVES[key.curve.name]
    return tuple(key_identity(one, curve, (point,)) for one in (Algorithm.ECDH, Algorithm.ECDSA))


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _ms(when: datetime) -> int:
    return round(when.astimezone(UTC).timestamp() * 1000)


__all__ = ["Authorities", "CertificateRefused", "Passed", "addresses_of", "pass_certificate"]
