"""Cutting the egress key's packet out of a PGP/MIME letter: the rest is what it was."""

from __future__ import annotations

import base64
import binascii
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import gate
from directory.openpgp.packets import Tag, frame
from mail_server import mime
from mail_server.outbound.egress.cutting import CannotCut, cut, key_ids, names, packets_without
from mail_server.store.armor import crc24
from tests.effort import least_cpu

HEAD = b"From: a@mss.example\r\nTo: b@mss.example\r\nX-Odd : kept \r\nSubject: [...] abcd\r\n"
EGRESS = "0123456789ABCDEF"


@dataclass(frozen=True)
class Shape:
    """How a program writes its armor."""

    columns: int = 64
    newline: bytes = b"\r\n"
    header: bytes = b""
    checksum: bool = True
    encoding: str = ""


def armored(data: bytes, shape: Shape) -> bytes:
    digits = base64.b64encode(data)
    lines = [b"-----BEGIN PGP MESSAGE-----"]
    lines += [shape.header, b""] if shape.header else [b""]
    lines += [digits[at : at + shape.columns] for at in range(0, len(digits), shape.columns)]
    if shape.checksum:
        lines.append(b"=" + base64.b64encode(crc24(data).to_bytes(3, "big")))
    return shape.newline.join([*lines, b"-----END PGP MESSAGE-----", b""])


def letter(data: bytes, shape: Shape | None = None) -> bytes:
    shape = shape or Shape()
    text = armored(data, shape)
    told = b""
    if shape.encoding == "base64":
        text = base64.encodebytes(text)
    elif shape.encoding == "quoted-printable":
        text = binascii.b2a_qp(text, istext=True)
    if shape.encoding:
        told = b"Content-Transfer-Encoding: " + shape.encoding.encode() + b"\r\n"
    return (
        HEAD
        + b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="q q"\r\n\r\n'
        + b"prologue\r\n--q q\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
        + b'--q q\r\nContent-Type: application/octet-stream; name="encrypted.asc"\r\n'
        + told
        + b"\r\n"
        + text
        + b"\r\n--q q--\r\nepilogue\r\n"
    )


def pkesk(key_id: str, rest: bytes = b"session") -> bytes:
    return frame(Tag.PKESK, b"\x03" + bytes.fromhex(key_id) + b"\x12" + rest)


def message(ids: list[str], body: bytes = b"\x01ciphertext") -> bytes:
    return b"".join(pkesk(one) for one in ids) + frame(Tag.SEIPD, body)


def ciphertext(data: bytes) -> bytes:
    found = mime.ciphertext(data, mime.parse(data))
    assert found is not None
    return found.data


shapes = st.builds(
    Shape,
    columns=st.sampled_from([60, 64, 76]),
    newline=st.sampled_from([b"\r\n", b"\n"]),
    header=st.sampled_from([b"", b"Version: OpenPGP.js v6", b"Comment: \xe9t\xe9"]),
    checksum=st.booleans(),
    encoding=st.sampled_from(["", "7bit", "base64", "quoted-printable"]),
)
key_id = st.binary(min_size=8, max_size=8).filter(any).map(lambda one: one.hex().upper())


@settings(max_examples=150, deadline=None)
@given(
    shapes,
    st.lists(key_id, min_size=1, max_size=4).filter(lambda ids: EGRESS not in ids),
    st.integers(0, 4),
    st.binary(max_size=200),
)
def test_only_that_key_packet_goes_and_everything_else_stays(
    shape: Shape, others: list[str], place: int, body: bytes
) -> None:
    ids = [*others[:place], EGRESS, *others[place:]]
    whole = letter(message(ids, b"\x01" + body), shape)
    done = cut(whole, EGRESS)
    assert key_ids(done) == tuple(others)
    assert ciphertext(done) == message(others, b"\x01" + body)
    before, after = mime.parse(whole), mime.parse(done)
    assert done[: after.children[1].body_start] == whole[: before.children[1].body_start]
    assert done[after.children[1].body_end :] == whole[before.children[1].body_end :]
    if shape.checksum and not shape.encoding:
        assert done == letter(message(others, b"\x01" + body), shape)


