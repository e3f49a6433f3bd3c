"""S/MIME certificates: what passes the gate, what is kept, what is shown, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from directory.certificates import tables
from directory.certificates.records import Family, Why
from directory.certificates.service import DirectoryService, open_database
from directory.openpgp.certificate import CertificateRefused
from directory.openpgp.packets import PublicKey, Tag, public_key, spans
from directory.x509.chain import Authorities
from directory.x509.gate import pass_certificate
from directory.x509.reasons import in_french
from tests.directory.moment import NOW

DAY = 86_400_000
A, B = "zoe@mss.example", "luc@mss.example"
RSA = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def at(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(**more: bool) -> x509.KeyUsage:
    told = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return x509.KeyUsage(**{**told, **more})


def made(
    *addresses: str,
    key: Key = RSA,
    since: int = NOW - DAY,
    until: int = NOW + 365 * DAY,
    issuer: str = "",
    by: Key = AUTHORITY,
    extended: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    uses: x509.KeyUsage | None = None,
    authority: bool = False,
) -> x509.Certificate:
    """A certificate as an authority would make it, unless told otherwise."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("Zoé" if not authority else issuer or "Autorité"))
        .issuer_name(name(issuer or "Autorité"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at(since))
        .not_valid_after(at(until))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if addresses:
        names = x509.SubjectAlternativeName([x509.RFC822Name(one) for one in addresses])
        builder = builder.add_extension(names, critical=False)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=False)
    if uses is not None:
        builder = builder.add_extension(uses, critical=True)
    return builder.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def reason(data: bytes, address: str = A, authorities: Authorities | None = None) -> str:
    with pytest.raises(CertificateRefused) as refused:
        pass_certificate(data, address, NOW, authorities)
    assert refused.value.sentence.isascii()
    assert in_french(refused.value.reason)
    return refused.value.reason


@pytest.mark.parametrize("write", [pem, der], ids=["PEM", "DER"])
@pytest.mark.parametrize("key", [RSA, CURVE], ids=["RSA", "P-256"])
def test_a_certificate_of_this_address_passes(write: Callable[..., bytes], key: Key) -> None:
    uses = usage(key_encipherment=True, key_agreement=True)
    certificate = made("Zoe@MSS.example", key=key, uses=uses)
    passed = pass_certificate(write(certificate), A, NOW)
    assert passed.data == der(certificate)
    assert passed.fingerprint == certificate.fingerprint(hashes.SHA256()).hex().upper()
    assert passed.address == A


REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "another address": ("address-of-another", lambda: pem(made(B))),
    "no address": ("address-of-another", lambda: pem(made())),
    "two addresses": ("several-addresses", lambda: pem(made(A, B))),
    "over": ("expired", lambda: pem(made(A, since=NOW - 9 * DAY, until=NOW - DAY))),
    "not begun": ("not-yet-valid", lambda: pem(made(A, since=NOW + DAY))),
    "for servers": ("not-for-mail", lambda: pem(made(A, extended=ExtendedKeyUsageOID.SERVER_AUTH))),
    "signs only": ("not-for-encryption", lambda: pem(made(A, uses=usage(digital_signature=True)))),
    "curve that cannot agree": (
        "not-for-encryption",
        lambda: pem(made(A, key=CURVE, uses=usage(key_encipherment=True))),
    ),
    "an authority's": ("authority", lambda: pem(made(A, authority=True))),
    "RSA of 1024 bits": ("weak-key", lambda: pem(made(A, key=rsa.generate_private_key(65537, 1024)))),
    "Ed25519": (
        "unreadable-by-common-programs",
        lambda: pem(made(A, key=ed25519.Ed25519PrivateKey.generate())),
    ),
    "a small curve": ("weak-key", lambda: pem(made(A, key=ec.generate_private_key(ec.SECP192R1())))),
    "rubbish": ("not-a-certificate", lambda: b"\x30\x82rubbish"),
    "nothing": ("not-a-certificate", lambda: b""),
    "too large": ("too-large", lambda: b"x" * 70_000),
    "with its secret": (
        "secret-key-offered",
        lambda: pem(made(A)) + RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ),
}


