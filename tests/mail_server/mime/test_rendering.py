"""A split message renders as the whole one would."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.mime import header_field, render, render_encrypted, wrap


def armored(packets: bytes) -> bytes:
    lines = base64.encodebytes(packets).replace(b"\n", b"\r\n")
    return b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + lines + b"=AAAA\r\n-----END PGP MESSAGE-----\r\n"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["From", "To", "Subject", "Date", "Received"]), st.text(max_size=60)),
        max_size=6,
    ),
    st.binary(max_size=400),
    st.booleans(),
)
def test_head_and_tail_render_as_the_whole(lines, packets, newline):
    outer = b"".join(header_field(name, value) for name, value in lines)
    head, tail = wrap(outer, "=_0123456789abcdef")
    armor = armored(packets)
    armor = armor if newline else armor.rstrip()
    assert render_encrypted(head, len(armor), armor.count(b"\n"), tail) == render(head + armor + tail)


def test_a_head_that_is_no_multipart_still_renders_as_the_whole():
    head, armor, tail = b"Subject: x\r\n\r\nbefore\r\n", armored(b"abc"), b"after\r\n"
    assert render_encrypted(head, len(armor), armor.count(b"\n"), tail) == render(head + armor + tail)


def test_the_header_is_the_block_with_its_blank_line():
    rendered = render(b"A: 1\r\nB: 2\r\n\r\nbody")
    assert rendered.header == b"A: 1\r\nB: 2\r\n\r\n"
    assert rendered.size == 18


def test_the_repr_hides_what_is_rendered():
    assert "secret" not in repr(render(b"Subject: secret\r\n\r\n"))