@settings(max_examples=50, deadline=None)
@given(shapes, st.lists(key_id, min_size=1, max_size=3).filter(lambda ids: EGRESS not in ids))
def test_a_letter_without_that_key_packet_is_the_same_to_the_byte(shape: Shape, others: list[str]) -> None:
    whole = letter(message(others), shape)
    assert cut(whole, EGRESS) == whole
    assert not names(whole, EGRESS)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_whatever_comes_it_is_cut_or_refused(data: bytes) -> None:
    for whole in (data, letter(data)):
        try:
            assert EGRESS not in key_ids(cut(whole, EGRESS))
        except CannotCut:
            continue


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 300), st.integers(0, 255))
def test_damage_anywhere_leaves_no_packet_of_that_key(at: int, octet: int) -> None:
    damaged = bytearray(letter(message(["A" * 16, EGRESS, "B" * 16])))
    damaged[len(damaged) - 1 - at % len(damaged)] = octet
    try:
        done = cut(bytes(damaged), EGRESS)
    except CannotCut:
        return
    assert EGRESS not in key_ids(done)


def test_a_fingerprint_of_the_subkey_names_it_as_well() -> None:
    whole = letter(message([EGRESS, "A" * 16]))
    assert key_ids(cut(whole, "F" * 24 + EGRESS.lower())) == ("A" * 16,)


def test_every_packet_of_that_key_goes() -> None:
    assert packets_without(message([EGRESS, "A" * 16, EGRESS]), EGRESS) == message(["A" * 16])


@pytest.mark.parametrize(
    "whole",
    [
        HEAD + b"\r\nclear\r\n",
        letter(b"not packets"),
        letter(message([EGRESS])),  # nobody could open what is left
        letter(message(["A" * 16]) + b"behind"),
        letter(frame(Tag.LITERAL, b"b\0\0\0\0\0clear")),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(whole: bytes) -> None:
    with pytest.raises(CannotCut):
        cut(whole, EGRESS)


def test_a_hidden_key_id_cannot_be_cut() -> None:
    with pytest.raises(CannotCut):
        cut(letter(message(["0" * 16, "A" * 16])), "0" * 16)


@pytest.fixture(scope="module")
def people() -> Iterator[tuple[Path, Certificate, Certificate]]:
    with tempfile.TemporaryDirectory(prefix="vm-cut-") as folder:
        home = Path(folder)

        def gpg(*arguments: str) -> bytes:
            command = [
                "gpg",
                "--homedir",
                str(home),
                "--batch",
                "--yes",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
            ]
            return subprocess.run(
                [*command, "--passphrase", "", *arguments], check=True, capture_output=True
            ).stdout

        made: list[Certificate] = []
        for address in ("b@mss.example", "egress@mss.example"):
            gpg("--quick-gen-key", address, "ed25519", "sign,cert", "2y")
            listed = gpg("--with-colons", "--list-keys", f"={address}").decode()
            fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
            gpg("--quick-add-key", fingerprint, "cv25519", "encr", "2y")
            made.append(gate(gpg("--export", fingerprint), address, time.time_ns() // 1_000_000))
        yield home, made[0], made[1]
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False, capture_output=True)


@pytest.mark.parametrize("extra", range(3))  # each length of padding: GnuPG 2.2 stumbles over one of them
def test_gnupg_opens_what_was_cut(people: tuple[Path, Certificate, Certificate], extra: int) -> None:
    home, own, egress = people
    certificates = [pysequoia.Cert.from_bytes(one.minimised) for one in (own, egress)]
    clear = b"Subject: a\r\n\r\ntext" + b"x" * extra
    whole = letter(bytes(pysequoia.encrypt(clear, certificates, armor=False)), Shape(checksum=False))
    done = cut(whole, egress.encryption_key_id)
    assert key_ids(done) == (own.encryption_key_id,)
    part = mime.parse(done).children[1].body(done)
    opened = subprocess.run(
        [
            "gpg",
            "--homedir",
            str(home),
            "--batch",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            "-d",
        ],
        input=part,
        capture_output=True,
        check=True,
    )
    assert opened.stdout == clear


def test_a_large_letter_is_cut_in_seconds_at_the_most() -> None:
    whole = letter(message([EGRESS, "A" * 16], b"\x01" + bytes(20 << 20)))
    assert len(cut(whole, EGRESS)) < len(whole)
    assert least_cpu(lambda: cut(whole, EGRESS), 6) < 6  # 0.3 s where nothing else runs
