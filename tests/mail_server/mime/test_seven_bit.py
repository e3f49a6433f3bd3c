"""A letter for servers without 8BITMIME: every part says what it said, in octets and lines that all servers take."""

from __future__ import annotations

from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st

from mail_server import mime

WORDS = "Œdème aigu — « à revoir »\r\n"
_HEAD = b"From: a@x.test\r\nMIME-Version: 1.0\r\n"


def part(kind: bytes, body: bytes, encoding: bytes = b"8bit") -> bytes:
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


def several(subtype: str, *parts: bytes) -> bytes:
    field, body = mime.multipart(subtype, parts, f"limite{len(b''.join(parts))}")
    return field + b"\r\n" + body


def fits(message: bytes) -> bool:
    return message.isascii() and all(len(line) <= 998 for line in message.split(b"\r\n"))


def said(message: bytes) -> list[tuple[str, bytes]]:
    return [
        (one.content_type, mime.decoded_body(message, one))
        for one in mime.parse(message).walk()
        if not one.children
    ]


def test_text_in_eight_bits_becomes_quoted_printable() -> None:
    letter = _HEAD + part(b"text/plain; charset=utf-8", WORDS.encode())
    made = mime.seven_bit(letter)
    assert fits(made)
    read = message_from_bytes(made, policy=policy.default)
    assert read["Content-Transfer-Encoding"] == "quoted-printable"
    assert read.get_content().replace("\r\n", "\n") == WORDS.replace("\r\n", "\n")


def test_anything_else_becomes_base64_and_its_siblings_stay() -> None:
    image = bytes(range(1, 256)).replace(b"\n", b"").replace(b"\r", b"") * 9
    plain = part(b"text/plain", b"en clair\r\n", b"7bit")
    letter = _HEAD + several("mixed", plain, part(b"image/png; name=a.png", image, b"binary"))
    made = mime.seven_bit(letter)
    assert fits(made)
    assert plain in made
    assert said(made)[1] == ("image/png", image)


def test_lines_that_no_server_must_take_are_broken_without_loss() -> None:
    body = b"x" * 5000 + b"\r\n.\r\nFrom b \r\n"
    letter = _HEAD + part(b"text/plain", body, b"7bit")
    made = mime.seven_bit(letter)
    assert fits(made)
    assert said(made) == [("text/plain", body)]


def test_a_letter_inside_a_letter_is_converted_within_and_relabelled() -> None:
    inside = _HEAD + several("alternative", part(b"text/html; charset=utf-8", WORDS.encode()))
    letter = _HEAD + several("mixed", part(b"message/rfc822", inside))
    made = mime.seven_bit(letter)
    assert fits(made)
    assert b"8bit" not in made
    assert said(made) == [("text/html", WORDS.encode())]


def test_what_is_signed_or_encrypted_keeps_every_octet() -> None:
    for subtype in ("signed", "encrypted"):
        closed = several(subtype, part(b"text/plain; charset=utf-8", WORDS.encode()), part(b"x/y", b"z"))
        whole = _HEAD + closed
        assert mime.seven_bit(whole) == whole
        beside = part(b"text/plain; charset=utf-8", b"\xc3\xa0 c\xc3\xb4t\xc3\xa9")
        made = mime.seven_bit(_HEAD + several("mixed", closed, beside))
        assert closed in made
        assert beside not in made


def test_what_needs_nothing_is_given_back_itself() -> None:
    letter = _HEAD + part(b"text/plain", b"bonjour\r\n", b"7bit")
    assert mime.seven_bit(letter) is letter
    assert mime.is_seven_bit(letter, mime.parse(letter))


def test_a_letter_without_mime_says_from_then_on_what_it_is() -> None:
    made = mime.seven_bit(b"From: a@x.test\r\nSubject: b\r\n\r\n" + WORDS.encode())
    read = message_from_bytes(made, policy=policy.default)
    assert read["MIME-Version"] == "1.0"
    assert read["Content-Type"].params["charset"] == "utf-8"
    assert read.get_content().replace("\r\n", "\n") == WORDS.replace("\r\n", "\n")


