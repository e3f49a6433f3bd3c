"""A test PKI with the shapes of the French health PKI: root, intermediate of organisations, leaves.

For the demo and the tests, never for a real node: its authority keys lie in a folder, unprotected.

Invariants: every name and identifier is invented, and identifiers sit in ranges that no authority gives out
(their check digits are right, since software checks them); a subject reads
`CN=<host>,OU=<structure>,O=<name>,ST=<department>,C=FR`; key files are created 0600, never widened;
certificate files hold the leaf and then the intermediate, as TLS sends them; `ca.pem` holds the root alone.
"""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)
AUTHORITY_VALIDITY = 3650 * DAY
LEAF_VALIDITY = 3 * 365 * DAY  # what the health PKI gives
BACKDATED = 4 * 365 * DAY  # so that an expired leaf was once within its authority's validity


# ---------------------------------------------------------------------------------------------- identifiers


def luhn_digit(digits: str) -> str:
    """The digit that makes `digits + digit` pass the Luhn check."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character)
        if position % 2 == 0:  # the digit to come is position zero, so these are the doubled ones
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return str(-total % 10)


def luhn_valid(digits: str) -> bool:
    """Whether the last digit is the Luhn digit of those before."""
    return digits.isascii() and digits.isdigit() and digits[-1] == luhn_digit(digits[:-1])


def invented_finess(number: int) -> str:
    """A FINESS of 9 digits in department 99, which has none; `number` below 1,000,000."""
    stem = f"99{number:06d}"
    return stem + luhn_digit(stem)


def invented_siret(number: int, establishment: int = 1) -> str:
    """A SIRET of 14 digits under an invented SIREN 99999xxxx; both pass the check."""
    siren = f"99999{number:03d}"
    siren += luhn_digit(siren)
    stem = f"{siren}{establishment:04d}"
    return stem + luhn_digit(stem)


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who a certificate speaks for. `structure` is the national identifier: 1+FINESS or 3+SIRET."""

    name: str
    structure: str
    department: str  # "Loire (42)"

    def __post_init__(self) -> None:
        length = {"1": 10, "3": 15}.get(self.structure[:1])
        if len(self.structure) != length or not luhn_valid(self.structure[1:]):
            raise ValueError(f"not a national structure identifier: {self.structure!r}")

    @classmethod
    def with_finess(cls, name: str, number: int, department: str) -> Organisation:
        return cls(name, "1" + invented_finess(number), department)

    @classmethod
    def with_siret(cls, name: str, number: int, department: str) -> Organisation:
        return cls(name, "3" + invented_siret(number), department)

    def subject(self, common_name: str) -> x509.Name:
        """The subject that reads `CN=…,OU=…,O=…,ST=…,C=FR`: RFC 4514 §2.1 runs from last to first."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
                x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, self.department),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.name),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.structure),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )


# ---------------------------------------------------------------------------------------------------- leaves


class Dates(enum.Enum):
    """When a leaf is valid, seen from now."""

    CURRENT = "current"
    EXPIRED = "expired"
    NOT_YET = "not-yet"

    def bounds(self, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        if self is Dates.EXPIRED:
            return now - LEAF_VALIDITY, now - DAY
        if self is Dates.NOT_YET:
            return now + DAY, now + LEAF_VALIDITY
        return now - dt.timedelta(hours=1), now + LEAF_VALIDITY


@dataclass(frozen=True, slots=True)
class LeafFiles:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate of an organisation with its key and what TLS must send above it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    @property
    def dn(self) -> str:
        """The subject as text, as a trust list shows it."""
        return self.certificate.subject.rfc4514_string()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def chain_pem(self) -> bytes:
        return b"".join(_pem(certificate) for certificate in (self.certificate, *self.above))

    def write(self, directory: Path, name: str) -> LeafFiles:
        """Write `<name>.pem` (leaf, then intermediate) and `<name>.key` into `directory`."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = LeafFiles(directory / f"{name}.pem", directory / f"{name}.key")
        files.certificate.write_bytes(self.chain_pem)
        _write_key(files.key, self.key)
        return files


