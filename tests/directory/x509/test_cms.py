"""Whom an enveloped S/MIME message names: as openssl writes it, and whatever else the octets are."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from directory.x509.cms import CmsError, names_of, recipients
from tests.directory.smime import encrypted, own_certificate
from tests.effort import least_cpu

TEXT = b"Content-Type: text/plain\r\n\r\nBonjour.\r\n"


@dataclass
class Two:
    rsa: Path
    curve: Path
    folder: Path

    def der(self, file: Path) -> bytes:
        return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)

    def named(self, message: bytes) -> list[bool]:
        found = recipients(message)
        return [bool(found & names_of(self.der(one))) for one in (self.rsa, self.curve)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("smime")
    return Two(
        own_certificate(folder, "zoe@mss.example"),
        own_certificate(folder, "luc@mss.example", curve=True),
        folder,
    )


@pytest.mark.parametrize("cipher", ["-aes256", "-aes-256-gcm"], ids=["enveloped", "authEnveloped"])
@pytest.mark.parametrize("keyid", [[], ["-keyid"]], ids=["issuer and serial", "key identifier"])
@pytest.mark.parametrize("stream", [[], ["-stream"]], ids=["DER", "indefinite lengths"])
def test_each_whom_openssl_names_is_read_and_nobody_else(
    two: Two, cipher: str, keyid: list[str], stream: list[str]
) -> None:
    options = [cipher, *keyid, *stream, "-outform", "DER"]
    assert two.named(encrypted(TEXT, [two.rsa], *options)) == [True, False]
    assert two.named(encrypted(TEXT, [two.curve], *options)) == [False, True]
    both = encrypted(TEXT, [two.rsa, two.curve], *options)
    assert two.named(both) == [True, True]
    assert len(recipients(both)) == 2


def test_a_password_names_no_certificate(two: Two) -> None:
    message = encrypted(TEXT, [], "-aes256", "-pwri_password", "essai", "-outform", "DER")
    assert recipients(message) == frozenset()


def test_what_is_signed_or_digested_or_followed_by_more_is_not_enveloped(two: Two) -> None:
    signed = subprocess.run(
        ["openssl", "cms", "-sign", "-signer", two.rsa, "-inkey", two.rsa.with_suffix(".key"), "-outform", "DER"],
        input=TEXT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    for other in (signed, encrypted(TEXT, [two.rsa], "-outform", "DER") + b"en clair", b"", TEXT):
        with pytest.raises(CmsError):
            recipients(other)


def test_a_message_whose_ciphertext_is_elsewhere_is_not_enveloped(two: Two) -> None:
    message = encrypted(TEXT, [two.rsa], "-outform", "DER")
    with pytest.raises(CmsError, match="no ciphertext"):
        recipients(_without_ciphertext(message))


def test_twenty_megabytes_in_pieces_are_read(two: Two) -> None:
    message = encrypted(bytes(20_000_000), [two.rsa], "-binary", "-stream", "-outform", "DER")
    assert two.named(message) == [True, False]
    assert least_cpu(lambda: two.named(message), 1) < 1


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x30\x80" * 500_000,
        b"\x30\x80" + b"\x04\x00" * 500_000 + b"\0\0",
        b"\x30\x88" + b"\xff" * 8 + bytes(100),
        b"\x30\x84\x7f\xff\xff\xff",
    ],
    ids=["deep", "many", "longer than memory", "cut"],
)
def test_work_on_hostile_octets_is_bounded(bomb: bytes) -> None:
    def work() -> None:
        with pytest.raises(CmsError):
            recipients(bomb)

    assert least_cpu(work, 0.2) < 0.2


@given(st.binary(max_size=300))
def test_any_octets_are_an_answer_or_a_cms_error(data: bytes) -> None:
    for read in (recipients, names_of):
        with contextlib.suppress(CmsError):
            assert isinstance(read(data), frozenset)


@given(st.data())
def test_a_message_changed_anywhere_is_an_answer_or_a_cms_error(two: Two, data: st.DataObject) -> None:
    message = bytearray(
        _SAMPLES.setdefault(two.folder, encrypted(TEXT, [two.rsa, two.curve], "-stream", "-outform", "DER"))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for one in (bytes(message), bytes(message[:cut])):
        with contextlib.suppress(CmsError):
            assert isinstance(recipients(one), frozenset)


_SAMPLES: dict[Path, bytes] = {}


def _without_ciphertext(message: bytes) -> bytes:
    """The same with a detached content (RFC 5652 §6.1): its last field is left out, and lengths follow."""
    at = 0
    heads: list[int] = []
    while message[at] in (0x30, 0xA0) and message[at + 1] == 0x82:
        heads.append(at)
        at += 4
        if message[at] in (0x06, 0x02):
            at += 2 + message[at + 1]
            if message[at] == 0x31:
                at += 4 + int.from_bytes(message[at + 2 : at + 4], "big")
                break
    made = bytearray(message)
    size = 2 + made[at + 1]  # a short EncryptedContentInfo, the last of the message
    content = at + 2
    while made[content] != 0x80:  # past its type and its algorithm, whose random octets may be any
        content += 2 + made[content + 1]
    shorter = len(made) - content
    del made[content:]
    made[at + 1] = size - 2 - shorter
    for head in heads:
        length = int.from_bytes(made[head + 2 : head + 4], "big") - shorter
        made[head + 2 : head + 4] = length.to_bytes(2, "big")
    return bytes(made)