def test_raw_names_and_subjects_become_what_every_server_takes_and_reads() -> None:
    attached = b'Content-Type: application/pdf; name="%b"\r\n' % "résumé.pdf".encode("latin-1")
    attached += 'Content-Disposition: attachment; filename="résumé.pdf"\r\n'.encode()
    attached += b"Content-Transfer-Encoding: base64\r\n\r\nAAAA"
    head = 'Subject: Compte rendu de M. Éluard\r\nFrom: "Dr Œillet, A." <a@x.test>\r\n'
    head += "To: Hélène <b@x.test>, c@x.test\r\nX-Service: Pédiatrie\r\nMIME-Version: 1.0\r\n"
    letter = head.encode() + several("mixed", attached)
    made = mime.seven_bit(letter)
    assert fits(made)
    read = message_from_bytes(made, policy=policy.default)
    assert read["Subject"] == "Compte rendu de M. Éluard"
    assert [(one.display_name, one.addr_spec) for one in read["From"].addresses] == [
        ("Dr Œillet, A.", "a@x.test")
    ]
    assert [one.display_name for one in read["To"].addresses] == ["Hélène", ""]
    assert read["X-Service"] == "Pédiatrie"
    [named] = list(read.iter_attachments())
    assert named.get_filename() == "résumé.pdf"
    assert named.get_content() == b"\0\0\0"


def test_an_address_that_is_not_ascii_stays_as_it_is() -> None:
    """RFC 6531: there is no other way to say it."""
    letter = "From: a@x.test\r\nTo: Zoé <zoé@x.test>\r\nMIME-Version: 1.0\r\n\r\nbonjour\r\n".encode()
    assert mime.seven_bit(letter) == letter


def test_the_header_above_what_is_signed_is_converted_and_nothing_of_what_is_signed() -> None:
    closed = several("signed", part(b"text/plain; charset=utf-8", WORDS.encode()), part(b"x/y", b"z"))
    made = mime.seven_bit("Subject: é\r\nMIME-Version: 1.0\r\n".encode() + closed)
    assert made.endswith(closed)
    assert made.startswith(b"Subject: =?utf-8?")


_LINES = st.lists(
    st.binary(max_size=1200).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"")), max_size=6
)
_BODY = _LINES.map(b"\r\n".join)
_KINDS = st.sampled_from([b"text/plain; charset=utf-8", b"text/html", b"application/pdf", b"image/x"])
_LEAF = st.builds(part, _KINDS, _BODY, st.sampled_from([b"7bit", b"8bit", b"binary"]))


_ENTITY = st.recursive(
    _LEAF,
    lambda below: st.lists(below, min_size=1, max_size=3).map(lambda parts: several("mixed", *parts)),
    max_leaves=6,
)


@given(_ENTITY)
def test_every_part_of_any_letter_says_what_it_said(entity: bytes) -> None:
    letter = _HEAD + entity
    made = mime.seven_bit(letter)
    assert fits(made)
    assert said(made) == said(letter)
    assert mime.seven_bit(made) == made


def one_line(name: bytes, value: bytes) -> bytes:
    return name + b": " + value.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"


_FIELD = st.builds(
    one_line,
    st.sampled_from([b"Subject", b"From", b"To", b"Content-Type", b"Received", b"X-A", b"message-id"]),
    st.text().map(str.encode) | st.binary(max_size=60),
)


@given(st.lists(_FIELD, max_size=6).map(b"".join), st.binary(max_size=1500))
def test_any_octets_are_taken_and_no_field_appears_or_goes(header: bytes, body: bytes) -> None:
    letter = header + b"\r\n" + body
    made = mime.seven_bit(letter)
    ours = ("content-transfer-encoding", "mime-version", "content-type")
    before = [one.name for one in mime.fields(letter) if one.name not in ours]
    assert [one.name for one in mime.fields(made) if one.name not in ours] == before
    for one in mime.fields(letter):
        if one.name == "received":
            assert one.raw in made
    assert mime.seven_bit(made) == made
