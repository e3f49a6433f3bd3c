"""Whatever the bytes: nothing raises, offsets tile the message, sections are slices, renderings are IMAP."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server import mime

# Pieces that make a random string look like mail often enough to reach the deep branches.
PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"\r\n", b"\n", b"\r\n\r\n", b"\r", b" ", b"\t", b"\0", b"--", b"--a", b"\r\n--a\r\n", b"\r\n--a--\r\n",
            b"\r\n--b\r\n", b"\n--a\n", b"Content-Type: ", b"multipart/mixed; boundary=a\r\n\r\n",
            b"Content-Type: multipart/digest; boundary=b\r\n\r\n", b"message/rfc822\r\n\r\n", b"text/html; charset=",
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Transfer-Encoding: quoted-printable\r\n", b"Content-Disposition: attachment; filename*0*=",
            b"Content-Language: ", b"utf-7", b"utf-8''%", b"=?utf-8?q?", b"=?utf-7?b?", b"?=", b"From: ", b"To: ",
            b"Subject: ", b"Date: ", b"<a@b>", b"@", b"(", b")", b'"', b"\\", b":", b";", b",", b"<", b">", b"[", b"=",
            b"Fri, 21 Nov 1997 09:55:06", b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----", b"\xc3\xa9",
            b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=a\r\n\r\n--a\r\n',
            b"Content-Type: application/pgp-encrypted\r\n\r\n", b"Content-Type: application/octet-stream\r\n\r\n",
        ]
    ),
)  # fmt: skip
MAIL = st.lists(PIECES, max_size=40).map(b"".join)


def tiles(message: bytes, part: mime.Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.body_start <= part.body_end <= end
    position = part.body_start
    for child in part.children:
        assert child.header_start >= position
        tiles(message, child, position, part.body_end)
        position = child.body_end
    if part.is_multipart:
        assert part.children
    if part.type == "text":
        assert part.lines == part.body(message).count(b"\n")
    if part.is_message:
        assert part.lines == part.body(message).count(b"\n")
        assert (part.children[0].header_start, part.children[0].body_end) == (part.body_start, part.body_end)


def paths(part: mime.Part):
    inside = part.children[0] if part.is_message else part
    if part.is_multipart:
        numbered = list(enumerate(part.children, 1))
    elif part.is_message:
        numbered = list(enumerate(inside.children, 1)) if inside.is_multipart else [(1, inside)]
    else:
        numbered = []
    for number, child in numbered:
        yield (number,), child
        for path, below in paths(child):
            yield (number, *path), below


@settings(max_examples=200, deadline=None)
@given(MAIL)
def test_the_tree_tiles_the_message_and_sections_are_its_slices(message):
    tree = mime.parse(message)
    assert (tree.header_start, tree.body_end) == (0, len(message))
    tiles(message, tree, 0, len(message))
    assert mime.section(message, tree, (), "HEADER") + mime.section(message, tree, (), "TEXT") == message
    if tree.is_multipart:
        for path, part in paths(tree):
            assert mime.find_part(tree, path) is part
            assert mime.section(message, tree, path) == message[part.body_start : part.body_end]
            assert mime.section(message, tree, path, "MIME") == message[part.header_start : part.body_start]
    for names in ([], ["from"], [b"Content-Type", "to"]):
        for what in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
            mime.section(message, tree, (), what, names)
    chosen = mime.select(tree.header(message), [], exclude=True)
    assert chosen == tree.header(message)


@settings(max_examples=200, deadline=None)
@given(MAIL)
def test_renderings_are_well_formed(imap, message):
    rendered = mime.render(message)
    assert len(imap(rendered.envelope)) == 10
    imap(rendered.bodystructure)
    imap(rendered.body)


@settings(max_examples=200, deadline=None)
@given(MAIL)
def test_no_reader_raises(message):
    tree = mime.parse(message)
    for part in tree.walk():
        repr((part.charset, part.filename, part.disposition, part.disposition_params, part.languages))
        try:
            mime.decoded_body(message, part)
        except mime.UnknownEncoding:
            assert part.encoding
    for text in mime.searchable_text(message, tree):
        text.encode("utf-8")
    mime.contains(message, tree, "é")
    mime.ciphertext(message, tree)
    mime.is_encrypted(tree)
    for field in mime.fields(message):
        mime.decoded(field.value).encode("utf-8")
    assert mime.protect(message, [("Subject", message[:40])], [message[:40]], {"from"}).endswith(
        tree.body(message)
    )


@settings(max_examples=200, deadline=None)
@given(MAIL)
def test_no_reader_of_a_value_raises(value):
    for address in mime.mailboxes(value):
        (address.name + address.local + address.domain + address.spec).encode("utf-8")
    mime.parse_addresses(value)
    mime.decoded(value)
    for text in mime.parameters(value).values():
        text.encode("utf-8")
    mime.message_ids(value)
    mime.sent_date(value)
    mime.received_date(value)
    mime.unfold(value)
    mime.first(value, "to")
    mime.header_block(value)
    mime.dearmor(value)
    mime.decode_text(value, value.decode("latin-1")[:20])
    mime.render_encrypted(value, 100, 2, value)
    mime.wrap(value, "b")
    mime.fold(value.decode("latin-1"))
