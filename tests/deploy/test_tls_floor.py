"""TLS on the doors (reference/mssante.md §9, row 11): what is spoken, what is not, and which certificates may come in.

Handshakes in memory, with a client that would speak anything: that it could is seen against a server that lets it.
"""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.demo import pki
from deploy.node.config import TlsSettings
from deploy.node.tls import server_context
from mail_server.delivery.peer_certificates import for_clients

WE = pki.Organisation.with_finess("CENTRE HOSPITALIER", 6, "Loire (42)")
PEER = pki.Organisation.with_finess("CHU VOISIN", 5, "Ain (01)")
V10, V11, V12, V13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture(scope="module")
def authority() -> pki.TestAuthority:
    return pki.TestAuthority.create()


@pytest.fixture(scope="module")
def settings(authority: pki.TestAuthority, tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    """A server under an RSA key, as the health authority gives them: C030 and C02F are suites of RSA."""
    folder = tmp_path_factory.mktemp("tls")
    key = rsa.generate_private_key(65537, 2048)
    certificate, intermediate = folder / "us.pem", authority.intermediate
    leaf = issued(authority, WE.subject("mx.essai.test"), key.public_key(), [SERVER, CLIENT])
    certificate.write_bytes(
        b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (leaf, intermediate))
    )
    (folder / "us.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return TlsSettings(certificate=certificate, key=folder / "us.key", client_ca=authority.write(folder))


def issued(
    authority: pki.TestAuthority,
    subject: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    usages: list[x509.ObjectIdentifier] | None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.intermediate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - pki.DAY)
        .not_valid_after(now + 30 * pki.DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.intermediate_key.public_key()),
            critical=False,
        )
    )
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(authority.intermediate_key, hashes.SHA256())


def client(least: ssl.TLSVersion = V10, most: ssl.TLSVersion = V13, suites: str = "ALL") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = least, most
    return context


def permissive(settings: TlsSettings) -> ssl.SSLContext:
    """What our doors are not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = V10
    assert settings.certificate is not None
    context.load_cert_chain(settings.certificate, settings.key)
    return context


def handshake(server: ssl.SSLContext, by: ssl.SSLContext) -> tuple[str, str, bytes | None]:
    """Version, suite, and the client's certificate as the server took it. Raises ssl.SSLError."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        by.wrap_bio(one, other, server_hostname="mx.essai.test"),
        server.wrap_bio(other, one, server_side=True),
    )
    done = [False, False]
    for _ in range(10):
        for number, side in enumerate(sides):
            try:
                side.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                continue
        if all(done):
            name, _, _ = sides[1].cipher() or ("", "", 0)
            return sides[1].version() or "", name, sides[1].getpeercert(binary_form=True)
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("asking", [True, False], ids=["mail", "web"])
@pytest.mark.parametrize(
    "suite", ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"], ids=["C030", "C02F"]
)
def test_the_suites_of_the_reference_are_spoken_in_tls_1_2(
    settings: TlsSettings, suite: str, asking: bool
) -> None:
    found = handshake(server_context(settings, ask_client=asking), client(V12, V12, suite))
    assert found[:2] == ("TLSv1.2", suite)


@pytest.mark.parametrize("asking", [True, False], ids=["mail", "web"])
def test_tls_1_3_is_spoken_with_who_can(settings: TlsSettings, asking: bool) -> None:
    assert handshake(server_context(settings, ask_client=asking), client())[0] == "TLSv1.3"


@pytest.mark.parametrize("asking", [True, False], ids=["mail", "web"])
@pytest.mark.parametrize(("version", "name"), [(V10, "TLSv1"), (V11, "TLSv1.1")])
def test_tls_1_0_and_1_1_are_not_spoken(
    settings: TlsSettings, version: ssl.TLSVersion, name: str, asking: bool
) -> None:
    old = client(version, version)
    assert handshake(permissive(settings), old)[0] == name
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION"):
        handshake(server_context(settings, ask_client=asking), old)


@pytest.mark.parametrize(
    "suite",
    [
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA384",
    ],
)
def test_suites_without_forward_secrecy_or_authenticated_encryption_are_not_spoken(
    settings: TlsSettings, suite: str
) -> None:
    weak = client(V12, V12, suite)
    assert handshake(permissive(settings), weak)[1] == suite
    with pytest.raises(ssl.SSLError, match=r"NO_SHARED_CIPHER|HANDSHAKE_FAILURE"):
        handshake(server_context(settings, ask_client=True), weak)


def showing(
    authority: pki.TestAuthority, folder: Path, usages: list[x509.ObjectIdentifier] | None
) -> tuple[ssl.SSLContext, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = issued(authority, PEER.subject("mx.voisin.test"), key.public_key(), usages)
    files = pki.Leaf(leaf, key, (authority.intermediate,)).write(folder, "peer")
    context = client()
    context.load_cert_chain(files.certificate, files.key)
    return context, leaf.public_bytes(serialization.Encoding.DER)


def test_a_certificate_for_client_use_comes_in(
    authority: pki.TestAuthority, settings: TlsSettings, tmp_path: Path
) -> None:
    by, der = showing(authority, tmp_path, [CLIENT])
    assert handshake(server_context(settings, ask_client=True), by)[2] == der
    assert for_clients(der)


def test_a_certificate_for_servers_alone_ends_the_handshake(
    authority: pki.TestAuthority, settings: TlsSettings, tmp_path: Path
) -> None:
    by, der = showing(authority, tmp_path, [SERVER])
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate_verify_failed|unsupported certificate purpose"):
        handshake(server_context(settings, ask_client=True), by)
    assert not for_clients(der)


def test_one_that_names_no_use_is_refused_at_mail_from(
    authority: pki.TestAuthority, settings: TlsSettings, tmp_path: Path
) -> None:
    by, der = showing(authority, tmp_path, None)
    assert handshake(server_context(settings, ask_client=True), by)[2] == der, "OpenSSL takes it for any use"
    assert not for_clients(der)
    assert not for_clients(b"rubbish")


def made(authority: pki.TestAuthority, harm: str) -> pki.Leaf:
    if harm == "foreign":
        return pki.TestAuthority.create().issue_operator("mx.voisin.test", PEER)
    if harm == "self-signed":
        return pki.self_signed("mx.voisin.test", PEER)
    return authority.issue_operator("mx.voisin.test", PEER, dates=pki.Dates(harm))


@pytest.mark.parametrize("harm", ["foreign", "self-signed", "expired", "not-yet"])
def test_a_chain_that_does_not_hold_ends_the_handshake(
    authority: pki.TestAuthority,
    settings: TlsSettings,
    tmp_path: Path,
    harm: str,
) -> None:
    files = made(authority, harm).write(tmp_path, "peer")
    by = client()
    by.load_cert_chain(files.certificate, files.key)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        handshake(server_context(settings, ask_client=True), by)
