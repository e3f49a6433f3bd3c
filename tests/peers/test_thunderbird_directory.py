"""Thunderbird's address book on our LDAP: names completed while writing, certificates fetched for S/MIME; and a letter
enveloped to one of them, opened."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.demo import clients, directory_world, pki, world
from directory.listings.database import ListingsDatabase
from directory.listings.writing import put_mailboxes
from directory.model import Coded, Kind, Mailbox, Organisation, Place, Professional
from tests.peers.driven import Driven, driven
from tests.peers.federation import wait
from tests.peers.test_thunderbird import installed

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

_PROGRAM = Path(__file__).parent / "thunderbird" / "directory.py"
_COLLEAGUE = directory_world.CARDIOLOGIST
_RED = f"anne.discrete@{world.FOREIGN_DOMAIN}"


@dataclass(frozen=True)
class AddressBook:
    thunderbird: Driven
    logs_in: bool


def listed(made: world.World) -> None:
    """What an import in a process of its own writes beside the node."""
    person = Professional(
        _COLLEAGUE.national_id, "Dr", _COLLEAGUE.family, _COLLEAGUE.given, Coded("10", "Médecin")
    )
    place = Place(postcode="69003", commune="Lyon", department="69")
    practice = Organisation("1690000019", name="CABINET DE LA PART-DIEU", place=place)
    boxes = [
        Mailbox(_COLLEAGUE.address, Kind.PER, (person,), practice),
        Mailbox(_RED, Kind.PER, title="Dr", family="DISCRETE", given="ANNE", red_list=True),
    ]
    database = ListingsDatabase(made.node / "listings.db")
    database.write(lambda sql: put_mailboxes(sql, boxes, at=time.time_ns() // 1_000_000))
    database.close()


def certificate(made: world.World, address: str) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """For mail, by the root itself: Thunderbird has no intermediate at hand."""
    authority = pki.TestAuthority.load(made.folder / "pki")
    key = rsa.generate_private_key(65537, 3072)
    now = dt.datetime.now(dt.UTC)
    usages = x509.KeyUsage(
        digital_signature=True, key_encipherment=True, content_commitment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made_of_it = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Dr Camille Aubry")]))
        .issuer_name(authority.root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .sign(authority.root_key, hashes.SHA256())
    )
    return made_of_it, key


@pytest.fixture(
    scope="module", params=[("ldap", False), ("ldaps", True)], ids=["ldap, anonymous", "ldaps, logged in"]
)
def book(
    request: pytest.FixtureRequest, made: world.World, tmp_path_factory: pytest.TempPathFactory
) -> Generator[AddressBook]:
    installed()
    listed(made)
    out = tmp_path_factory.mktemp("directory")
    demo = json.loads((made.folder / "demo.json").read_text())
    scheme, login = request.param
    url = f"{scheme}://localhost:{made.ports[scheme]}/dc=mssante,dc=fr??sub?(objectclass=*)"
    demo |= {"directory": url, "directory_login": login}
    with driven(_PROGRAM, demo, world.GP, out, seconds=120) as thunderbird:
        yield AddressBook(thunderbird, login)


def logins(made: world.World) -> int:
    """By LDAP, told in the trace a moment after."""
    rows = made.command("audit_show", limit=1000, action="login", address=world.GP, reference=None)
    return sum(row["door"] == "ldap" or row["detail"].get("protocol") == "ldap" for row in rows)


def test_names_are_completed_while_writing_and_the_red_list_never(
    book: AddressBook, made: world.World
) -> None:
    before = logins(made)
    nobody = book.thunderbird.do("complete", typed="discrete", wanted="")
    assert nobody["answers"] == []
    found = book.thunderbird.do("complete", typed="rousseau", wanted=_COLLEAGUE.address)
    assert any(f"<{_COLLEAGUE.address}>" in one for one in found["answers"]), found
    assert found["pills"] == [_COLLEAGUE.address]
    if book.logs_in:
        wait(lambda: logins(made) > before or None)
    else:
        assert logins(made) == before


def test_a_certificate_for_smime_is_fetched_and_fit_for_use(book: AddressBook, made: world.World) -> None:
    unknown = book.thunderbird.do("fetch", address=world.DOCTOR, wanted=False)
    assert unknown["after"] == []
    der = certificate(made, world.GP)[0].public_bytes(serialization.Encoding.DER)
    made.command("key_publish_x509", address=world.GP, certificate=base64.b64encode(der).decode())
    fetched = book.thunderbird.do("fetch", address=world.GP, wanted=True)
    assert fetched["before"] == []
    print_of_it = hashlib.sha256(der).hexdigest().upper()
    assert [one.replace(":", "") for one in fetched["after"]] == [print_of_it]
    assert fetched["usable"].replace(":", "") == print_of_it


def offered(made: world.World, address: str) -> list[bytes]:
    """The certificates of somebody, as another one's program finds them."""
    url = f"ldap://127.0.0.1:{made.ports['ldap']}"
    asked = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", url, "-b", "dc=mssante,dc=fr"]
    asked += [f"(mail={address})", "userCertificate;binary"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout
    return [
        base64.b64decode(one.partition(":: ")[2]) for one in shown.splitlines() if one.startswith("userCert")
    ]


def signed_and_enveloped(made: world.World, to: x509.Certificate, subject: str, text: str) -> bytes:
    """As a program of the hospital makes it: signed by its own certificate, inside an envelope (RFC 8551 §3.5)."""
    own, key = certificate(made, world.HOSPITAL)
    entity = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n".encode()
    signed = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(entity)
        .add_signer(own, key, hashes.SHA256())
        .sign(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
    )
    envelope = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(signed)
        .add_recipient(to)
        .encrypt(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Binary])
    )
    head = (
        f"From: <{world.HOSPITAL}>\r\nTo: <{world.GP}>\r\nSubject: {subject}\r\n"
        f"Date: {format_datetime(dt.datetime.now(dt.UTC))}\r\nMessage-ID: <{uuid.uuid4()}@essai>\r\n"
    )
    return head.encode() + envelope.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("book", [("ldaps", True)], ids=["ldaps, logged in"], indirect=True)
def test_a_letter_enveloped_to_it_is_opened_encrypted_and_signed(
    book: AddressBook, made: world.World, tmp_path: Path
) -> None:
    own, key = certificate(made, world.GP)
    der = own.public_bytes(serialization.Encoding.DER)
    told = base64.b64encode(der).decode()
    published = made.command("key_publish_x509", address=world.GP, certificate=told)
    assert der in offered(made, world.GP)
    held = tmp_path / "camille.p12"
    locked = serialization.BestAvailableEncryption(b"essai")
    held.write_bytes(pkcs12.serialize_key_and_certificates(b"Camille", key, own, None, locked))
    book.thunderbird.do("hold", file=str(held), password="essai")
    subject = f"Avis {uuid.uuid4().hex[:8]}"
    letter = signed_and_enveloped(made, own, subject, "Le bilan est rassurant, à revoir dans six mois.")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.GP], letter)
    shown = book.thunderbird.do("read", expected=subject)
    made.command("key_revoke_x509", address=world.GP, fingerprint=published["fingerprint"])
    assert shown["found"]
    assert shown["technology"] == "S/MIME"
    assert (shown["encryption"], shown["signature"]) == ("message-encrypted-ok", "message-signed-ok")
    assert shown["text"].strip() == "Le bilan est rassurant, à revoir dans six mois."
