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
import subprocess
import time
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from deploy.demo.browser import derivations
from directory.openpgp import packets
from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.sealing.universal import split
from tests.webmail.worker import DOCTOR, PATIENT, SHOWN, Page, Patient, Program, blob, text
from tests.webmail.worker import doctor as doctor
from tests.webmail.worker import page as page
from tests.webmail.worker import patient as patient
from webmail import built_page
from webmail.ui import build

UI = Path(build.__file__).parent
VECTORS = Path(__file__).parent / "vectors"


# ------------------------------------------------------------------------------------------- the page's own tests


@pytest.mark.parametrize("name", ["mime", "crypto", "vectors", "flows", "codes", "index"])
def test_the_page_s_own_tests_pass(programs: tuple[Path, Path], name: str) -> None:
    node, folder = programs
    command = [str(node), str(folder / f"{name}.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
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
