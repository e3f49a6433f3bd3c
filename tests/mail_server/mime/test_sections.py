"""BODY[section] as RFC 9051 §6.4.5 defines it, on the example tree of §6.4.5.1, and BINARY (RFC 3516)."""

import pytest

from mail_server.mime import UnknownEncoding, binary, binary_size, decoded_body, find_part, parse, section

INNER_3 = (
    "From: three@x\nSubject: three\nContent-Type: multipart/mixed; boundary=b3\n\n"
    "--b3\n\n3.1\n--b3\nContent-Type: application/octet-stream\n\n3.2\n--b3--\n"
)
INNER_42 = (
    "Subject: four-two\nContent-Type: multipart/mixed; boundary=b42\n\npro\n--b42\n\n4.2.1\n--b42\n"
    "Content-Type: multipart/alternative; boundary=b422\n\n--b422\n\n4.2.2.1\n--b422\n"
    "Content-Type: text/richtext\n\n4.2.2.2\n--b422--\n--b42--\nepi\n"
)
MESSAGE = (
    "From: a@b\nTo: c@d\nSubject: whole\nContent-Type: multipart/mixed; boundary=b0\n\nprologue\n"
    "--b0\n\n1\n"
    "--b0\nContent-Type: application/octet-stream\n\n2\n"
    f"--b0\nContent-Type: message/rfc822\n\n{INNER_3}\n"
    "--b0\nContent-Type: multipart/mixed; boundary=b4\n\n"
    "--b4\nContent-Type: image/gif\nContent-ID: <gif>\n\n4.1\n"
    f"--b4\nContent-Type: message/rfc822\n\n{INNER_42}\n--b4--\n--b0--\nepilogue\n"
)


@pytest.fixture
def fetch(crlf):
    message = crlf(MESSAGE)
    tree = parse(message)

    def body(path, what="", names=()):
        numbers = tuple(int(number) for number in path.split(".")) if path else ()
        found = section(message, tree, numbers, what, names)
        return None if found is None else found.replace(b"\r\n", b"\n").decode()

    return body


def test_the_whole_message_and_its_two_halves(fetch):
    assert fetch("") == MESSAGE
    head, blank, text = MESSAGE.partition("\n\n")
    assert fetch("", "HEADER") == head + blank
    assert fetch("", "TEXT") == text


