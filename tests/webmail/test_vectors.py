"""The page's keys and letters held against others: GnuPG, Sequoia, the server's own sealing, `cryptography`.

The page's modules are built for Node; its worker answers questions as a program. What must stay true for ever lies in
`vectors/` and is checked by both sides.
"""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from deploy.demo.browser import derivations
from directory.openpgp import packets
from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.payloads.findings import find
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import Sealed
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings
from mail_server.sealing.universal import split
from mail_server.store.armor import armor
from webmail import built_page
from webmail.ui import build

UI = Path(build.__file__).parent
VECTORS = Path(__file__).parent / "vectors"
PATIENT = "0f3c9a7be2d14c55@patient.mss.example"
SHOWN = "267017506512334@patient.mss.example"
DOCTOR = "claire.martin@chu.mss.example"


@dataclass
class Page:
    """The worker of a page, as a program."""

    process: subprocess.Popen[str]
    asked: int = 0
    ms: float = 0

    def answer(self, operation: str, given: object = None) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.asked += 1
        self.process.stdin.write(
            json.dumps({"id": self.asked, "operation": operation, "given": given}) + "\n"
        )
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.ms = found["ms"]
        return found

    def ask(self, operation: str, given: object = None) -> Any:
        found = self.answer(operation, given)
        assert "made" in found, f"{operation}: {found.get('slug')}"
        return found["made"]

    def refusal(self, operation: str, given: object = None) -> str:
        found = self.answer(operation, given)
        assert "slug" in found, f"{operation} was answered"
        return found["slug"]

    def open(self, message: bytes, authors: list[str] | None = None, gateway: str = "") -> dict[str, Any]:
        letter = {"id": f"M{self.asked}", "data": blob(message), "authors": authors or [], "gateway": gateway}
        return self.ask("open", letter)

    def compose(self, certificates: list[str], **changes: Any) -> dict[str, Any]:
        letter = {
            "from": {"name": "Élise Durand", "address": SHOWN},
            "to": [DOCTOR],
            "subject": "Une question sur mes résultats",
            "text": "Bonjour docteur,\n\nJ’ai mal là.\n",
            "files": [],
            "inReplyTo": "",
            "references": [],
            "outerSubject": "",
            "certificates": certificates,
            "date": 1795000000000,
        }
        return self.ask("seal", letter | changes)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def blob(data: bytes) -> dict[str, str]:
    return {"bytes": text(data)}


