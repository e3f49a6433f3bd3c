"""Armor: what is written is read back, and neither takes long, whatever stands in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.openpgp.armor import ArmorError, armor, crc24, dearmor
from tests.effort import least_cpu

LABEL = "PUBLIC KEY BLOCK"


@given(st.binary(min_size=1, max_size=3_000))
def test_what_is_armored_is_read_back(data: bytes) -> None:
    assert dearmor(armor(data, LABEL), LABEL) == data


def test_the_checksum_is_the_one_of_rfc_9580() -> None:
    assert crc24(b"123456789") == 0x21CF02


def test_headers_are_skipped_with_the_empty_line_behind_them() -> None:
    head, body = armor(b"data", LABEL).split(b"\n\n", 1)
    assert dearmor(head + b"\nVersion: 1\nComment: two\n\n" + body, LABEL) == b"data"


def test_headers_by_the_ten_thousands_take_no_time() -> None:
    text = (
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + b":\n" * 120_000 + b"-----END PGP PUBLIC KEY BLOCK-----\n"
    )
    assert dearmor(text, LABEL) == b""
    assert least_cpu(lambda: dearmor(text, LABEL), 0.7) < 0.7


def test_two_blocks_are_none() -> None:
    with pytest.raises(ArmorError):
        dearmor(armor(b"one", LABEL) + armor(b"two", LABEL), LABEL)