@pytest.mark.parametrize("path", ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"])
def test_leaves_by_their_number(fetch, path):
    assert fetch(path) == path


def test_a_message_inside(fetch):
    assert fetch("3") == INNER_3
    head, blank, text = INNER_3.partition("\n\n")
    assert fetch("3", "HEADER") == head + blank
    assert fetch("3", "TEXT") == text
    assert fetch("4.2") == INNER_42


def test_mime_is_the_header_of_the_part_with_its_blank_line(fetch):
    assert fetch("3", "MIME") == "Content-Type: message/rfc822\n\n"
    assert fetch("4.1", "MIME") == "Content-Type: image/gif\nContent-ID: <gif>\n\n"
    assert fetch("1", "MIME") == "\n"


def test_chosen_fields_with_their_blank_line(fetch):
    assert fetch("", "HEADER.FIELDS", ["subject", "FROM", "x-none"]) == "From: a@b\nSubject: whole\n\n"
    assert fetch("", "HEADER.FIELDS", ["x-none"]) == "\n"
    assert fetch("", "HEADER.FIELDS.NOT", [b"Content-Type", b"to"]) == "From: a@b\nSubject: whole\n\n"
    assert fetch("3", "header.fields", ["Subject"]) == "Subject: three\n\n"
    assert fetch("3", "HEADER.FIELDS.NOT", ["Subject", "Content-Type"]) == "From: three@x\n\n"


@pytest.mark.parametrize(
    ("path", "what"),
    [("5", ""), ("0", ""), ("1.1", ""), ("1.1", "MIME"), ("3.3", ""), ("4.2.2.3", ""), ("", "MIME"),
     ("1", "HEADER"), ("4", "TEXT"), ("1", "HEADER.FIELDS"), ("1", "NONSENSE")],
)  # fmt: skip
def test_what_is_not_there_is_nil(fetch, path, what):
    assert fetch(path, what, ["x"]) is None


def test_a_message_that_is_not_multipart_has_one_part_its_body():
    message = b"Subject: x\r\n\r\nhello\r\n"
    tree = parse(message)
    assert section(message, tree, (1,)) == b"hello\r\n"
    assert section(message, tree, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(message, tree, (2,)) is None
    assert section(message, tree, (1, 1)) is None


def test_a_message_in_a_message_in_a_message(crlf):
    message = crlf(
        "A: 1\nContent-Type: message/rfc822\n\nB: 2\nContent-Type: message/rfc822\n\nC: 3\n\nHello world\n"
    )
    tree = parse(message)

    def body(*path, what=""):
        return section(message, tree, path, what)

    assert body(1) == section(message, tree, (), "TEXT")
    assert body(1, what="HEADER") == b"B: 2\r\nContent-Type: message/rfc822\r\n\r\n"
    assert body(1, 1) == b"C: 3\r\n\r\nHello world\r\n"
    assert body(1, 1, what="HEADER") == b"C: 3\r\n\r\n"
    assert body(1, 1, what="TEXT") == b"Hello world\r\n"
    assert body(1, 1, 1) == b"Hello world\r\n"
    assert body(1, 1, 1, 1) is None


def test_a_digest_of_messages(crlf):
    message = crlf(
        "Content-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=foo\n\nprologue\n\n--foo \n\n"
        "Subject: m1\n\nm1 body\n\n--foo \nX-Mime: m2\n\nSubject: m2\n\nm2 body\n\n--foo--\n\nepilogue\n"
    )
    tree = parse(message)
    assert section(message, tree, (1, 1)) == b"Subject: m1\r\n\r\nm1 body\r\n"
    assert section(message, tree, (1, 1), "MIME") == b"\r\n"
    assert section(message, tree, (1, 2), "MIME") == b"X-Mime: m2\r\n\r\n"
    assert section(message, tree, (1, 2), "HEADER") == b"Subject: m2\r\n\r\n"
    assert section(message, tree, (1, 2), "TEXT") == b"m2 body\r\n"


def test_find_part_of_an_empty_path_is_the_message(crlf):
    tree = parse(crlf(MESSAGE))
    assert find_part(tree, ()) is tree


@pytest.mark.parametrize(
    ("encoding", "body", "clear"),
    [
        ("7bit", b"a=41\r\n", b"a=41\r\n"),
        ("8BIT", b"\xff", b"\xff"),
        ("binary", b"\0\r\n", b"\0\r\n"),
        ("base64", b"aGVs\r\nbG8=\r\n", b"hello"),
        ("Base64", b"aGVsbG8", b"hello"),  # padding forgotten
        ("base64", b"a", b""),
        (
            "quoted-printable",
            b"caf=C3=A9 \t\r\nsoft=\r\n break=  \r\n!\r\n",
            "café\r\nsoft break!\r\n".encode(),
        ),
        ("quoted-printable", b"broken =G1 =\r\n", b"broken =G1 "),
    ],
)
def test_binary_undoes_the_transfer_encoding(encoding, body, clear):
    message = b"Content-Transfer-Encoding: %b\r\n\r\n%b" % (encoding.encode(), body)
    tree = parse(message)
    assert binary(message, tree, (1,)) == clear
    assert binary_size(message, tree, (1,)) == len(clear)


def test_binary_of_the_whole_message_is_the_message():
    message = b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
    assert binary(message, parse(message), ()) == message
    assert binary_size(message, parse(message), (2,)) is None


def test_binary_of_a_multipart_is_its_body(crlf):
    message = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n"
        "Content-Transfer-Encoding: base64\n\n--c\n\nx\n--c--\n--b--\n"
    )
    tree = parse(message)
    assert binary(message, tree, (1,)) == section(message, tree, (1,))


def test_an_unknown_transfer_encoding_is_said_without_content():
    message = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nsecret"
    tree = parse(message)
    with pytest.raises(UnknownEncoding) as raised:
        binary(message, tree, (1,))
    assert "secret" not in str(raised.value)
    with pytest.raises(UnknownEncoding):
        decoded_body(message, tree)
    assert section(message, tree, (1,)) == b"secret"