def self_signed(common_name: str, organisation: Organisation, names: Iterable[str] = ()) -> Leaf:
    """A certificate nobody vouches for: right subject, no chain."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = organisation.subject(common_name)
    bounds = Dates.CURRENT.bounds(_now())
    usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = _leaf_builder(subject, subject, key.public_key(), key.public_key(), bounds, usages, names)
    return Leaf(builder.sign(key, hashes.SHA256()), key)


# ------------------------------------------------------------------------------------------------- authority


@dataclass(frozen=True, slots=True)
class TestAuthority:
    """A root, the intermediate it vouches for, and the leaves the intermediate signs.

    A second authority (`create(label="ETRANGERE")`) is a foreign chain.
    """

    __test__ = False  # its name makes pytest curious

    root: x509.Certificate
    root_key: ec.EllipticCurvePrivateKey = field(repr=False)
    intermediate: x509.Certificate
    intermediate_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, label: str = "VAGUEMESTRE") -> TestAuthority:
        """A new authority; names have the shape of the national ones, and say that they are a test."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        root_name = _authority_name(f"AC RACINE TEST {label} ELEMENTAIRE")
        root = _authority_certificate(root_name, root_name, root_key, root_key, path_length=1)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _authority_name(f"AC TEST {label} ELEMENTAIRE ORGANISATIONS")
        return cls(root, root_key, _authority_certificate(name, root_name, key, root_key, path_length=0), key)

    def issue_server(
        self,
        host: str,
        organisation: Organisation,
        *,
        names: Iterable[str] = (),
        dates: Dates = Dates.CURRENT,
    ) -> Leaf:
        """A server of this machine: `host`, `names`, localhost, 127.0.0.1 and ::1."""
        everywhere = (host, *names, "localhost", "127.0.0.1", "::1")
        return self._issue(host, organisation, (ExtendedKeyUsageOID.SERVER_AUTH,), everywhere, dates)

    def issue_client(
        self, common_name: str, organisation: Organisation, *, dates: Dates = Dates.CURRENT
    ) -> Leaf:
        """What a hospital's system shows when it hands mail in (ORG AUTH_CLI)."""
        return self._issue(common_name, organisation, (ExtendedKeyUsageOID.CLIENT_AUTH,), (), dates)

    def issue_operator(
        self,
        host: str,
        organisation: Organisation,
        *,
        names: Iterable[str] = (),
        dates: Dates = Dates.CURRENT,
        local: bool = False,
    ) -> Leaf:
        """What a mail operator shows both ways (SERV SSL). `local`: also valid for this machine's names."""
        usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        everywhere = (host, *names, "localhost", "127.0.0.1", "::1") if local else (host, *names)
        return self._issue(host, organisation, usages, everywhere, dates)

    def revocation_list(self, revoked: Iterable[Leaf] = ()) -> bytes:
        """The intermediate's CRL in PEM, valid a week."""
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.intermediate.subject)
            .last_update(now)
            .next_update(now + 7 * DAY)
            .add_extension(_key_identifier_of(self.intermediate_key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        )
        for leaf in revoked:
            entry = x509.RevokedCertificateBuilder(leaf.certificate.serial_number, now)
            builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(self.intermediate_key, hashes.SHA256())
        return crl.public_bytes(serialization.Encoding.PEM)

    def write(self, directory: Path) -> Path:
        """Write the authority into `directory`, keys included; returns `ca.pem`, which clients trust."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        anchor = directory / "ca.pem"
        anchor.write_bytes(_pem(self.root))
        (directory / "intermediate.pem").write_bytes(_pem(self.intermediate))
        _write_key(directory / "root.key", self.root_key)
        _write_key(directory / "intermediate.key", self.intermediate_key)
        return anchor

    @classmethod
    def load(cls, directory: Path) -> TestAuthority:
        """What `write` wrote, so that a later run or a test issues from the same authority."""
        return cls(
            x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes()),
            _read_key(directory / "root.key"),
            x509.load_pem_x509_certificate((directory / "intermediate.pem").read_bytes()),
            _read_key(directory / "intermediate.key"),
        )

    def _issue(
        self,
        common_name: str,
        organisation: Organisation,
        usages: Sequence[x509.ObjectIdentifier],
        names: Iterable[str],
        dates: Dates,
    ) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _leaf_builder(
            organisation.subject(common_name),
            self.intermediate.subject,
            key.public_key(),
            self.intermediate_key.public_key(),
            dates.bounds(_now()),
            usages,
            names,
        )
        certificate = builder.sign(self.intermediate_key, hashes.SHA256())
        return Leaf(certificate, key, (self.intermediate,))


# --------------------------------------------------------------------------------------------------- details


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.unlink(missing_ok=True)  # an older file may have wider rights: those of creation must hold
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} is not a key of this test authority")
    return key


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "VAGUEMESTRE TEST"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_identifier_of(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    path_length: int,
) -> x509.Certificate:
    now = _now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_identifier_of(issuer_key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _leaf_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    bounds: tuple[dt.datetime, dt.datetime],
    usages: Sequence[x509.ObjectIdentifier],
    names: Iterable[str],
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(bounds[0])
        .not_valid_after(bounds[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_key_identifier_of(issuer_key), critical=False)
    )
    alternatives = [_general_name(name) for name in dict.fromkeys(names)]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
