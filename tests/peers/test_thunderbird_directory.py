"""Thunderbird's address book on our LDAP: names completed while writing, and certificates fetched for S/MIME."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.demo import directory_world, pki, world
from directory.listings.database import ListingsDatabase
from directory.listings.writing import put_mailboxes
from directory.model import Coded, Kind, Mailbox, Organisation, Place, Professional
from tests.peers.test_thunderbird import installed

pytestmark = pytest.mark.peers

_PROGRAM = Path(__file__).parent / "thunderbird" / "directory.py"
_COLLEAGUE = directory_world.CARDIOLOGIST
_RED = f"anne.discrete@{world.FOREIGN_DOMAIN}"


class AddressBook:
    """A running Thunderbird."""

    def __init__(self, process: subprocess.Popen[str], *, logs_in: bool) -> None:
        self._process = process
        self.logs_in = logs_in
        self._told()  # its version: it is there

    def do(self, deed: str, **told: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"deed": deed, **told}) + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"failed": "it has ended"}')
        assert "failed" not in told, told
        return told


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


def certificate(made: world.World, address: str) -> x509.Certificate:
    """For mail, by the root itself: Thunderbird has no intermediate at hand."""
    authority = pki.TestAuthority.load(made.folder / "pki")
    key = rsa.generate_private_key(65537, 3072)
    now = dt.datetime.now(dt.UTC)
    usages = x509.KeyUsage(
        digital_signature=True, key_encipherment=True, content_commitment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
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


@pytest.fixture(
    scope="module", params=[("ldap", False), ("ldaps", True)], ids=["ldap, anonymous", "ldaps, logged in"]
)
def book(
    request: pytest.FixtureRequest, made: world.World, tmp_path_factory: pytest.TempPathFactory
) -> Generator[AddressBook]:
    installed()
    listed(made)
    out = tmp_path_factory.mktemp("directory")
    told = out / "demo.json"
    demo = json.loads((made.folder / "demo.json").read_text())
    scheme, login = request.param
    url = f"{scheme}://localhost:{made.ports[scheme]}/dc=mssante,dc=fr??sub?(objectclass=*)"
    told.write_text(json.dumps(demo | {"directory": url, "directory_login": login}))
    command = [sys.executable, str(_PROGRAM), "--demo-json", str(told), "--out", str(out)]
    command += ["--address", world.GP, "--seconds", "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield AddressBook(process, logs_in=login)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def logins(made: world.World) -> int:
    """By LDAP, told in the trace."""
    rows = made.command("audit_show", limit=1000, action="login", address=world.GP, reference=None)
    return sum(row["door"] == "ldap" or row["detail"].get("protocol") == "ldap" for row in rows)


def test_names_are_completed_while_writing_and_the_red_list_never(
    book: AddressBook, made: world.World
) -> None:
    before = logins(made)
    nobody = book.do("complete", typed="discrete", wanted="")
    assert nobody["answers"] == []
    found = book.do("complete", typed="rousseau", wanted=_COLLEAGUE.address)
    assert any(f"<{_COLLEAGUE.address}>" in one for one in found["answers"]), found
    assert found["pills"] == [_COLLEAGUE.address]
    assert (logins(made) > before) == book.logs_in


def test_a_certificate_for_smime_is_fetched_and_fit_for_use(book: AddressBook, made: world.World) -> None:
    unknown = book.do("fetch", address=world.DOCTOR)
    assert unknown["after"] == []
    der = certificate(made, world.GP).public_bytes(serialization.Encoding.DER)
    made.command("key_publish_x509", address=world.GP, certificate=base64.b64encode(der).decode())
    fetched = book.do("fetch", address=world.GP)
    assert fetched["before"] == []
    print_of_it = hashlib.sha256(der).hexdigest().upper()
    assert [one.replace(":", "") for one in fetched["after"]] == [print_of_it]
    assert fetched["usable"].replace(":", "") == print_of_it
