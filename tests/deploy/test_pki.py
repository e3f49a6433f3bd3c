"""The test PKI: shapes of the national one, chains that verify, and each way a chain can be wrong."""

from __future__ import annotations

import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.demo.pki import (
    Dates,
    Leaf,
    Organisation,
    TestAuthority,
    invented_finess,
    invented_siret,
    luhn_digit,
    luhn_valid,
    self_signed,
)

HOSPITAL = Organisation.with_finess("CENTRE HOSPITALIER DU BOIS JOLI", 1, "Loire (42)")
OPERATOR = Organisation.with_siret("GRADES DES TROIS VALLEES", 7, "Ain (01)")


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create()


def handshake(directory: Path, anchor: Path, server: Leaf, client: Leaf | None) -> str:
    """One TLS handshake in memory, both sides checking; the client's subject as the server saw it."""
    server_files = server.write(directory, "server")
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(anchor))
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_cert_chain(server_files.certificate, server_files.key)
    client_context = ssl.create_default_context(cafile=str(anchor))
    if client:
        client_files = client.write(directory, "client")
        client_context.load_cert_chain(client_files.certificate, client_files.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server_context.wrap_bio(to_server, to_client, server_side=True)
    other = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    done = [False, False]
    while not all(done):
        for index, side in enumerate((other, one)):
            try:
                side.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
    der = one.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_luhn_digit_makes_known_numbers_valid() -> None:
    assert luhn_valid("79927398713")  # the example of ISO/IEC 7812-1
    assert not luhn_valid("79927398710")
    assert luhn_digit("7992739871") == "3"
    assert not luhn_valid("1234567890123x")


def test_invented_identifiers_have_the_length_and_check_digit_of_real_ones() -> None:
    for number in range(40):
        finess, siret = invented_finess(number), invented_siret(number)
        assert len(finess) == 9
        assert luhn_valid(finess)
        assert len(siret) == 14
        assert luhn_valid(siret)
        assert luhn_valid(siret[:9])


@pytest.mark.parametrize("structure", ["", "1", "2990000010", "1990000011", "39999900100", "1é90000010"])
def test_an_identifier_of_another_shape_is_refused(structure: str) -> None:
    with pytest.raises(ValueError, match="structure identifier"):
        Organisation("X", structure, "Ain (01)")


def test_subjects_read_as_the_trust_list_writes_them(authority: TestAuthority) -> None:
    dn = authority.issue_operator("smtp.valleesante.example", OPERATOR).dn
    assert dn == (
        f"CN=smtp.valleesante.example,OU={OPERATOR.structure},O=GRADES DES TROIS VALLEES,ST=Ain (01),C=FR"
    )


def test_leaves_carry_the_usage_of_their_kind(authority: TestAuthority) -> None:
    def usages(leaf: Leaf) -> set[x509.ObjectIdentifier]:
        return set(leaf.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    assert usages(authority.issue_server("mail.example", HOSPITAL)) == {server}
    assert usages(authority.issue_client("sih.example", HOSPITAL)) == {client}
    assert usages(authority.issue_operator("smtp.example", OPERATOR)) == {server, client}


def test_a_server_answers_for_its_host_and_for_this_machine(authority: TestAuthority) -> None:
    leaf = authority.issue_server("mail.example", HOSPITAL, names=("openpgpkey.example",))
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example", "openpgpkey.example", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_both_sides_of_a_mutual_handshake_verify(authority: TestAuthority, tmp_path: Path) -> None:
    anchor = authority.write(tmp_path)
    client = authority.issue_client("sih.bois-joli.example", HOSPITAL)
    server = authority.issue_server("mail.example", HOSPITAL)
    assert handshake(tmp_path, anchor, server, client) == client.dn


@pytest.mark.parametrize("wrong", ["expired", "not yet valid", "foreign chain", "self-signed", "server only"])
def test_a_wrong_client_certificate_ends_the_handshake(
    authority: TestAuthority, tmp_path: Path, wrong: str
) -> None:
    client = {
        "expired": lambda: authority.issue_client("c", HOSPITAL, dates=Dates.EXPIRED),
        "not yet valid": lambda: authority.issue_client("c", HOSPITAL, dates=Dates.NOT_YET),
        "foreign chain": lambda: TestAuthority.create("ETRANGERE").issue_client("c", HOSPITAL),
        "self-signed": lambda: self_signed("c", HOSPITAL),
        "server only": lambda: authority.issue_server("c", HOSPITAL),
    }[wrong]()
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, authority.write(tmp_path), authority.issue_server("m.example", HOSPITAL), client)


def test_an_authority_written_and_loaded_issues_for_the_same_anchor(
    authority: TestAuthority, tmp_path: Path
) -> None:
    anchor = authority.write(tmp_path)
    again = TestAuthority.load(tmp_path)
    client = again.issue_client("c", HOSPITAL)
    assert handshake(tmp_path, anchor, authority.issue_server("m.example", HOSPITAL), client) == client.dn


def test_key_files_are_for_their_owner_alone_even_over_an_older_file(
    authority: TestAuthority, tmp_path: Path
) -> None:
    (tmp_path / "server.key").write_text("older, readable by all")
    files = authority.issue_server("mail.example", HOSPITAL).write(tmp_path, "server")
    authority.write(tmp_path)
    for key in (files.key, tmp_path / "root.key", tmp_path / "intermediate.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert files.certificate.read_bytes().count(b"BEGIN CERTIFICATE") == 2


def test_private_keys_do_not_show_in_a_repr(authority: TestAuthority) -> None:
    assert "key" not in repr(authority).lower().replace("keyusage", "")
    assert "PrivateKey" not in repr(authority.issue_client("c", HOSPITAL))


def test_the_revocation_list_names_who_was_revoked(authority: TestAuthority) -> None:
    gone, kept = authority.issue_client("a", HOSPITAL), authority.issue_client("b", HOSPITAL)
    crl = x509.load_pem_x509_crl(authority.revocation_list([gone]))
    assert crl.is_signature_valid(authority.intermediate_key.public_key())
    assert crl.get_revoked_certificate_by_serial_number(gone.certificate.serial_number) is not None
    assert crl.get_revoked_certificate_by_serial_number(kept.certificate.serial_number) is None
    assert crl.next_update_utc
    assert crl.next_update_utc > dt.datetime.now(dt.UTC)
