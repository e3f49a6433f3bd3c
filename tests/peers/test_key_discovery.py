"""Real programs find a professional's certificate, and stop using it within the minute it is revoked.

GnuPG by Web Key Directory and by key server, over TLS under the test authority; then every place where a certificate
is shown or used is looked at before and after a revocation.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.demo import clients, world
from tests.directory.sites import Correspondent, correspondent
from tests.peers import intruder
from tests.peers.test_thunderbird import installed
from tests.peers.test_wkd import Answer, get, published

pytestmark = pytest.mark.peers

HOST = f"openpgpkey.{world.DOMAIN}"
_DISCOVER = Path(__file__).parent / "thunderbird" / "discover.py"
LOOPBACK = "127.0.0.9"  # an address of this machine that is nobody else's: programs ask for port 443


class Home:
    """Somebody's GnuPG, with the revocation it prepared."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(self._path), "--batch", "--no-tty", "--passphrase", "", *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout

    def make(self, address: str) -> str:
        self.gpg("--quick-gen-key", f"Hélène Morel <{address}>", "ed25519", "sign,cert", "2y")
        listed = self.gpg("--with-colons", "--list-keys", address).decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        self.gpg("--quick-add-key", fingerprint, "cv25519", "encr", "2y")
        return fingerprint

    def public(self, fingerprint: str) -> bytes:
        return self.gpg("--export", fingerprint)

    def revocation(self, fingerprint: str) -> bytes:
        text = (self._path / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        return text[text.index(":-----BEGIN") + 1 :].encode()


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    path = Path(tempfile.mkdtemp(prefix="vm-found-"))
    yield Home(path)
    subprocess.run(["gpgconf", "--homedir", str(path), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class Professional:
    address: str
    password: str
    fingerprint: str
    key: bytes
    smime: bytes  # DER


def professional(made: world.World, home: Home) -> Professional:
    """With a key of GnuPG's and an S/MIME certificate."""
    address = f"helene.{secrets.token_hex(4)}@{world.DOMAIN}"
    told = made.command("account_add", address=address, kind="PER", password=True, certificate=None)
    made.command("account_profile", address=address, fields={"given_name": "Hélène", "family_name": "Morel"})
    fingerprint = home.make(address)
    key, smime = home.public(fingerprint), smime_certificate(address)
    made.command("key_publish", address=address, certificate=base64.b64encode(key).decode())
    made.command("key_publish_x509", address=address, certificate=base64.b64encode(smime).decode())
    return Professional(address, told["password"], fingerprint, key, smime)


def smime_certificate(address: str) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hélène Morel")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def helene(made: world.World, home: Home) -> Professional:
    return professional(made, home)


# ------------------------------------------------------------------------------------------- GnuPG


def carry(taken: socket.socket, given: socket.socket) -> None:
    with suppress(OSError):
        while data := taken.recv(65536):
            given.sendall(data)
    with suppress(OSError):
        given.shutdown(socket.SHUT_WR)


@contextmanager
def standing_at_443(port: int) -> Generator[None]:
    """What programs that know no other port reach on an address of this machine; skips where it may not be taken."""
    try:
        listening = socket.create_server((LOOPBACK, 443))
    except OSError:
        pytest.skip("port 443 may not be taken here")

    def serve() -> None:
        with suppress(OSError):
            while True:
                inner, _ = listening.accept()
                outer = socket.create_connection(("127.0.0.1", port))
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def may_mount() -> bool:
    return subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode == 0


@pytest.fixture(scope="module")
def stranger(made: world.World) -> Iterator[Correspondent]:
    """Trusts the test authority for key servers, as an administrator's dirmngr.conf says."""
    if not may_mount():
        pytest.skip("names cannot be given to one program alone here")
    with correspondent(f"hkp-cacert {made.ca}", hosts=f"127.0.0.1 {HOST}\n") as one:
        yield one


@pytest.mark.parametrize("names", [f"{HOST} {world.DOMAIN}", world.DOMAIN], ids=["advanced", "direct"])
def test_gnupg_locates_a_key_by_web_key_directory(
    made: world.World, helene: Professional, names: str
) -> None:
    if not may_mount():
        pytest.skip("names cannot be given to one program alone here")
    hosts = f"{LOOPBACK} {names}\n"
    # It asks directories under the authorities of the system, whatever its configuration says of key servers.
    with (
        standing_at_443(made.ports["https"]),
        correspondent(hosts=hosts, authorities=made.ca) as one,
    ):
        located = one.gpg("--auto-key-locate", "clear,nodefault,wkd", "--locate-keys", helene.address)
        assert located.returncode == 0, located.stderr.decode()
        assert helene.fingerprint in one.holds(helene.address)
        nobody = one.gpg("--auto-key-locate", "clear,nodefault,wkd", "--locate-keys", f"x@{world.DOMAIN}")
        assert nobody.returncode != 0


def test_gnupg_finds_receives_and_refreshes_over_hkps(
    made: world.World, helene: Professional, stranger: Correspondent
) -> None:
    server = ("--keyserver", f"hkps://{HOST}:{made.ports['https']}")
    found = stranger.gpg(*server, "--with-colons", "--search-keys", helene.address)
    assert f"pub:{helene.fingerprint}:22:256:" in found.stdout.decode(), found.stderr.decode()
    got = stranger.gpg(*server, "--recv-keys", helene.fingerprint)
    assert got.returncode == 0, got.stderr.decode()
    assert f"<{helene.address}>" in stranger.holds(helene.fingerprint)
    assert stranger.gpg(*server, "--refresh-keys", helene.fingerprint).returncode == 0


def test_a_patient_is_found_by_no_key_server(made: world.World, stranger: Correspondent) -> None:
    server = ("--keyserver", f"hkps://{HOST}:{made.ports['https']}")
    patient = intruder.activated(made, "Nadia", "FAURE", 641)
    for address in (patient.address, patient.shown):
        assert b"pub:" not in stranger.gpg(*server, "--with-colons", "--search-keys", address).stdout
        assert published(made.ca, made.ports["https"], address, HOST).status == 404


# ------------------------------------------------------------------------- what an address takes


def test_what_an_address_takes_is_told_before_a_letter_is_written(
    made: world.World, helene: Professional
) -> None:
    answer = capability(made, helene.address)
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["profiles"] == ["openpgp-v4-seipd1", "smime-cms"]
    assert told["largest"] > 1_000_000
    assert "ihe-xdm" in told["payloads"]
    assert answer.headers["cache-control"] == "public, max-age=60"
    nobody = capability(made, f"nobody@{world.DOMAIN}")
    assert (nobody.status, nobody.body) == (404, b"")


def capability(made: world.World, address: str) -> Answer:
    return get(made, f"/.well-known/vaguemestre/capability?address={address}")


# ------------------------------------------------------------------------------------- revocation


def ldap_certificates(made: world.World, address: str) -> list[bytes]:
    """What a mail program finds: the directory asked for an address."""
    command = [
        "ldapsearch", "-LLL", "-x", "-o", "ldif-wrap=no", "-H", f"ldap://127.0.0.1:{made.ports['ldap']}",
        "-b", "dc=mssante,dc=fr", f"(mail={address})", "userCertificate;binary",
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, timeout=120, check=False).stdout.decode()
    lines = [line for line in told.splitlines() if line.lower().startswith("usercertificate;binary:: ")]
    return [base64.b64decode(line.partition(":: ")[2]) for line in lines]


def rcpt(made: world.World, address: str) -> tuple[int, bytes]:
    """What a colleague's mail program is told when it names this addressee."""
    gp = made.persons[world.GP]
    with closing(smtplib.SMTP("localhost", made.ports["submission"], timeout=120)) as link:
        link.starttls(context=clients.tls(made.ca))
        link.login(gp.address, gp.password)
        link.mail(gp.address)
        return link.rcpt(address)


def validity(made: world.World, search: str) -> str:
    """By the machine-readable index of the key server: "" in force, "r" revoked, "absent"."""
    answer = get(made, f"/pks/lookup?op=index&options=mr&search={search}")
    if answer.status == 404:
        return "absent"
    return next(line.split(":")[6] for line in answer.body.decode().splitlines() if line.startswith("pub:"))


def wait(look: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


def test_a_revocation_is_seen_in_every_place_at_once(
    made: world.World, home: Home, stranger: Correspondent
) -> None:
    person = professional(made, home)
    desk = intruder.professional(made, f"bureau.{secrets.token_hex(3)}@{world.DOMAIN}")

    def on_the_page() -> dict[str, Any]:
        return desk.page.post("/api/certificates", {"addresses": [person.address]})["addressees"][0]

    server = ("--keyserver", f"hkps://{HOST}:{made.ports['https']}")
    assert stranger.gpg(*server, "--recv-keys", person.fingerprint).returncode == 0
    port = made.ports["https"]
    before = published(made.ca, port, person.address, HOST)
    assert before.status == 200
    assert validity(made, person.address) == validity(made, f"0x{person.fingerprint}") == ""
    assert wait(lambda: ldap_certificates(made, person.address)) == [person.smime]
    assert rcpt(made, person.address)[0] == 250
    assert on_the_page()["guard"] == "sealed"

    made.command(
        "key_revoke",
        address=person.address,
        fingerprint=None,
        revocation=base64.b64encode(home.revocation(person.fingerprint)).decode(),
    )
    made.command("key_revoke_x509", address=person.address)
    since = time.monotonic()

    after = published(made.ca, port, person.address, HOST)
    assert after.status == 200  # it is given with its revocation, which a keyring must hear of
    assert after.headers["etag"] != before.headers["etag"]
    assert validity(made, person.address) == validity(made, f"0x{person.fingerprint}") == "r"
    assert stranger.gpg(*server, "--refresh-keys", person.fingerprint).returncode == 0
    assert any(line.startswith("pub:r:") for line in stranger.holds(person.fingerprint).splitlines())
    assert ldap_certificates(made, person.address) == []
    assert json.loads(capability(made, person.address).body)["profiles"] == []
    code, words = rcpt(made, person.address)
    assert (code, b"revoked" in words) == (550, True)
    assert on_the_page()["error"] == "certificate-revoked"
    assert time.monotonic() - since < 60
    told = {row["family"]: row["why"] for row in made.command("key_history", address=person.address)}
    assert told == {"openpgp": "revoked", "x509": "revoked"}


# ------------------------------------------------------------------------------------ Thunderbird


@pytest.mark.timeout(1000)
def test_thunderbird_finds_a_key_when_its_holder_is_written_to(
    made: world.World, helene: Professional
) -> None:
    """In the Web Key Directory, and at a key server that it was given; a patient's in neither."""
    installed()
    patient = intruder.activated(made, "Odile", "RENARD", 651)
    nobody = f"x@{world.DOMAIN}"
    command = [sys.executable, str(_DISCOVER), "--demo-json", str(made.folder / "demo.json")]
    command += ["--keyservers", f"vks://{HOST}", "--held", helene.address]
    for one in (helene.address, patient.address, nobody):
        command += ["--email", one]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    (key,) = found[helene.address]
    assert key["fingerprint"].upper() == helene.fingerprint
    assert key["emails"] == [helene.address]
    assert {one["type"] for one in key["sources"]} == {"wkd", "keyserver"}
    assert found[patient.address] == found[nobody] == []