@pytest.fixture
def page(programs: tuple[Path, Path]) -> Iterator[Page]:
    node, folder = programs
    process = subprocess.Popen(
        [str(node), str(folder / "command.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Page(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Patient:
    """A page that is open, with a key made in it."""

    page: Page
    certificate: bytes = field(repr=False)

    @property
    def told(self) -> str:
        return text(self.certificate)


@pytest.fixture
def patient(page: Page) -> Patient:
    page.ask("beginAccount", {"account": "A1"})
    made = page.ask("makeKey", {"address": PATIENT, "years": 0})
    return Patient(page, base64.b64decode(made["certificate"]))


@dataclass
class Program:
    """Somebody with GnuPG."""

    home: Path

    def run(self, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [
            "gpg",
            "--homedir",
            str(self.home),
            "--batch",
            "--yes",
            "--no-tty",
            "--trust-model",
            "always",
        ]
        command += ["--pinentry-mode", "loopback", *arguments]
        return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)

    def make(self, address: str, passphrase: str = "") -> bytes:
        made = self.run(
            "--passphrase", passphrase, "--quick-gen-key", f"<{address}>", "ed25519", "sign,cert", "2y"
        )
        assert made.returncode == 0, made.stderr
        listed = self.run("--with-colons", "--list-keys", address).stdout.decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        added = self.run("--passphrase", passphrase, "--quick-add-key", fingerprint, "cv25519", "encr", "2y")
        assert added.returncode == 0, added.stderr
        return self.run("--export", address).stdout

    def opens(self, message: bytes) -> tuple[EmailMessage, str]:
        """The entity in a PGP/MIME letter, and what GnuPG said of it."""
        outside = email.message_from_bytes(message, policy=email.policy.default)
        sealed = outside.get_payload(1)
        assert isinstance(sealed, EmailMessage)
        done = self.run("--status-fd", "2", "--passphrase", "", "--decrypt", data=sealed.get_content())
        assert done.returncode == 0, done.stderr
        inside = email.message_from_bytes(done.stdout, policy=email.policy.default)
        assert isinstance(inside, EmailMessage)
        return inside, done.stderr.decode("utf-8", "replace")


@pytest.fixture
def doctor() -> Iterator[Program]:
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    yield Program(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


# ------------------------------------------------------------------------------------------- the page's own tests


@pytest.mark.parametrize("name", ["mime", "crypto", "vectors", "flows", "codes"])
def test_the_page_s_own_tests_pass(programs: tuple[Path, Path], name: str) -> None:
    node, folder = programs
    command = [str(node), str(folder / f"{name}.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# tests 0\n" not in done.stdout


def test_the_sheet_of_html_letters_is_the_one_that_the_page_s_policy_names() -> None:
    source = (UI / "src" / "lib" / "html.ts").read_text()
    sheet = source.partition("const SHEET =")[2].partition(";\nconst ")[0]
    words = "".join(re.findall(r'"([^"]*)"', sheet))
    digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode("ascii")
    assert f"sha256-{digest}" == built_page.LETTER_SHEET
    assert f'"{built_page.LETTER_SHEET}"' in source


# ------------------------------------------------------------------------------------------------- fixed vectors


@pytest.fixture(scope="session")
def derived() -> dict[str, Any]:
    return json.loads((VECTORS / "derivations.json").read_text())


@pytest.fixture(scope="session")
def letters() -> dict[str, Any]:
    return json.loads((VECTORS / "letters.json").read_text())


def test_a_password_and_a_sheet_open_the_same_account_key_here(derived: dict[str, Any]) -> None:
    ways = [
        (derivations.from_password(one["password"], base64.b64decode(one["salt"])), one)
        for one in derived["passwords"]
    ]
    ways += [(derivations.from_recovery(one), derived["recovery"]) for one in derived["recovery"]["typed"]]
    for split_secret, told in ways:
        assert text(split_secret.login) == told["login"]
        wrapped = base64.b64decode(told["wrapped"])
        opened = derivations.unwrap_account_key(split_secret.kek, wrapped, derived["account"])
        assert text(opened) == derived["accountKey"]


def test_codes_that_the_page_refuses_are_refused_here(derived: dict[str, Any]) -> None:
    for typed in derived["recovery"]["refused"]:
        with pytest.raises(ValueError, match=r"recovery code|substring not found"):
            derivations.from_recovery(typed)


def test_the_letter_that_the_page_once_sealed_opens_with_gnupg(
    letters: dict[str, Any], doctor: Program
) -> None:
    assert doctor.run("--import", data=base64.b64decode(letters["secret"])).returncode == 0
    inside, said = doctor.opens(base64.b64decode(letters["page"]["message"]))
    assert "[GNUPG:] GOODSIG" in said
    assert inside["Subject"] == letters["page"]["letter"]["subject"]


# ----------------------------------------------------------------------------------------------------- keys


def test_a_key_made_in_the_page_passes_the_gate_and_says_it_is_universal(patient: Patient) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    assert certificate.not_after is None
    assert not certificate.operator_held
    assert b"\x02\x1e\x01" in patient.certificate  # Features: 0x01 alone
    versions = [
        part.body(patient.certificate)[0]
        for part in packets.spans(patient.certificate)
        if part.tag in (packets.Tag.PUBLIC_KEY, packets.Tag.PUBLIC_SUBKEY)
    ]
    assert versions == [4, 4]


def test_a_professional_s_key_ends_in_two_years(page: Page) -> None:
    page.ask("beginAccount", {"account": "A1"})
    made = page.ask("makeKey", {"address": DOCTOR, "years": 2})
    now = int(time.time() * 1000)
    ends = gate(base64.b64decode(made["certificate"]), DOCTOR, now).not_after
    assert ends is not None
    assert abs(ends - now - 2 * 365 * 86_400_000) < 120_000


def test_an_exported_key_imports_into_gnupg_and_opens_letters(patient: Patient, doctor: Program) -> None:
    fingerprint = gate(patient.certificate, PATIENT, int(time.time() * 1000)).fingerprint
    given = {"fingerprint": fingerprint, "passphrase": "ma phrase à moi"}
    armored = patient.page.ask("exportKey", given)["armored"]
    imported = doctor.run("--passphrase", "ma phrase à moi", "--import", data=armored.encode())
    assert imported.returncode == 0, imported.stderr
    sealed = doctor.run("--recipient", PATIENT, "--encrypt", data=b"clair").stdout
    assert doctor.run("--passphrase", "ma phrase à moi", "--decrypt", data=sealed).stdout == b"clair"


def test_gnupg_s_key_is_imported_with_its_passphrase_only(page: Page, doctor: Program) -> None:
    certificate = doctor.make(DOCTOR, "phrase de passe")
    exported = doctor.run("--passphrase", "phrase de passe", "--armor", "--export-secret-keys", DOCTOR)
    given = {"armored": exported.stdout.decode(), "passphrase": "phrase de passe", "address": DOCTOR}
    page.ask("beginAccount", {"account": "A1"})
    assert page.refusal("importKey", given | {"passphrase": "faux"}) == "passphrase-wrong"
    assert page.refusal("importKey", given | {"address": "autre@chu.mss.example"}) == "key-other-address"
    public = doctor.run("--armor", "--export", DOCTOR).stdout.decode()
    assert page.refusal("importKey", given | {"armored": public}) == "key-public-only"
    made = page.ask("importKey", given)
    now = int(time.time() * 1000)
    assert (
        gate(base64.b64decode(made["certificate"]), DOCTOR, now).fingerprint
        == gate(certificate, DOCTOR, now).fingerprint
    )
    sealed = doctor.run("--recipient", DOCTOR, "--encrypt", data=b"ab" * 32).stdout
    assert page.ask("answerChallenge", {"message": text(sealed)})["nonce"] == "ab" * 32


def test_a_challenge_made_by_the_server_s_library_is_answered(patient: Patient) -> None:
    certificate = pysequoia.Cert.from_bytes(patient.certificate)
    message = bytes(pysequoia.encrypt(recipients=[certificate], bytes=b"0c" * 32, armor=False))
    assert patient.page.ask("answerChallenge", {"message": text(message)})["nonce"] == "0c" * 32


# --------------------------------------------------------------------------------------------------- writing


def test_a_letter_from_the_page_opens_with_gnupg_signed_and_with_its_true_subject(
    patient: Patient, doctor: Program
) -> None:
    certificate = doctor.make(DOCTOR)
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    made = patient.page.compose([text(certificate)])
    inside, said = doctor.opens(base64.b64decode(made["message"]["bytes"]))
    assert "[GNUPG:] GOODSIG" in said
    assert "[GNUPG:] DECRYPTION_INFO 2 9" in said  # SEIPDv1, AES-256
    assert inside["Subject"] == "Une question sur mes résultats"
    assert inside["From"] == f"Élise Durand <{SHOWN}>"
    assert inside.get_content() == "Bonjour docteur,\r\n\r\nJ’ai mal là.\r\n"
    assert inside["Content-Type"].params["hp"] == "cipher"
    assert inside["Content-Type"].params["protected-headers"] == "v1"


def test_each_outer_field_is_told_inside(patient: Patient, doctor: Program) -> None:
    certificate = doctor.make(DOCTOR)
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    made = patient.page.compose(
        [text(certificate)],
        inReplyTo="<a@chu.mss.example>",
        references=["<b@chu.mss.example>"],
        outerSubject="[...] wxyz",
    )
    message = base64.b64decode(made["message"]["bytes"])
    outside = email.message_from_bytes(message, policy=email.policy.default)
    inside, _ = doctor.opens(message)
    told = {line.partition(":")[0]: line.partition(":")[2].strip() for line in inside.get_all("HP-Outer", [])}
    stands = {
        name: str(value).strip()
        for name, value in outside.items()
        if name not in ("MIME-Version", "Content-Type", "Autocrypt")  # that tells a key, not what was written
    }
    assert told == stands
    assert stands["Subject"] == "[...] wxyz"
    assert stands["References"] == "<b@chu.mss.example> <a@chu.mss.example>"


def test_it_is_in_the_universal_shape_for_exactly_its_readers(patient: Patient, doctor: Program) -> None:
    now = int(time.time() * 1000)
    other = gate(doctor.make(DOCTOR), DOCTOR, now)
    own = gate(patient.certificate, PATIENT, now)
    made = patient.page.compose([text(other.minimised), text(own.minimised), text(other.minimised)])
    message = base64.b64decode(made["message"]["bytes"])
    found = mime.ciphertext(message, mime.parse(message))
    assert found is not None
    wanted = {one.encryption_key_id: one.fingerprint for one in (own, other)}
    assert len(split(found.data, wanted, None)[0]) == 2
    summary = base64.b64decode(made["summary"])
    assert len(summary) <= 4096
    assert len(split(summary, {own.encryption_key_id: own.fingerprint}, None)[0]) == 1


def test_a_reader_without_a_features_packet_or_asking_for_more_gets_the_universal_shape(
    patient: Patient,
) -> None:
    modern = pysequoia.Tsk.generate(DOCTOR).extract_certificate()
    made = patient.page.compose([text(bytes(modern))])
    message = base64.b64decode(made["message"]["bytes"])
    found = mime.ciphertext(message, mime.parse(message))
    assert found is not None
    tags = [packets.span(found.data)]
    while tags[-1].tag == packets.Tag.PKESK:
        assert tags[-1].body(found.data)[0] == 3
        tags.append(packets.span(found.data, tags[-1].end))
    assert packets.seipd_version(found.data, tags[-1]) == 1


def test_sequoia_opens_it_and_finds_the_signature_good(patient: Patient) -> None:
    secret = pysequoia.Tsk.generate(DOCTOR)
    made = patient.page.compose([text(bytes(secret.extract_certificate()))])
    message = base64.b64decode(made["message"]["bytes"])
    found = mime.ciphertext(message, mime.parse(message))
    assert found is not None
    author = pysequoia.Cert.from_bytes(patient.certificate)

    def store(_: list[str]) -> list[pysequoia.Cert]:
        return [author]

    opened = pysequoia.decrypt(decryptor=secret.decryptor(), bytes=found.data, store=store)
    assert opened.bytes is not None
    assert [one.certificate for one in opened.valid_sigs] == [author.fingerprint]
    assert "résultats" in mime.decoded(mime.parse(bytes(opened.bytes)).fields[b"subject"])


def test_attachments_of_several_megabytes_arrive_whole(patient: Patient, doctor: Program) -> None:
    certificate = doctor.make(DOCTOR)
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    scan = b"%PDF-1.7\n" + os.urandom(3_000_000)
    files = [{"name": "compte rendu été.pdf", "type": "application/pdf", "data": blob(scan)}]
    made = patient.page.compose([text(certificate)], files=files)
    inside, _ = doctor.opens(base64.b64decode(made["message"]["bytes"]))
    [attached] = inside.iter_attachments()
    assert attached.get_filename() == "compte rendu été.pdf"
    assert attached.get_content() == scan


# --------------------------------------------------------------------------------------------------- reading


REPORT = (
    f"From: =?utf-8?q?H=C3=B4pital?= <rapports@chu.mss.example>\r\nTo: {SHOWN}\r\nSubject: =?utf-8?b?w4l0w6k=?=\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour, été.\r\n"
).encode()


@dataclass
class Operator:
    """The server's own sealing, with its gateway's certificate."""

    engine: OpenPgpEngine
    gateway: str


@pytest.fixture
async def operator() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="vm-auth-"))
    authority = Authority(folder / "authority", AesKeyWrapper(b"k" * 32), "mss.example")
    authority.make()
    pool = Pool(SealingSettings(workers=1, deadline_seconds=10))
    await pool.start()
    await pool.load(authority.signing_key())
    yield Operator(OpenPgpEngine(pool), authority.certificate().decode("ascii"))
    await pool.close()
    shutil.rmtree(folder, ignore_errors=True)


def joined(sealed: Sealed) -> bytes:
    return b"".join(one.packet for one in sealed.key_packets) + sealed.body


def framed(
    message: bytes, fields: bytes = b"From: rapports@chu.mss.example\r\nSubject: [...] abcd\r\n"
) -> bytes:
    head, tail = mime.wrap(fields, "b" * 20)
    return head + armor(b"", message) + tail


async def test_what_the_server_seals_opens_in_the_page_with_its_summary(
    patient: Patient, operator: Operator
) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    inner = mime.protect(REPORT, [("Subject", b"[...] abcd")])
    summary = find(REPORT, mime.parse(REPORT)).summary or b""
    sealed = await operator.engine.seal(inner, [certificate], summary)
    made = patient.page.open(framed(joined(sealed)), gateway=operator.gateway)
    assert (made["subject"], made["text"], made["signature"]) == ("Été", "Bonjour, été.", "gateway")
    assert made["from"] == {"name": "Hôpital", "address": "rapports@chu.mss.example"}
    assert sealed.beside is not None
    line = {"id": "M2", "summary": text(joined(sealed.beside)), "keyIds": [certificate.encryption_key_id]}
    [shown] = patient.page.ask("lines", {"letters": [line]})
    assert shown["line"] == json.loads(summary)
    assert shown["line"] == made["line"]


async def test_a_list_of_fifty_is_opened_at_once(patient: Patient, operator: Operator) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    letters: list[dict[str, Any]] = []
    for number in range(50):
        report = REPORT.replace(b"Bonjour", b"Lettre %d" % number)
        sealed = await operator.engine.seal(
            report, [certificate], find(report, mime.parse(report)).summary or b""
        )
        assert sealed.beside is not None
        letters.append({"id": f"M{number}", "summary": text(joined(sealed.beside)), "keyIds": []})
    shown = patient.page.ask("lines", {"letters": letters})
    assert [one["line"]["text"] for one in shown] == [f"Lettre {number}, été." for number in range(50)]
    assert patient.page.ms < 2000
    patient.page.ask("lines", {"letters": letters})
    assert patient.page.ms < 200  # from what this device keeps


async def test_a_name_inside_counts_only_with_the_address_outside(
    patient: Patient, operator: Operator
) -> None:
    certificate = gate(patient.certificate, PATIENT, int(time.time() * 1000))
    sealed = await operator.engine.seal(REPORT, [certificate])
    outside = b"From: Escroc <escroc@ailleurs.example>\r\nSubject: [...] abcd\r\n"
    made = patient.page.open(framed(joined(sealed), outside), gateway=operator.gateway)
    assert made["from"] == {"name": "Escroc", "address": "escroc@ailleurs.example"}


def signed_and_sealed(doctor: Program, entity: bytes, *more: str) -> bytes:
    done = doctor.run("--passphrase", "", "--recipient", PATIENT, *more, "--encrypt", data=entity)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gnupg_s_letter_is_its_author_s_only_by_the_author_s_certificate(
    patient: Patient, doctor: Program
) -> None:
    certificate = text(doctor.make(DOCTOR))
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = framed(signed_and_sealed(doctor, REPORT, "--sign"))
    assert patient.page.open(message, [certificate])["signature"] == "author"
    assert patient.page.open(message, [])["signature"] == "unknown"
    assert patient.page.open(message, [patient.told])["signature"] == "unknown"
    assert patient.page.open(framed(signed_and_sealed(doctor, REPORT)), [certificate])["signature"] == "none"


def test_a_signature_apart_inside_the_seal_is_looked_at_over_the_entity_as_it_lies(
    patient: Patient, doctor: Program
) -> None:
    certificate = text(doctor.make(DOCTOR))
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    for altered, wanted in ((False, "author"), (True, "bad")):
        signature = doctor.run("--passphrase", "", "--armor", "--detach-sign", data=REPORT).stdout
        shown = REPORT.replace(b"Bonjour", b"Bonsoir") if altered else REPORT
        entity = (
            b'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary=s\r\n'
            b"\r\n--s\r\n" + shown + b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n"
            + signature.replace(b"\n", b"\r\n") + b"\r\n--s--\r\n"
        )  # fmt: skip
        made = patient.page.open(framed(signed_and_sealed(doctor, entity)), [certificate])
        assert made["signature"] == wanted
        assert made["subject"] == "Été"
        assert made["parts"] == []


def test_a_letter_to_another_key_is_locked_and_a_damaged_one_is_not_opened(
    patient: Patient, doctor: Program
) -> None:
    doctor.make(DOCTOR)
    other = doctor.run("--recipient", DOCTOR, "--encrypt", data=REPORT).stdout
    made = patient.page.open(framed(other))
    assert (made["opened"], made["locked"], made["text"]) == (False, True, "")
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = bytearray(signed_and_sealed(doctor, REPORT))
    message[-30] ^= 1
    made = patient.page.open(framed(bytes(message)))
    assert (made["opened"], made["locked"], made["text"], made["subject"]) == (False, False, "", "")


def test_nothing_in_a_letter_makes_the_page_fail(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    hostile = [
        b"",
        b"\0" * 5000,
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n" * 50,
        b"Content-Type: multipart/encrypted; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n",
        b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-",
        b"Subject: " + b"=?utf-8?q?=?=" * 3000 + b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 200,
        framed(b"\xc1" * 300),
        framed(b"\xd2\xff\xff\xff\xff\xff" + b"a" * 100),
    ]
    for entity in hostile:
        assert patient.page.open(entity)["signature"] in ("none", "unknown", "bad")
        assert patient.page.open(framed(signed_and_sealed(doctor, entity)))["opened"] is True


def test_one_byte_changed_anywhere_never_shows_another_text(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    message = signed_and_sealed(doctor, REPORT, "--compress-algo", "none")
    for at in range(0, len(message), 7):
        altered = bytearray(message)
        altered[at] ^= 0x55
        made = patient.page.open(framed(bytes(altered)))
        assert made["text"] in ("", "Bonjour, été.")


def test_a_letter_that_swells_without_end_is_not_opened(patient: Patient, doctor: Program) -> None:
    assert doctor.run("--import", data=patient.certificate).returncode == 0
    bomb = signed_and_sealed(doctor, b"\r\n" + b"0" * 200_000_000, "--compress-algo", "zlib", "-z", "9")
    assert len(bomb) < 1_000_000
    assert patient.page.open(framed(bomb))["opened"] is False


def test_what_waited_is_given_to_the_page_s_key_and_opens_with_gnupg(
    page: Page, letters: dict[str, Any], doctor: Program
) -> None:
    """The vectors' waiting letter, swapped by the page, opened by a program that has only the holder's key."""
    assert doctor.run("--import", data=base64.b64decode(letters["secret"])).returncode == 0
    page.ask("beginAccount", {"account": letters["account"]})
    exported = doctor.run(
        "--armor", "--passphrase", "", "--export-secret-keys", letters["address"]
    ).stdout.decode()
    page.ask("importKey", {"armored": exported, "passphrase": "", "address": letters["address"]})
    waiting = base64.b64decode(letters["waitingSecret"])
    sealed = doctor.run("--recipient", letters["address"], "--encrypt", data=waiting).stdout
    page.ask("takeWaitingKey", {"message": text(sealed)})
    given = {"id": 1, "keyPackets": letters["waited"]["keyPackets"], "summaryKeyPackets": None}
    [swapped] = page.ask("swap", {"letters": [given]})
    packet = base64.b64decode(swapped["keyPackets"])
    own = gate(base64.b64decode(letters["certificate"]), letters["address"], int(time.time() * 1000))
    body = base64.b64decode(letters["waited"]["body"])
    assert len(split(packet + body, {own.encryption_key_id: own.fingerprint}, None)[0]) == 1
    done = doctor.run("--passphrase", "", "--decrypt", data=packet + body)
    assert b"vos r\xc3\xa9sultats sont joints" in done.stdout
