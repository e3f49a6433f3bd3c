"""Signature fields read strictly: strangers wrote them, and nothing they write raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server import mime
from mail_server.signatures import marks
from mail_server.signatures.key_records import standing
from tests.effort import least_cpu, steps

GOOD = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=un; h=from:to; bh=AAAA; b=BBBB"


def mark(text: str) -> marks.Mark:
    [found] = marks.read(mime.fields(f"DKIM-Signature: {text}\r\n\r\n".encode()), "a.test").signatures
    return found


def test_a_signature_is_read() -> None:
    found = mark(GOOD + "; t=5; x=9; i=moi@sub.a.test")
    assert (found.domain, found.selector, found.names, found.fault) == ("a.test", "un", ("from", "to"), "")
    assert (found.signed_at, found.expires_at, found.identity, found.begun) == (5, 9, "sub.a.test", "BBBB")
    assert found.key_name == "un._domainkey.a.test"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("v=1", "v=2"), "version"),
        (("h=from:to", "h=to"), "From is not signed"),
        (("rsa-sha256", "rsa-sha1"), "a="),
        (("d=a.test", "d=a..test"), "d= or s="),
        (("d=a.test", "d=a.test/../b"), "d= or s="),
        (("s=un", "s=un deux"), "d= or s="),
        (("bh=AAAA", "bh=A*A"), "bh="),
        (("b=BBBB", "b="), "b="),
        (("c=relaxed/relaxed", "c=relaxed/nowsp"), "c="),
        (("v=1", "v=1; v=1"), "ill-formed"),
        (("v=1", "v"), "ill-formed"),
        (("v=1", "v=1; q=http"), "q="),
        (("v=1", "v=1; t=demain"), "t="),
        (("v=1", "v=1; i=@autre.test"), "i= is outside d="),
        (("v=1", "v=1; i=@xa.test"), "i= is outside d="),
        (("h=from:to", "h=from::to"), "h="),
    ],
)
def test_what_is_not_as_the_standard_has_it_is_a_fault(change: tuple[str, str], fault: str) -> None:
    assert mark(GOOD.replace(*change, 1)).fault == fault


@pytest.mark.parametrize(
    "one",
    [
        "DKIM-Signature:\r\n",
        f"DKIM-Signature: {GOOD}\r\n",
        "ARC-Seal: i=1;\r\n",
        "DKIM-Signature: h=" + "a:" * 8000,
    ],
)
def test_a_header_full_of_signatures_does_not_hold_the_loop(one: str) -> None:
    fields = mime.fields((one.rstrip() + "\r\n").encode() * (mime.MAX_HEADER // len(one)))
    assert steps(lambda: marks.read(fields, "a.test")) < mime.MAX_HEADER, "less than one for each octet"
    assert least_cpu(lambda: marks.read(fields, "a.test"), 1) < 1  # a thousandth, where nothing else runs


def test_more_names_than_any_letter_has_fields_are_a_fault() -> None:
    assert mark(GOOD.replace("h=from:to", "h=from:" + ":".join(["a"] * 499))).fault == ""
    assert mark(GOOD.replace("h=from:to", "h=from:" + ":".join(["a"] * 500))).fault == "h="


def test_a_field_of_enormous_size_is_not_read() -> None:
    assert mark(GOOD + "; z=" + "a" * 20_000).fault == "ill-formed"


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_nothing_that_is_written_raises(values: list[bytes]) -> None:
    names = [b"DKIM-Signature", b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]
    block = b"".join(names[at % 4] + b": " + value + b"\r\n" for at, value in enumerate(values)) + b"\r\n"
    found = marks.read(mime.fields(block), "a.test")
    assert len(found.signatures) <= marks.MOST_SIGNATURES


@given(st.text(max_size=120), st.sampled_from(["rsa-sha256", "ed25519-sha256"]))
def test_no_key_record_raises(record: str, algorithm: str) -> None:
    found = standing("v=DKIM1; p=" + record, algorithm)
    assert found.fault or found.bits
