"""Relaxed canonicalisation against the examples of RFC 6376, and against dkimpy on whatever bytes there are."""

from __future__ import annotations

import hashlib

import pytest
from dkim import canonicalization
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from mail_server.signatures import canonical
from tests.effort import least_cpu

CRLF = b"\r\n"


def hashed(body: bytes) -> bytes:
    return canonical.body_hash(body, 0)


def sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def test_header_fields_of_the_standards_example() -> None:
    # RFC 6376 §3.4.5
    assert canonical.field(b"A", b" X\r\n") == b"a:X\r\n"
    assert canonical.field(b"B ", b" Y\t\r\n\tZ  \r\n") == b"b:Y Z\r\n"


def test_body_of_the_standards_example() -> None:
    # RFC 6376 §3.4.5
    assert hashed(b" C \r\nD \t E\r\n\r\n\r\n") == sha256(b" C\r\nD E\r\n")


@pytest.mark.parametrize("nothing", [b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n\t\r\n", b" "])
def test_a_body_of_empty_lines_is_empty(nothing: bytes) -> None:
    # RFC 6376 §3.4.4: nothing is left, not even a line end.
    assert hashed(nothing) == sha256(b"")


def test_a_last_line_without_end_gets_one() -> None:
    assert hashed(b"fin") == hashed(b"fin\r\n") == sha256(b"fin\r\n")


def dkimpys(body: bytes) -> bytes:
    """What dkimpy's own Relaxed does: in our workers its place is taken."""
    stripped = canonicalization.strip_trailing_whitespace(body)
    return canonicalization.correct_empty_body(
        canonicalization.strip_trailing_lines(canonicalization.compress_whitespace(stripped))
    )


lines = st.lists(st.text(alphabet="ab \t", max_size=8).map(str.encode), max_size=12)


@given(lines)
def test_bodies_are_written_as_dkimpy_writes_them(some: list[bytes]) -> None:
    body = b"".join(line + CRLF for line in some)
    assert hashed(body) == sha256(dkimpys(body))


@given(st.text(alphabet="ab \t\r\n", max_size=40).map(str.encode))
def test_bodies_are_verified_as_dkimpy_would_verify_them_however_they_are_laid(body: bytes) -> None:
    assert canonical.relaxed_body(body) == dkimpys(body)
    assert canonical.simple_body(body) == canonicalization.strip_trailing_lines(body)


@given(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"a", b" ").replace(b"b", CRLF).replace(b"c", b"\t")),
    st.lists(st.integers(1, 7), max_size=40),
)
def test_slices_come_to_the_same_wherever_they_are_cut(body: bytes, cuts: list[int]) -> None:
    sliced = canonical.RelaxedBody()
    at = 0
    for length in cuts:
        sliced.update(body[at : at + length])
        at += length
    sliced.update(body[at:])
    whole = canonical.RelaxedBody()
    whole.update(body)
    assert sliced.digest() == whole.digest()


@given(
    st.text(alphabet="abAB-", min_size=1, max_size=8).map(str.encode),
    st.text(alphabet="ab \t", max_size=12).map(str.encode),
    st.text(alphabet="ab \t", max_size=12).map(str.encode),
)
def test_header_fields_are_written_as_dkimpy_writes_them(name: bytes, first: bytes, second: bytes) -> None:
    value = first + b"\r\n " + second + CRLF
    [(theirs, text)] = Relaxed.canonicalize_headers([(name, value)])
    assert canonical.field(name, value) == theirs + b":" + text


@pytest.mark.parametrize(
    "tail", [b"\r\n" * 500_000 + b"\r", b" " * 1_000_000, b"\t\r\n" * 300_000, b"\r" * 1_000_000]
)
def test_a_strange_tail_costs_its_length_and_not_its_square(tail: bytes) -> None:
    def work() -> None:
        hashed(b"a" + tail)
        canonical.relaxed_body(b"a" + tail + b"b")
        canonical.simple_body(b"a" + tail)

    assert least_cpu(work, 3) < 3  # a hundredth, where nothing else runs; the square is minutes
