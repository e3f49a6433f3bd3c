"""Authentication-Results: what is written for the reader, and what is taken away as somebody else's forgery."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

import pytest

from mail_server import mime
from mail_server.signatures import results
from mail_server.signatures.results import NOTHING, Handover, Judged, Result, Verified
from tests.mail_server.signatures.desk import AUTHOR, Desk

US = "mx.node.test"


_METHOD = re.compile(r"(\S+?)=(\S+)(?: \([^()]*\))?((?: [\w.-]+=(?:\"(?:[^\"\\\\]|\\\\.)*\"|[^\s;\"]+))*)")


def parsed(field: bytes) -> list[tuple[str, str, str]]:
    """Method, result and properties of each, by the grammar of RFC 8601 §2.2."""
    name, _, value = " ".join(field.decode("ascii").split()).partition(": ")
    authserv_id, *methods = value.split("; ")
    assert (name, authserv_id) == ("Authentication-Results", US)
    found: list[tuple[str, str, str]] = []
    for method in methods:
        match = _METHOD.fullmatch(method)
        assert match is not None, method
        found.append((match[1], match[2], match[3].strip()))
    return found


async def test_what_passed_is_written_as_the_standard_has_it(desk: Desk) -> None:
    told = parsed(results.written(US, await desk.verify(desk.signed()), None))
    assert [one[:2] for one in told] == [("dkim", "pass"), ("dkim", "pass"), ("arc", "none")]
    selector = desk.signer.pair(AUTHOR).rsa_selector
    assert told[1][2].startswith(f"header.d={AUTHOR} header.s={selector} header.a=rsa-sha256 header.b=")


def test_who_handed_over_is_told_with_their_name_quoted() -> None:
    field = results.written(US, NOTHING, Handover('CN=mx "a",O=Hôpital\r\nX: y', "mss.a.test"))
    assert b'x-tls=pass policy.dn="CN=mx \\"a\\",O=H?pital??X: y"' in field
    assert b"x-mss=pass policy.domain=mss.a.test\r\n" in field
    assert len(mime.fields(field + b"\r\n")) == 1


def test_where_nobody_looked_nothing_is_said_of_signatures() -> None:
    assert results.written(US, None, None) == b"Authentication-Results: mx.node.test;\r\n\tnone\r\n"


async def test_nothing_of_a_hostile_signature_gets_out_of_its_value(desk: Desk) -> None:
    letter = (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=a; h=from; bh=AAAA; b=AA(;dkim=pass header.d=a.test)\r\n"
        b'DKIM-Signature: v=1; a=rsa-sha256"; d=x.test\x00; s=a; h=from; bh=AAAA; b=AAAA\r\n'
        b"DKIM-Signature: v=1;; ;=\r\nFrom: <a@a.test>\r\n\r\ncorps\r\n"
    )
    told = parsed(results.written(US, await desk.verify(letter, "a.test"), None))
    assert [result for _, result, _ in told] == ["permerror", "permerror", "permerror", "none"]


def test_a_weak_key_is_noted_beside_its_pass() -> None:
    from mail_server.signatures.marks import Mark

    mark = Mark(0, "a.test", "s", "rsa-sha256", begun="AAAA+/==")
    field = results.written(US, Verified((Judged(mark, Result.PASS, bits=1024),)), None)
    assert (
        b'dkim=pass (1024-bit key) header.d=a.test header.s=s header.a=rsa-sha256 header.b="AAAA+/=="'
        in field
    )


@pytest.mark.parametrize(
    "forged",
    [
        b"Authentication-Results: mx.node.test; dkim=pass\r\n",
        b"authentication-results: MX.Node.Test; dkim=pass\r\n",
        b'Authentication-Results: "mx.node.test"; dkim=pass\r\n',
        b'Authentication-Results: "mx.n\\ode.test"; dkim=pass\r\n',
        b"Authentication-Results: (sure) mx.node.test 1; dkim=pass\r\n",
        b"Authentication-Results:\r\n\tmx.node.test;\r\n\tdkim=pass\r\n",
        b"Authentication-Results: mx.node.test\r\n",
    ],
)
def test_a_field_in_our_name_is_taken_away(forged: bytes) -> None:
    letter = (
        b"From: <a@b.test>\r\n"
        + forged
        + b"X-Note: a\r\n "
        + forged.replace(b"\r\n", b" ")
        + b"\r\n\r\ncorps\r\n"
    )
    cleaned = results.without_forged(letter, mime.fields(letter), US)
    names = [one.name for one in mime.fields(cleaned)]
    assert names == ["from", "x-note"]
    assert cleaned.endswith(b"\r\n\r\ncorps\r\n")


def test_fields_of_others_stay_and_the_letter_is_the_same_object() -> None:
    letter = (
        b"Authentication-Results: autre.test; dkim=pass\r\nARC-Authentication-Results: i=1; mx.node.test\r\n"
        b"X-Note: voir\r\n Authentication-Results: mx.node.test; dkim=pass\r\n\r\ncorps\r\n"
    )
    assert results.without_forged(letter, mime.fields(letter), US) is letter


def test_the_field_is_one_that_a_mail_program_reads() -> None:
    field = results.written(US, NOTHING, Handover("CN=mx,O=Hopital", "mss.a.test"))
    message = message_from_bytes(field + b"\r\n", policy=policy.default)
    assert " ".join(str(message["Authentication-Results"]).split()).startswith(
        "mx.node.test; dkim=none; arc=none; x-tls=pass"
    )
