"""The gate: who passes, who is refused, and in which words."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pysequoia
import pytest

from directory.openpgp import armor
from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import address_of, gate, inspect
from directory.openpgp.packets import Tag, frame, public_key, span, spans
from directory.openpgp.reasons import SENTENCES, in_french, refusal
from directory.openpgp.signatures import Hash, Kind, Sub
from tests.directory.moment import NOW

DAY = 86_400_000
ADDRESS = "zoe.martin@cabinet.mss.example"


def refused(data: bytes, address: str = ADDRESS, at: int = NOW) -> str:
    """The reason of a refusal."""
    with pytest.raises(CertificateRefused) as caught:
        gate(data, address, at)
    return caught.value.reason


def tags(data: bytes) -> list[int]:
    return [part.tag for part in spans(data)]


# ------------------------------------------------------------ who passes


def test_a_gnupg_key_passes_and_is_reduced_to_five_packets(doctor: bytes, gnupg: Any) -> None:
    passed = gate(doctor, ADDRESS, NOW)
    primary, subkey = gnupg.fingerprints(f"=Dr Zoé Martin <{ADDRESS}>")
    assert passed.fingerprint == primary
    assert passed.encryption_key_id == subkey[-16:]
    assert passed.address == ADDRESS
    assert tags(passed.minimised) == [
        Tag.PUBLIC_KEY,
        Tag.USER_ID,
        Tag.SIGNATURE,
        Tag.PUBLIC_SUBKEY,
        Tag.SIGNATURE,
    ]
    assert not passed.operator_held


def test_the_minimised_certificate_passes_again_as_itself(doctor: bytes) -> None:
    passed = gate(doctor, ADDRESS, NOW)
    assert gate(passed.minimised, ADDRESS, NOW) == passed


def test_armored_and_binary_are_the_same(doctor: bytes) -> None:
    assert gate(armor.armor(doctor, "PUBLIC KEY BLOCK"), ADDRESS, NOW) == gate(doctor, ADDRESS, NOW)


def test_armor_with_crlf_comments_and_text_around_is_read(doctor: bytes) -> None:
    text = armor.armor(doctor, "PUBLIC KEY BLOCK").replace(b"-----\n\n", b"-----\nComment: hello\n\n", 1)
    mailed = b"Bonjour, voici ma cl\xc3\xa9 :\n" + text + b"-- \nZ.\n"
    assert gate(mailed.replace(b"\n", b"\r\n"), ADDRESS, NOW).address == ADDRESS


def test_the_address_is_compared_without_regard_to_case(doctor: bytes) -> None:
    assert gate(doctor, ADDRESS.upper(), NOW).address == ADDRESS


def test_rsa_3072_passes(gnupg: Any) -> None:
    fingerprint = gnupg.make("rsa@x.example", "rsa3072", "rsa3072")
    assert gate(gnupg.public(fingerprint), "rsa@x.example", NOW).fingerprint == fingerprint


def test_rsa_2048_passes_until_the_end_of_2030(gnupg: Any) -> None:
    data = gnupg.public(gnupg.make("short@x.example", "rsa2048", "rsa2048", expire="0"))
    assert gate(data, "short@x.example", NOW).not_after == 1_924_992_000_000
    assert refused(data, "short@x.example", 1_930_000_000_000) == "weak-key"


@pytest.mark.parametrize("curve", [pysequoia.CipherSuite.P256, pysequoia.CipherSuite.P384])
def test_nist_curves_pass(curve: Any) -> None:
    key = pysequoia.Tsk.generate("n@x.example", profile=pysequoia.Profile.RFC4880, cipher_suite=curve)
    assert gate(bytes(key.extract_certificate()), "n@x.example", NOW)


def test_a_key_that_advertises_newer_features_passes() -> None:
    key = pysequoia.Tsk.generate("n@x.example", profile=pysequoia.Profile.RFC4880)
    assert gate(bytes(key.extract_certificate()), "n@x.example", NOW)


@pytest.mark.parametrize("features", [None, 0x00, 0x01, 0x08, 0x09])
def test_whatever_the_features_say_a_version_4_key_passes(forge: ModuleType, features: int | None) -> None:
    assert gate(forge.Forge().certificate(ADDRESS, features=features), ADDRESS, NOW)


def test_a_key_made_by_rnp_without_features_passes(tmp_path: Path) -> None:
    if shutil.which("rnpkeys") is None:
        pytest.skip("rnp is not installed")
    home = ["--homedir", str(tmp_path)]
    subprocess.run(
        ["rnpkeys", *home, "--password", "", "--generate-key", "--numbits", "3072", "--userid", ADDRESS],
        check=True,
        capture_output=True,
    )
    exported = subprocess.run(
        ["rnpkeys", *home, "--export-key", ADDRESS], check=True, capture_output=True
    ).stdout
    assert gate(exported, ADDRESS, int(time.time() * 1000)).not_after is not None


def test_the_newest_usable_encryption_subkey_is_the_one(gnupg: Any) -> None:
    fingerprint = gnupg.make("two@x.example", "ed25519", "cv25519", "--faked-system-time", "20260101T000000!")
    gnupg.run("--quick-add-key", fingerprint, "cv25519", "encr", "1y")
    newest = gnupg.fingerprints("=two@x.example")[-1]
    passed = gate(gnupg.public(fingerprint), "two@x.example", NOW)
    assert passed.encryption_key_id == newest[-16:]
    assert tags(passed.minimised).count(Tag.PUBLIC_SUBKEY) == 1


def test_only_the_asked_user_id_is_published_with_all_subkeys(gnupg: Any) -> None:
    fingerprint = gnupg.make("pro@x.example")
    gnupg.run("--quick-add-uid", fingerprint, "private@home.example")
    gnupg.run("--quick-add-key", fingerprint, "ed25519", "sign", "1y")
    passed = inspect(gnupg.public(fingerprint), "pro@x.example", NOW)
    assert b"private@home.example" not in passed.published
    assert tags(passed.published).count(Tag.PUBLIC_SUBKEY) == 2
    assert len(passed.identities) == 3


def test_expiry_is_the_earliest_of_key_and_subkey(forge: ModuleType) -> None:
    made = forge.Forge()
    week = (7 * 86_400).to_bytes(4, "big")
    data = made.head + made.user_id(ADDRESS) + made.bind(says=[(Sub.KEY_EXPIRES_AFTER, week)])
    assert gate(data, ADDRESS, NOW).not_after == (made.created + 7 * 86_400) * 1000


def test_an_extended_key_lives_as_long_as_its_newest_signature_says(forge: ModuleType) -> None:
    made = forge.Forge(created=forge.NOW - 40 * 86_400)
    month, year = ((days * 86_400).to_bytes(4, "big") for days in (30, 365))
    old = made.user_id(ADDRESS, says=[(Sub.KEY_EXPIRES_AFTER, month)])
    new = made.user_id(ADDRESS, says=[(Sub.KEY_EXPIRES_AFTER, year)], made=forge.NOW)
    certification = new[span(new).end :]
    assert refused(made.head + old + made.bind()) == "expired"
    assert gate(made.head + old + certification + made.bind(), ADDRESS, NOW)


def test_the_operator_s_mark_is_seen(gnupg: Any) -> None:
    fingerprint = gnupg.make(
        "held@x.example", "ed25519", "cv25519", "--cert-notation", "operator-held@vaguemestre.example=1"
    )
    assert gate(gnupg.public(fingerprint), "held@x.example", NOW).operator_held


def test_what_is_remembered_still_expires(forge: ModuleType) -> None:
    made = forge.Forge()
    hours = (3600 + 5400).to_bytes(4, "big")  # the forge makes keys an hour old
    data = made.head + made.user_id(ADDRESS, says=[(Sub.KEY_EXPIRES_AFTER, hours)]) + made.bind()
    first = gate(data, ADDRESS, NOW)
    assert gate(data, ADDRESS, NOW) is first
    assert first.not_after is not None
    assert refused(data, at=first.not_after) == "expired"
    assert refused(data, "b@mss.example") == "user-id-of-another"


# ------------------------------------------------------------ who is refused


def test_an_expired_key_is_refused(gnupg: Any) -> None:
    fingerprint = gnupg.make("old@x.example", "ed25519", "cv25519", "--faked-system-time", "20200101T000000!")
    assert refused(gnupg.public(fingerprint), "old@x.example") == "expired"


def test_a_key_passes_today_and_not_after_its_end(doctor: bytes) -> None:
    end = gate(doctor, ADDRESS, NOW).not_after
    assert end is not None
    assert gate(doctor, ADDRESS, end - DAY)
    assert refused(doctor, at=end) == "expired"


def test_an_expired_subkey_under_a_living_key_is_refused_as_expired(forge: ModuleType) -> None:
    made = forge.Forge()
    minute = (60).to_bytes(4, "big")
    data = made.head + made.user_id(ADDRESS) + made.bind(says=[(Sub.KEY_EXPIRES_AFTER, minute)])
    assert refused(data) == "expired"


def test_a_revoked_key_is_refused(gnupg: Any) -> None:
    fingerprint = gnupg.make("gone@x.example")
    gnupg.run("--import", data=gnupg.revocation(fingerprint))
    assert refused(gnupg.public(fingerprint), "gone@x.example") == "revoked"


def test_a_revocation_is_believed_even_with_a_weak_hash(forge: ModuleType) -> None:
    made = forge.Forge()
    revocation = made.direct(Kind.KEY_REVOCATION, [(Sub.REVOCATION_REASON, b"\x00")], Hash.SHA1)
    assert refused(made.head + revocation + made.user_id(ADDRESS) + made.bind()) == "revoked"


def test_a_revocation_by_a_stranger_is_not_believed(forge: ModuleType) -> None:
    made, stranger = forge.Forge(), forge.Forge()
    forged = stranger.sign(Kind.KEY_REVOCATION, b"\x99" + made.primary.body, [])
    assert gate(made.head + forged + made.user_id(ADDRESS) + made.bind(), ADDRESS, NOW)


def test_a_revocation_by_a_designated_revoker_is_believed(forge: ModuleType) -> None:
    made, revoker = forge.Forge(), forge.Forge()
    named = b"\x80\x16" + bytes.fromhex(revoker.primary.fingerprint)
    appointment = made.direct(Kind.DIRECT_KEY, [(Sub.REVOCATION_KEY, named)])
    revocation = revoker.sign(Kind.KEY_REVOCATION, b"", [])
    data = made.head + appointment + revocation + made.user_id(ADDRESS) + made.bind()
    assert refused(data) == "revoked"


def test_a_revoked_subkey_is_refused(forge: ModuleType) -> None:
    made = forge.Forge()
    from_signatures = made.sign(
        Kind.SUBKEY_REVOCATION,
        b"".join(
            b"\x99" + len(key.body).to_bytes(2, "big") + key.body for key in (made.primary, made.subkey)
        ),
        [],
    )
    assert refused(made.head + made.user_id(ADDRESS) + made.bind() + from_signatures) == "revoked"


def test_a_revoked_user_id_is_refused(gnupg: Any) -> None:
    fingerprint = gnupg.make("moved@x.example")
    gnupg.run("--quick-add-uid", fingerprint, "new@x.example")
    gnupg.run("--quick-revoke-uid", fingerprint, "moved@x.example")
    data = gnupg.public(fingerprint)
    assert refused(data, "moved@x.example") == "revoked"
    assert gate(data, "new@x.example", NOW)


def test_the_user_id_of_another_is_refused(doctor: bytes) -> None:
    assert refused(doctor, "somebody@else.example") == "user-id-of-another"


def test_an_address_that_only_stands_in_the_name_is_not_the_address(forge: ModuleType) -> None:
    made = forge.Forge()
    data = made.head + made.user_id(f"{ADDRESS} <thief@evil.example>") + made.bind()
    assert refused(data) == "user-id-of-another"


def test_a_user_id_that_the_key_never_signed_is_refused(forge: ModuleType) -> None:
    made, victim = forge.Forge(), forge.Forge()
    assert refused(made.head + victim.user_id(ADDRESS) + made.bind()) == "user-id-of-another"


def test_a_subkey_that_the_key_never_bound_is_left_aside(forge: ModuleType) -> None:
    made, victim = forge.Forge(), forge.Forge()
    assert refused(made.head + made.user_id(ADDRESS) + victim.bind()) == "no-encryption-subkey"


def test_a_secret_key_is_refused_loudly(gnupg: Any, doctor: bytes) -> None:
    secret = gnupg.secret(f"=Dr Zoé Martin <{ADDRESS}>")
    assert refused(secret) == "secret-key-offered"
    assert refused(armor.armor(secret, "PRIVATE KEY BLOCK")) == "secret-key-offered"
    assert refused(armor.armor(secret, "PUBLIC KEY BLOCK")) == "secret-key-offered"
    assert refused(doctor + secret) == "secret-key-offered"
    assert refused(secret + b"\xc6\xff") == "secret-key-offered"


def test_two_certificates_are_refused(doctor: bytes, forge: ModuleType) -> None:
    other = forge.Forge().certificate("o@x.example")
    assert refused(doctor + other) == "several-certificates"
    block = armor.armor(doctor, "PUBLIC KEY BLOCK")
    assert refused(block + block) == "several-certificates"


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\x00", b"\xff\xff", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n", frame(13, b"x")],
)
def test_rubbish_is_not_a_certificate(data: bytes) -> None:
    assert refused(data) == "not-a-certificate"


def test_a_message_is_not_a_certificate(doctor: bytes) -> None:
    message = pysequoia.encrypt(b"x", [pysequoia.Cert.from_bytes(doctor)])
    assert refused(bytes(message)) == "not-a-certificate"


def test_damaged_armor_is_refused(doctor: bytes) -> None:
    block = armor.armor(doctor, "PUBLIC KEY BLOCK")
    at = block.index(b"\n\n") + 20
    damaged = block[:at] + (b"A" if block[at : at + 1] != b"A" else b"B") + block[at + 1 :]
    assert refused(damaged) == "not-a-certificate"


def test_too_large_is_refused_before_it_is_read(doctor: bytes) -> None:
    assert refused(doctor + frame(Tag.USER_ID, b"x" * 300_000)) == "too-large"


@pytest.mark.parametrize("kind", ["rsa1024", "dsa2048"])
def test_weak_primary_keys_are_refused(gnupg: Any, kind: str) -> None:
    fingerprint = gnupg.make(f"{kind}@x.example", kind, None)
    assert refused(gnupg.public(fingerprint), f"{kind}@x.example") == "weak-key"


@pytest.mark.parametrize("kind", ["rsa1024", "elg2048"])
def test_weak_encryption_subkeys_are_refused(gnupg: Any, kind: str) -> None:
    fingerprint = gnupg.make(f"sub-{kind}@x.example", "ed25519", kind)
    assert refused(gnupg.public(fingerprint), f"sub-{kind}@x.example") == "weak-key"


def test_sha1_self_signatures_alone_are_refused(forge: ModuleType) -> None:
    made = forge.Forge()
    weak_user_id = made.user_id(ADDRESS, hashed_with=Hash.SHA1)
    assert refused(made.head + weak_user_id + made.bind()) == "weak-key"
    assert refused(made.head + made.user_id(ADDRESS) + made.bind(hashed_with=Hash.SHA1)) == "weak-key"


def test_a_better_signature_beside_a_sha1_one_is_enough(forge: ModuleType) -> None:
    made = forge.Forge()
    weak = made.user_id(ADDRESS, hashed_with=Hash.SHA1, made=made.created + 9)
    strong = made.user_id(ADDRESS)
    assert gate(made.head + strong + weak[span(weak).end :] + made.bind(), ADDRESS, NOW)


def test_a_key_without_encryption_subkey_is_refused(gnupg: Any) -> None:
    fingerprint = gnupg.make("sign@x.example", "ed25519", None)
    assert refused(gnupg.public(fingerprint), "sign@x.example") == "no-encryption-subkey"


def test_an_encryption_key_that_its_owner_meant_for_authentication_is_not_used(forge: ModuleType) -> None:
    made = forge.Forge()
    assert refused(made.head + made.user_id(ADDRESS) + made.bind(flags=0x20)) == "no-encryption-subkey"


@pytest.mark.parametrize(
    "how",
    [
        {"profile": pysequoia.Profile.RFC9580},
        {
            "profile": pysequoia.Profile.RFC4880,
            "encryption_algorithm": pysequoia.EncryptionAlgorithm.X25519,
            "signing_algorithm": pysequoia.SigningAlgorithm.Ed25519,
        },
        {
            "profile": pysequoia.Profile.RFC4880,
            "encryption_algorithm": pysequoia.EncryptionAlgorithm.MLKEM768_X25519,
        },
        {"profile": pysequoia.Profile.RFC4880, "cipher_suite": pysequoia.CipherSuite.Cv448},
    ],
    ids=["version-6", "algorithms-25-27", "post-quantum", "cv448"],
)
def test_what_common_programs_cannot_read_is_refused(how: dict[str, Any]) -> None:
    key = pysequoia.Tsk.generate("new@x.example", **how)
    data = bytes(key.extract_certificate())
    assert refused(data, "new@x.example") == "unreadable-by-common-programs"


@pytest.mark.parametrize("curve", ["brainpoolP256r1", "secp256k1"])
def test_rare_curves_are_refused(gnupg: Any, curve: str) -> None:
    fingerprint = gnupg.make(f"{curve}@x.example", curve, curve)
    assert refused(gnupg.public(fingerprint), f"{curve}@x.example".lower()) == "unreadable-by-common-programs"


def test_a_key_from_the_future_is_refused(forge: ModuleType) -> None:
    made = forge.Forge(created=forge.NOW + 10 * 86_400)
    assert refused(made.certificate(ADDRESS)) == "not-yet-valid"


def test_a_signature_that_has_itself_ended_does_not_count(forge: ModuleType) -> None:
    made = forge.Forge()
    ended = made.user_id(ADDRESS, says=[(Sub.EXPIRES_AFTER, (60).to_bytes(4, "big"))])
    assert refused(made.head + ended + made.bind()) == "expired"


def test_a_signature_with_an_unknown_critical_subpacket_does_not_count(forge: ModuleType) -> None:
    made = forge.Forge()
    critical = made.user_id(ADDRESS, says=[(0x80 | 99, b"x")])
    assert refused(made.head + critical + made.bind()) == "user-id-of-another"


def test_no_flipped_bit_in_a_minimised_certificate_lets_it_pass(doctor: bytes) -> None:
    """Any change of what is signed, or of the signatures, is a refusal; of unhashed hints, the same key or none."""
    passed = gate(doctor, ADDRESS, NOW)
    dice = random.Random(20261121)
    for _ in range(400):
        data = bytearray(passed.minimised)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            again = gate(bytes(data), ADDRESS, NOW)
        except CertificateRefused:
            continue
        assert (again.fingerprint, again.encryption_key_id) == (passed.fingerprint, passed.encryption_key_id)


def test_rubbish_of_any_kind_raises_nothing_but_a_refusal(doctor: bytes) -> None:
    dice = random.Random(7)
    for _ in range(300):
        data = bytearray(doctor)
        for _ in range(dice.randrange(1, 20)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        cut = bytes(data[: dice.randrange(len(data))])
        for attempt in (bytes(data), cut):
            try:
                assert isinstance(gate(attempt, ADDRESS, NOW), Certificate)
            except CertificateRefused:
                continue


# ------------------------------------------------------------ words


@pytest.mark.parametrize("reason", sorted(SENTENCES))
def test_every_reason_is_said_in_ascii_english_and_in_french(reason: str) -> None:
    assert refusal(reason).sentence.isascii()
    assert refusal(reason).reason == reason
    assert in_french(reason) != refusal(reason).sentence


@pytest.mark.parametrize(
    ("user_id", "address"),
    [
        ("Zoé <Z@X.example>", "z@x.example"),
        ("z@x.example", "z@x.example"),
        ("<z@x.example>", "z@x.example"),
        ("a@b.example <z@x.example>", "z@x.example"),
        ("Zoé", None),
        ("Zoé z@x.example", None),
        ("Zoé <z@x.example", None),
        ("", None),
    ],
)
def test_the_address_of_a_user_id(user_id: str, address: str | None) -> None:
    assert address_of(user_id.encode()) == address


def test_a_user_id_that_is_not_utf_8_has_no_address() -> None:
    assert address_of(b"\xff <z@x.example>") is None


def test_the_same_key_material_dressed_with_another_date_is_the_same_identity(forge: ModuleType) -> None:
    made = forge.Forge()
    other = forge.Forge(created=made.created - 5, signing=made.signing, decrypting=made.decrypting)
    assert made.primary.fingerprint != other.primary.fingerprint
    assert public_key(made.primary.body).identity == other.primary.identity
