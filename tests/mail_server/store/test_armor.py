"""The fixed armor: byte-stable, of known size, readable by every OpenPGP program at hand."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.store.armor import armor, armor_lines, armor_size, crc24


@given(st.binary(max_size=300), st.binary(max_size=80_000))
def test_size_and_lines_are_what_arithmetic_says(packets, body):
    text = armor(packets, body)
    assert len(text) == armor_size(len(packets) + len(body))
    assert text.count(b"\r\n") == armor_lines(len(packets) + len(body))
    lines = text.split(b"\r\n")
    assert lines[:2] == [b"-----BEGIN PGP MESSAGE-----", b""]
    assert lines[-3][:1] == b"="
    assert lines[-2:] == [b"-----END PGP MESSAGE-----", b""]
    assert all(len(line) == 76 for line in lines[2:-4])
    assert base64.b64decode(b"".join(lines[2:-3])) == packets + body


def crc24_by_the_book(data):
    """RFC 9580 §6.1.1, as its sample code does it."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


@given(st.binary(max_size=3000))
def test_the_checksum_is_that_of_the_book(data):
    assert crc24(data) == crc24_by_the_book(data)


def test_the_checksum_of_large_data_is_that_of_the_book_too():
    data = bytes(range(256)) * 400
    assert crc24(data) == crc24_by_the_book(data)


def test_the_checksum_folds_over_its_own_period():
    """One bit, as far above the period of the generator as below it: x^(2^23 - 1) is 1."""
    period = (1 << 23) - 1  # in bytes here: eight periods of bits
    one = crc24(b"\x01" + bytes(100)) ^ crc24(bytes(101))
    far = crc24(b"\x01" + bytes(100 + period)) ^ crc24(bytes(101 + period))
    assert one == far


@pytest.mark.parametrize("length", [9000, 9001, 9002])
@pytest.mark.parametrize("program", ["gpg", "rnp", "sequoia"])
def test_programs_read_it_whatever_the_padding(program, length, tmp_path):
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    try:
        subprocess.run(
            [*gpg, "--quick-gen-key", "a@x.example", "future-default", "default"],
            check=True,
            capture_output=True,
        )
        clear = os.urandom(length)  # so that each of the three lengths modulo three comes about
        sealed = subprocess.run(
            [*gpg, "--trust-model", "always", "-e", "-r", "a@x.example"],
            input=clear,
            check=True,
            capture_output=True,
        ).stdout
        (tmp_path / "m.asc").write_bytes(armor(sealed[:50], sealed[50:]))
        if program == "gpg":
            command = [*gpg, "-d", str(tmp_path / "m.asc")]
            opened = subprocess.run(command, check=True, capture_output=True).stdout
        else:
            secret = subprocess.run(
                [*gpg, "--export-secret-keys", "a@x.example"], check=True, capture_output=True
            ).stdout
            opened = _rnp(tmp_path, secret) if program == "rnp" else _sequoia(tmp_path, secret)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    assert opened == clear


def _rnp(folder, secret):
    if shutil.which("rnp") is None:
        pytest.skip("rnp is not installed")
    (folder / "k.sec").write_bytes(secret)
    return subprocess.run(
        [
            "rnp",
            "-d",
            "--keyfile",
            str(folder / "k.sec"),
            "--password",
            "",
            "--output",
            "-",
            str(folder / "m.asc"),
        ],
        check=True,
        capture_output=True,
    ).stdout


def _sequoia(folder, secret):
    key = pysequoia.Tsk.from_bytes(secret)
    return pysequoia.decrypt((folder / "m.asc").read_bytes(), key.decryptor()).bytes
