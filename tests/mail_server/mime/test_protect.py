"""Header protection: what is inside the seal (RFC 9788)."""

from hypothesis import given
from hypothesis import strategies as st

from mail_server.mime import fields, parse, protect

MESSAGE = (
    b"Received: from x\r\n\tby y\r\nFrom: a@b\r\nBcc: hidden@x\r\nSubject: =?utf-8?q?Compte_rendu?=\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary="b"\r\nX-Odd:  kept \r\n\tas is\r\n'
    b"\r\n--b\r\n\r\nhello\r\n--b--\r\n"
)


def test_fields_keep_bytes_and_order_and_content_type_gains_its_marks():
    inner = protect(
        MESSAGE, [("Subject", b"[...] abcd"), ("From", b"a@b")], [b"Vaguemestre-Received: x\r\n"], {"bcc"}
    )
    assert inner == (
        b"Received: from x\r\n\tby y\r\nFrom: a@b\r\nSubject: =?utf-8?q?Compte_rendu?=\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary="b"; hp="cipher"; protected-headers="v1"\r\n'
        b"X-Odd:  kept \r\n\tas is\r\n"
        b"HP-Outer: Subject: [...] abcd\r\nHP-Outer: From: a@b\r\nVaguemestre-Received: x\r\n"
        b"\r\n--b\r\n\r\nhello\r\n--b--\r\n"
    )
    assert parse(inner).children[0].body(inner) == b"hello"


def test_a_message_without_type_or_version_gets_both():
    assert protect(b"Subject: x\r\n\r\nhello\r\n", []) == (
        b"Subject: x\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset=us-ascii; hp="cipher"; protected-headers="v1"\r\n'
        b"\r\nhello\r\n"
    )


def test_marks_that_came_with_the_message_are_replaced():
    for value in (
        b'text/plain; hp="clear"; charset=utf-8',
        b"text/plain; HP=clear ; charset=utf-8",
        b'text/plain; charset=utf-8; protected-headers="v1"',
        b"text/plain; charset=utf-8;",
    ):
        inner = protect(b"Content-Type: " + value + b"\r\n\r\nx", [])
        assert parse(inner).params == (
            (b"charset", b"utf-8"),
            (b"hp", b"cipher"),
            (b"protected-headers", b"v1"),
        )


def test_a_quoted_name_that_looks_like_a_mark_is_left_alone():
    inner = protect(b'Content-Type: a/b; name="x; hp=clear"\r\n\r\n', [])
    assert parse(inner).params[0] == (b"name", b"x; hp=clear")


def test_hp_outer_from_outside_is_dropped():
    inner = protect(b"HP-Outer: Subject: forged\r\nSubject: x\r\n\r\n", [("Subject", b"[...]")])
    assert [field.value for field in fields(inner) if field.name == "hp-outer"] == [b"Subject: [...]"]


def test_outer_values_may_be_folded_but_open_no_field():
    inner = protect(
        b"\r\n", [("To", b"a@b,\r\n c@d"), ("From", b"x\r\nEvil: y")], [b"Ours: a\r\nEvil: b\r\n"]
    )
    assert b"HP-Outer: To: a@b,\r\n c@d\r\n" in inner
    assert "evil" not in [field.name for field in fields(inner)]


def test_a_message_that_is_only_a_header_gets_its_blank_line():
    inner = protect(b"Subject: x", [])
    assert inner.startswith(b"Subject: x\r\nMIME-Version: 1.0\r\n")
    assert inner.endswith(b"\r\n\r\n")


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_body_is_untouched(header, body):
    whole = b"A: " + header.replace(b"\n", b"") + b"\r\n\r\n" + body
    inner = protect(whole, [("Subject", b"x")])
    assert inner.endswith(b"\r\n\r\n" + body)
    assert inner.startswith(b"A: ")
