"""Who issued a certificate, up to an authority that this node was told to trust.

TLS has verified the chain already, and does not tell which one it found. It is looked for again among the configured
authorities, the intermediates that this node sends with its own certificate, and what the peer may have sent.

Invariants: each link is verified by its signature, and a path ends at a configured authority or is none; a certificate
that came with a peer is worth nothing until then; bounded in length and in what is remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_LONGEST = 8
_REMEMBERED = 2048
_OFFERED = 8  # certificates of a peer that are looked at


class NotAuthorities(ValueError):
    """A file that was named holds no certificates."""


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate, and the one that issued it."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def is_authority(self) -> bool:
        return _is_authority(self.certificate)


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """What signs: a name alone may have had several keys."""

    name: bytes  # DER
    key: bytes  # SHA-256 of the public key


class Authorities:
    def __init__(self, anchors: Iterable[x509.Certificate], others: Iterable[x509.Certificate] = ()) -> None:
        """`others` are candidates for a path, not where one may end."""
        self._anchors = {_fingerprint(each): each for each in anchors}
        self._by_name: dict[bytes, list[x509.Certificate]] = {}
        for each in {**self._anchors, **{_fingerprint(each): each for each in others}}.values():
            if _is_authority(each):
                self._by_name.setdefault(each.subject.public_bytes(), []).append(each)
        self._paths: dict[bytes, tuple[Link, ...]] = {}

    @classmethod
    def read(cls, anchors: Iterable[Path], others: Iterable[Path] = ()) -> Authorities:
        """From PEM files. Raises OSError, NotAuthorities."""
        return cls(
            (each for path in anchors for each in certificates_in(path)),
            (each for path in others for each in certificates_in(path)),
        )

    def named(self, name: x509.Name) -> Sequence[x509.Certificate]:
        """The authorities of this name, whatever their key."""
        return self._by_name.get(name.public_bytes(), ())

    def path(self, chain: Sequence[bytes]) -> tuple[Link, ...] | None:
        """From the leaf up, each with its issuer; empty for an authority itself; None when no path is found."""
        known = hashlib.sha256(chain[0]).digest()
        if (found := self._paths.get(known)) is not None:
            return found
        try:
            leaf, *offered = (x509.load_der_x509_certificate(each) for each in chain[: _OFFERED + 1])
        except ValueError:
            return None
        found = self._upwards(leaf, offered, set(), _LONGEST)
        if found is not None:
            if len(self._paths) >= _REMEMBERED:
                self._paths.clear()
            self._paths[known] = found
        return found

    def _upwards(
        self, certificate: x509.Certificate, offered: Sequence[x509.Certificate], seen: set[bytes], left: int
    ) -> tuple[Link, ...] | None:
        """`seen`: what was gone through already: a peer may offer certificates that all sign each other."""
        anchored = _fingerprint(certificate) in self._anchors
        if anchored and certificate.issuer == certificate.subject:
            return ()
        if left:
            for issuer in (*self.named(certificate.issuer), *offered):
                if (known := _fingerprint(issuer)) in seen or not issued_by(certificate, issuer):
                    continue
                seen.add(known)
                above = self._upwards(issuer, offered, seen, left - 1)
                if above is not None:
                    return (Link(certificate, issuer), *above)
        return () if anchored else None  # an intermediate may be trusted without its root


def certificates_in(path: Path) -> list[x509.Certificate]:
    """Raises OSError, NotAuthorities."""
    data = path.read_bytes()
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise NotAuthorities(f"{path} holds no certificates") from None


@lru_cache(maxsize=256)
def key_of(issuer: x509.Certificate) -> IssuerKey:
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return IssuerKey(issuer.subject.public_bytes(), hashlib.sha256(key).digest())


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject or not _is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