@pytest.mark.parametrize(("why", "data"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_serve_is_refused_with_its_reason(why: str, data: Callable[[], bytes]) -> None:
    assert reason(data()) == why


def test_where_authorities_are_configured_it_must_lead_to_one() -> None:
    root = made(
        key=AUTHORITY, issuer="Autorité", authority=True, extended=None, uses=usage(key_cert_sign=True)
    )
    middle_key = ec.generate_private_key(ec.SECP256R1())
    middle = (
        x509.CertificateBuilder()
        .subject_name(name("Intermédiaire"))
        .issuer_name(root.subject)
        .public_key(middle_key.public_key())
        .serial_number(7)
        .not_valid_before(at(NOW - DAY))
        .not_valid_after(at(NOW + DAY))
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .sign(AUTHORITY, hashes.SHA256())
    )
    authorities = Authorities((root,))
    directly = made(A)
    below = made(A, issuer="Intermédiaire", by=middle_key)
    assert pass_certificate(pem(directly), A, NOW, authorities).data == der(directly)
    assert pass_certificate(pem(below, middle), A, NOW, authorities).data == der(below)
    assert reason(pem(below), authorities=authorities) == "unknown-authority"
    stranger = made(A, by=ec.generate_private_key(ec.SECP256R1()))
    assert reason(pem(stranger), authorities=authorities) == "unknown-authority"
    from_a_leaf = made(A, issuer="Zoé", by=RSA)
    assert reason(pem(from_a_leaf, directly), authorities=authorities) == "unknown-authority"


# ------------------------------------------------------------------------------------ kept and shown


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'directory.db'}"
    make: Callable[..., str] = request.getfixturevalue("make_postgresql_database")
    return make()


@pytest.fixture
def directory(url: str) -> Iterator[DirectoryService]:
    engine = open_database(url)
    tables.create(engine)
    service = DirectoryService(engine)
    yield service
    service.close()


@pytest.fixture
def other_node(directory: DirectoryService, url: str) -> Iterator[DirectoryService]:
    service = DirectoryService.open(url)
    yield service
    service.close()


def test_it_is_shown_while_its_time_lasts(directory: DirectoryService) -> None:
    certificate = made(A, until=NOW + DAY)
    directory.publish_x509(A, pem(certificate), NOW)
    assert directory.x509(A.upper(), NOW) == (der(certificate),)
    assert directory.x509(A, NOW + 2 * DAY) == ()
    assert directory.x509(B, NOW) == ()


def test_a_new_one_takes_the_place_of_the_old_and_both_are_remembered(directory: DirectoryService) -> None:
    old, new = made(A), made(A, key=CURVE)
    directory.publish_x509(A, pem(old), NOW)
    directory.publish_x509(A, pem(new), NOW + 1000)
    assert directory.x509(A, NOW + 1000) == (der(new),)
    first, second = directory.periods(A, NOW + 1000)
    assert (first.family, first.until, first.why) == (Family.X509, None, None)
    assert (second.until, second.why) == (NOW + 1000, Why.REPLACED)


def test_a_revoked_one_is_gone_at_once_and_never_comes_back(directory: DirectoryService) -> None:
    passed = directory.publish_x509(A, pem(made(A)), NOW)
    directory.revoke_x509(A, passed.fingerprint, NOW)
    assert directory.x509(A, NOW) == ()
    with pytest.raises(CertificateRefused, match="revoked"):
        directory.publish_x509(A, passed.data, NOW)
    assert [one.why for one in directory.periods(A, NOW)] == [Why.REVOKED]


def test_a_withdrawn_one_may_be_published_again(directory: DirectoryService) -> None:
    passed = directory.publish_x509(A, pem(made(A)), NOW)
    directory.revoke_x509(A, passed.fingerprint, NOW + 1, withdrawn=True)
    assert directory.x509(A, NOW + 1) == ()
    directory.publish_x509(A, passed.data, NOW + 2)
    assert directory.x509(A, NOW + 2) == (passed.data,)
    assert [one.why for one in directory.periods(A, NOW + 2)] == [None, Why.WITHDRAWN]


def test_what_is_not_in_force_cannot_be_revoked(directory: DirectoryService) -> None:
    passed = directory.publish_x509(A, pem(made(A)), NOW)
    with pytest.raises(KeyError):
        directory.revoke_x509(B, passed.fingerprint, NOW)
    with pytest.raises(KeyError):
        directory.revoke_x509(A, "00" * 32, NOW)


def test_one_key_never_serves_two_addresses(directory: DirectoryService) -> None:
    directory.publish_x509(A, pem(made(A)), NOW)
    with pytest.raises(CertificateRefused, match="key-of-another"):
        directory.publish_x509(B, pem(made(B)), NOW)
    assert directory.x509(B, NOW) == ()


def test_nor_does_an_openpgp_key_in_the_dress_of_x_509(directory: DirectoryService, gnupg: Any) -> None:
    """A key that gpg made for one address, certified by an authority for another: the numbers are the same."""
    fingerprint = gnupg.make(f"<{A}>", "rsa2048", "rsa2048")
    data = gnupg.public(fingerprint)
    chosen = directory.publish(A, data, NOW).encryption_key_id
    (subkey,) = (one for one in _keys(data, Tag.PUBLIC_SUBKEY) if one.key_id == chosen)
    modulus, exponent = (int.from_bytes(one, "big") for one in subkey.numbers)
    same = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    class Dressed:
        def public_key(self) -> rsa.RSAPublicKey:
            return same

    with pytest.raises(CertificateRefused, match="key-of-another"):
        directory.publish_x509(B, pem(made(B, key=Dressed())), NOW)  # pyright: ignore[reportArgumentType]
    directory.publish_x509(A, pem(made(A, key=Dressed())), NOW)  # pyright: ignore[reportArgumentType]


def _keys(data: bytes, tag: Tag) -> Iterator[PublicKey]:
    return (public_key(part.body(data)) for part in spans(data) if part.tag == tag)


# ------------------------------------------------------------------------------------ other nodes


def test_another_node_sees_what_changed_when_it_looks(
    directory: DirectoryService, other_node: DirectoryService, gnupg: Any
) -> None:
    assert not other_node.refresh()
    smime = directory.publish_x509(A, pem(made(A)), NOW)
    fingerprint = gnupg.make(f"Zoé <{A}>")
    directory.publish(A, gnupg.public(fingerprint), NOW)
    directory.show(A, NOW)
    assert other_node.x509(A, NOW) == ()
    assert other_node.refresh()
    assert other_node.x509(A, NOW) == (smime.data,)
    assert other_node.published(A) == directory.published(A)
    assert other_node.by_key(fingerprint[-16:]) == (A, directory.published(A))
    assert other_node.is_listed(A)
    assert not other_node.refresh()

    directory.revoke(A, fingerprint, NOW)
    directory.revoke_x509(A, smime.fingerprint, NOW)
    directory.hide(A)
    assert other_node.refresh()
    assert other_node.certificate(A, NOW) == directory.certificate(A, NOW)
    assert other_node.by_key(fingerprint) is None
    assert other_node.x509(A, NOW) == ()
    assert not other_node.is_listed(A)


def test_both_nodes_may_write_and_neither_misses_the_other(
    directory: DirectoryService, other_node: DirectoryService
) -> None:
    directory.show(A, NOW)
    other_node.show(B, NOW)  # it has not seen A yet
    other_node.refresh()
    directory.refresh()
    assert all(node.is_listed(each) for node in (directory, other_node) for each in (A, B))


def test_a_holder_s_revocation_says_why_a_withdrawn_certificate_went(
    directory: DirectoryService, gnupg: Any
) -> None:
    fingerprint = gnupg.make(f"Zoé M <{A}>")
    directory.publish(A, gnupg.public(fingerprint), NOW)
    directory.revoke(A, fingerprint, NOW + 5)
    assert [one.why for one in directory.periods(A, NOW + 5)] == [Why.WITHDRAWN]
    directory.revoke(A, fingerprint, NOW + 9, gnupg.revocation(fingerprint))
    (period,) = directory.periods(A, NOW + 9)
    assert (period.until, period.why) == (NOW + 5, Why.REVOKED)


def test_what_ends_by_itself_is_told_as_ended(directory: DirectoryService) -> None:
    directory.publish_x509(A, pem(made(A, until=NOW + DAY)), NOW)
    (period,) = directory.periods(A, NOW + 2 * DAY)
    assert period.why is Why.EXPIRED
    assert period.until == period.not_after
