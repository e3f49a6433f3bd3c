"""Lists of revocation (RFC 5280 §5): read, verified, and asked for a serial number.

Invariants: a list counts only under the signature of a configured authority of its issuer's name that may sign
lists; one whose number goes back, that is dated after today, or that says something not understood here (a critical
extension, an indirect list, a part of the reasons) is refused and the one before stays; what a list says is revoked
is revoked even when the list has expired, and what an expired list does not name is not known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from policies.trust_list.revocation.chain import Authorities, IssuerKey, Link, key_of
from policies.trust_list.revocation.interface import Finding

LARGEST = 64 * 1024 * 1024
_SKEW_MS = 300_000  # between the authorities' clocks and ours
_MOST = 16  # lists in one file
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
    }
)
_log = logging.getLogger("vaguemestre.policies")


class ListUnusable(Exception):
    """A list of revocation that must not be used. `reason` is a slug, the text is for administrators."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Scope:
    """Which certificates of its issuer a list is about (RFC 5280 §5.2.5), and whether it is a delta."""

    leaves: bool
    authorities: bool
    delta: bool
    points: frozenset[str] = (
        frozenset()
    )  # addresses of the part of its issuer's certificates, when it is a part

    def covers(self, link: Link) -> bool:
        if not (self.authorities if link.is_authority else self.leaves):
            return False
        return not self.points or bool(self.points & _points_of(link.certificate))


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list, read and verified."""

    issuer: IssuerKey
    issuer_name: str
    scope: Scope
    number: int | None
    base: int | None  # of a delta: the number of the whole list that it builds on, at least
    this_update: int  # ms UTC
    next_update: int  # ms UTC
    revoked: frozenset[int] = field(repr=False)
    restored: frozenset[int] = field(default=frozenset(), repr=False)  # of a delta: revoked no more

    def older_than(self, other: RevocationList) -> bool:
        if self.number is not None and other.number is not None:
            return self.number < other.number
        return self.this_update < other.this_update


def read(data: bytes, authorities: Authorities, now: int) -> list[RevocationList]:
    """Every list of a file, DER or PEM. Raises ListUnusable."""
    if len(data) > LARGEST:
        raise ListUnusable("too-large", "The file is larger than any list of revocation.")
    found = [_verified(each, authorities, now) for each in _parsed(data)]
    if not found:
        raise ListUnusable("ill-formed", "The file holds no list of revocation.")
    return found


def _parsed(data: bytes) -> Iterator[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----"
    try:
        if end not in data:
            yield x509.load_der_x509_crl(data)
            return
        blocks = data.split(end)[:_MOST]
        for block in blocks:
            if b"-----BEGIN X509 CRL-----" in block:
                yield x509.load_pem_x509_crl(block + end + b"\n")
    except (ValueError, UnsupportedAlgorithm):
        raise ListUnusable("ill-formed", "The file holds no list of revocation.") from None


def _verified(crl: x509.CertificateRevocationList, authorities: Authorities, now: int) -> RevocationList:
    issuer = _signer(crl, authorities)
    if crl.next_update_utc is None:
        raise ListUnusable("without-end", "The list does not say until when it holds.")
    this_update = int(crl.last_update_utc.timestamp() * 1000)
    if this_update > now + _SKEW_MS:
        raise ListUnusable("future", "The list is dated after today.")
    try:
        scope, number, base = _about(crl)
        revoked, restored = _entries(crl, scope.delta)
    except ValueError:
        raise ListUnusable("ill-formed", "The list cannot be read to its end.") from None
    return RevocationList(
        key_of(issuer),
        issuer.subject.rfc4514_string(),
        scope,
        number,
        base,
        this_update,
        int(crl.next_update_utc.timestamp() * 1000),
        revoked,
        restored,
    )


def _signer(crl: x509.CertificateRevocationList, authorities: Authorities) -> x509.Certificate:
    candidates = authorities.named(crl.issuer)
    if not candidates:
        raise ListUnusable("issuer-unknown", "The list comes from an authority that is not configured here.")
    for issuer in candidates:
        try:
            # A public key that can issue certificates can verify a signature.
            if _may_sign(issuer) and crl.is_signature_valid(issuer.public_key()):  # pyright: ignore[reportArgumentType]
                return issuer
        except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
            continue
    raise ListUnusable("signature", "The signature of the list is not that of its authority.")


def _may_sign(issuer: x509.Certificate) -> bool:
    """RFC 5280 §4.2.1.3: where a key's usage is told, cRLSign must be part of it."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _about(crl: x509.CertificateRevocationList) -> tuple[Scope, int | None, int | None]:
    leaves = authorities = True
    points: frozenset[str] = frozenset()
    number = base = None
    for extension in crl.extensions:
        value = extension.value
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise ListUnusable(
                "not-understood", "The list holds a critical part that is not understood here."
            )
        if isinstance(value, x509.CRLNumber):
            number = value.crl_number
        elif isinstance(value, x509.DeltaCRLIndicator):
            base = value.crl_number
        elif isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                raise ListUnusable(
                    "not-understood", "The list speaks for other issuers, or for some reasons only."
                )
            leaves = not value.only_contains_ca_certs
            authorities = not value.only_contains_user_certs
            points = _addresses(value.full_name)
    return Scope(leaves, authorities, base is not None, points), number, base


