"""What the test authority says of its certificates: lists of revocation of every kind, and a responder's answers.

Invariants: signed by the authority itself, or by a delegate that it certified for this; each way in which the real ones
have been met, or could be forged, can be made; nothing here is ever trusted outside tests and demonstration.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.demo.pki import DAY, TestAuthority

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of revocation to be made. `base`: it is a delta on the list of that number."""

    revoked: tuple[int, ...] = ()  # serial numbers
    restored: tuple[int, ...] = ()  # of a delta: revoked no more
    number: int | None = 1
    base: int | None = None
    published: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    valid: dt.timedelta = 7 * DAY
    part: x509.IssuingDistributionPoint | None = None
    more: x509.ExtensionType | None = None  # a critical extension


def revocation_list(authority: TestAuthority, wanted: ListOf, *, of_root: bool = False) -> bytes:
    """In DER, of the intermediate or of the root."""
    issuer = authority.root if of_root else authority.intermediate
    key = authority.root_key if of_root else authority.intermediate_key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(wanted.published)
        .next_update(wanted.published + wanted.valid)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if wanted.number is not None:
        builder = builder.add_extension(x509.CRLNumber(wanted.number), critical=False)
    if wanted.base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(wanted.base), critical=True)
    if wanted.part is not None:
        builder = builder.add_extension(wanted.part, critical=True)
    if wanted.more is not None:
        builder = builder.add_extension(wanted.more, critical=True)
    for serial in wanted.revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder(serial, wanted.published).build()
        )
    for serial in wanted.restored:
        entry = x509.RevokedCertificateBuilder(serial, wanted.published).add_extension(
            x509.CRLReason(x509.ReasonFlags.remove_from_crl), critical=False
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class ResponderState(enum.Enum):
    """How a responder is found by who asks it."""

    ANSWERS = "answers"
    EXPIRED = "expired"
    FUTURE = "future"
    UNKNOWN = "unknown"
    TRY_LATER = "try-later"
    RUBBISH = "rubbish"
    FOREIGN = "foreign"  # signed by an authority of another chain
    UNENTITLED = "unentitled"  # signed by a leaf that may not answer
    ANOTHER = "another"  # about another certificate
    ANOTHER_NONCE = "another-nonce"


class Responder:
    """Answers about the leaves of one authority (RFC 6960)."""

    def __init__(self, authority: TestAuthority, *, delegated: bool = False) -> None:
        self._authority = authority
        self._foreign = TestAuthority.create(label="ETRANGERE")
        self._delegate = _delegate(authority, entitled=True) if delegated else None
        self._unentitled = _delegate(authority, entitled=False)
        self.revoked: set[int] = set()
        self.state = ResponderState.ANSWERS
        self.asked = 0
        self.ahead = dt.timedelta()  # of the machine's clock

    def answer(self, request: bytes) -> bytes:
        self.asked += 1
        if self.state is ResponderState.RUBBISH:
            return b"<html>maintenance</html>"
        if self.state is ResponderState.TRY_LATER:
            return ocsp.OCSPResponseBuilder.build_unsuccessful(
                ocsp.OCSPResponseStatus.TRY_LATER
            ).public_bytes(Encoding.DER)
        return self._said(ocsp.load_der_ocsp_request(request)).public_bytes(Encoding.DER)

    def _said(self, asked: ocsp.OCSPRequest) -> ocsp.OCSPResponse:
        now = dt.datetime.now(dt.UTC) + self.ahead
        begun = {ResponderState.EXPIRED: now - 3 * DAY, ResponderState.FUTURE: now + DAY}.get(self.state, now)
        serial = asked.serial_number + (self.state is ResponderState.ANOTHER)
        revoked = asked.serial_number in self.revoked
        status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        if self.state is ResponderState.UNKNOWN:
            status = ocsp.OCSPCertStatus.UNKNOWN
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            serial,
            asked.hash_algorithm,
            status,
            begun - _HOUR,
            begun + DAY,
            begun - _HOUR if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        )
        nonce = _nonce(asked)
        if self.state is ResponderState.ANOTHER_NONCE:
            nonce = b"another question"
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        signer, key = self._signer()
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
        if signer not in (self._authority.intermediate, self._foreign.intermediate):
            builder = builder.certificates([signer])
        return builder.sign(key, hashes.SHA256())

    def _signer(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        if self.state is ResponderState.FOREIGN:
            return self._foreign.intermediate, self._foreign.intermediate_key
        if self.state is ResponderState.UNENTITLED:
            return self._unentitled
        return self._delegate or (self._authority.intermediate, self._authority.intermediate_key)


def _nonce(asked: ocsp.OCSPRequest) -> bytes | None:
    try:
        return asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None


def _delegate(
    authority: TestAuthority, *, entitled: bool
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of the intermediate, made to answer in its name, or not."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    usage = ExtendedKeyUsageOID.OCSP_SIGNING if entitled else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "REPONDEUR TEST")]))
        .issuer_name(authority.intermediate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    return builder.sign(authority.intermediate_key, hashes.SHA256()), key


def serials(certificates: Iterable[x509.Certificate]) -> tuple[int, ...]:
    return tuple(each.serial_number for each in certificates)
