"""On well-formed messages we see what the standard library sees (its `compat32` parser)."""

import base64
import email
import email.message
import email.policy
import itertools
import quopri

from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.mime import decoded_body, parse

NUMBERS = itertools.count(10**6)
WORD = st.text("abcdefghij", min_size=1, max_size=8)
TEXT = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30), max_size=5
).map("\r\n".join)


@st.composite
def leaves(draw):
    kind = draw(
        st.sampled_from(
            ["text/plain; charset=utf-8", 'text/html; charset="utf-8"', "application/x-odd", None]
        )
    )
    encoding = draw(st.sampled_from(["base64", "quoted-printable", "8bit", None]))
    clear = draw(TEXT).encode()
    body = {
        "base64": lambda: base64.encodebytes(clear).replace(b"\n", b"\r\n"),
        "quoted-printable": lambda: quopri.encodestring(clear.replace(b"\r\n", b"\n")).replace(
            b"\n", b"\r\n"
        ),
    }.get(encoding or "", lambda: clear.replace(b"--", b"=="))()
    header = b""
    if kind:
        header += b"Content-Type: " + kind.encode() + b"\r\n"
    if encoding:
        header += b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n"
    name = draw(st.one_of(st.none(), WORD))
    if name:
        header += b'Content-Disposition: attachment;\r\n\tfilename="' + name.encode() + b'.x"\r\n'
    return header + b"\r\n" + body


@st.composite
def multiparts(draw, children):
    boundary = f"=_{draw(WORD)}{next(NUMBERS)}"  # two nested ones never the same
    line = boundary.encode()
    parts = draw(st.lists(children, min_size=1, max_size=3))
    # Without a type, a part of a digest is a message, and this one's first line would be no field.
    typed = all(part.startswith(b"Content-Type:") for part in parts)
    subtype = draw(st.sampled_from(["mixed", "alternative", "x-odd", *(["digest"] if typed else [])]))
    body = b"".join(b"--" + line + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + line + b"--\r\n"
    prologue = draw(st.sampled_from([b"", b"This is MIME\r\n"]))
    return (
        b"Content-Type: multipart/"
        + subtype.encode()
        + b';\r\n boundary="'
        + line
        + b'"\r\n\r\n'
        + prologue
        + body
    )


def messages_inside(children):
    return children.map(lambda inner: b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + inner)


ENTITIES = st.recursive(leaves(), lambda below: multiparts(below) | messages_inside(below), max_leaves=8)


def same(message: bytes, ours, theirs: email.message.Message) -> None:
    assert ours.content_type == theirs.get_content_type()
    if ours.children:
        inside = theirs.get_payload()
        assert len(ours.children) == len(inside)
        for mine, yours in zip(ours.children, inside, strict=True):
            same(message, mine, yours)
        return
    assert ours.filename == theirs.get_filename()
    assert (ours.charset or "") == str(theirs.get_content_charset() or "") or not theirs.get("Content-Type")
    assert decoded_body(message, ours) == theirs.get_payload(decode=True)


@settings(max_examples=150, deadline=None)
@given(ENTITIES)
def test_same_tree_and_same_decoded_content(entity):
    message = b"From: a@b\r\nMIME-Version: 1.0\r\n" + entity
    same(message, parse(message), email.message_from_bytes(message, policy=email.policy.compat32))