def _points_of(certificate: x509.Certificate) -> frozenset[str]:
    """Where the certificate says that lists about it are."""
    found: frozenset[str] = frozenset()
    for kind in (x509.CRLDistributionPoints, x509.FreshestCRL):
        try:
            points = certificate.extensions.get_extension_for_class(kind).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        found = found.union(*(_addresses(point.full_name) for point in points))
    return found


def _addresses(names: Iterable[x509.GeneralName] | None) -> frozenset[str]:
    return frozenset(
        str(each.value) for each in names or () if isinstance(each, x509.UniformResourceIdentifier)
    )


def _entries(crl: x509.CertificateRevocationList, delta: bool) -> tuple[frozenset[int], frozenset[int]]:
    if not delta:
        return frozenset(entry.serial_number for entry in crl), frozenset()
    restored = frozenset(entry.serial_number for entry in crl if _is_restored(entry))
    return frozenset(entry.serial_number for entry in crl) - restored, restored


def _is_restored(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl


@dataclass(frozen=True, slots=True)
class Held:
    """What one source gave last."""

    lists: tuple[RevocationList, ...]
    relied_until: int  # ms UTC: the end of the grace without a newer answer of that source


class Book:
    """The lists of all sources, asked for one certificate."""

    def __init__(self) -> None:
        self._sources: dict[str, Held] = {}
        self._of_issuer: dict[IssuerKey, list[tuple[RevocationList, int]]] = {}

    def require_newer(self, source: str, lists: Sequence[RevocationList]) -> None:
        """No list may go back behind the one that is known for the same certificates, nor may a source that spoke of
        some fall silent about them: who holds the wire could give a true list in the place of another.
        Raises ListUnusable.
        """
        about = {(one.issuer.name, one.scope.delta) for one in lists}
        before = self._sources.get(source)
        if before is not None and not {(one.issuer.name, one.scope.delta) for one in before.lists} <= about:
            raise ListUnusable(
                "another-issuer", "The source no longer gives the list of the authority it gave."
            )
        for fresh in lists:
            for known, _ in self._of_issuer.get(fresh.issuer, ()):
                if known.scope == fresh.scope and fresh.older_than(known):
                    raise ListUnusable("older", "The list is older than the one in force.")

    def put(self, source: str, held: Held) -> None:
        self._sources[source] = held
        index: dict[IssuerKey, list[tuple[RevocationList, int]]] = {}
        for each in self._sources.values():
            for one in each.lists:
                index.setdefault(one.issuer, []).append((one, each.relied_until))
        self._of_issuer = index

    def lists(self) -> Iterator[tuple[str, RevocationList]]:
        for source, held in self._sources.items():
            for one in held.lists:
                yield source, one

    def find(self, link: Link, now: int) -> Finding:
        """UNCHECKED: no source has a list of this issuer about such certificates."""
        serial = link.certificate.serial_number
        known = [
            (one, until)
            for one, until in self._of_issuer.get(key_of(link.issuer), ())
            if one.scope.covers(link)
        ]
        whole = [(one, until) for one, until in known if not one.scope.delta]
        if not whole:
            return Finding.UNCHECKED
        last = max(whole, key=lambda each: (each[0].number or 0, each[0].this_update))[0]
        deltas = [one for one, _ in known if _builds_on(one, last)]
        delta = max(deltas, key=lambda one: one.number or 0, default=None)
        if serial in last.revoked and not (delta and serial in delta.restored and now < delta.next_update):
            return Finding.REVOKED
        if delta and serial in delta.revoked:
            return Finding.REVOKED
        usable = any(
            now < one.next_update and now <= until for one, until in whole if not one.older_than(last)
        )
        return Finding.GOOD if usable else Finding.UNKNOWN


def _builds_on(delta: RevocationList, whole: RevocationList) -> bool:
    """RFC 5280 §5.2.4: the whole list is at least the delta's base, and not newer than the delta."""
    if not delta.scope.delta or delta.base is None or whole.number is None:
        return False
    return delta.base <= whole.number and (delta.number is None or delta.number >= whole.number)
