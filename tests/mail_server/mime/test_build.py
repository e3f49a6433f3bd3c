"""What we write ourselves: read back by the standard library and by our own reader."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.mime import (
    address_field,
    attachment_part,
    date_text,
    decoded,
    fields,
    header_field,
    mailboxes,
    multipart,
    new_boundary,
    new_message_id,
    parameter,
    parameters,
    parse,
    sent_date,
    text_part,
)

printable = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\x85"), max_size=200
)


@given(printable)
def test_a_field_says_what_it_was_given_in_lines_that_are_not_too_long(text):
    line = header_field("Subject", text)
    assert line.endswith(b"\r\n")
    (found,) = fields(line)
    assert decoded(found.value) == text.strip()
    if not text.isascii():
        assert max(map(len, line.split(b"\r\n"))) <= 78


@given(st.text(max_size=100))
def test_no_value_opens_a_second_field(text):
    assert len(fields(header_field("Subject", text) + b"\r\n")) == 1
    assert len(fields(address_field("To", [(text, "a@b")]) + b"\r\n")) == 1


def test_long_ascii_is_folded():
    line = header_field("Subject", "word " * 40)
    assert max(map(len, line.split(b"\r\n"))) <= 78
    assert fields(line)[0].value == b"word " * 39 + b"word"


@pytest.mark.parametrize(
    "people",
    [
        [("", "a@b.fr")],
        [("Jean Dupont", "j@b.fr"), ('Dupont, Jean "le grand"', "d@b.fr"), ("Frédéric Ünal", "f@b.fr")],
        [("=?tricky?=", "t@b.fr")],
        [(f"Person number {n}", f"person{n}@example.org") for n in range(50)],
    ],
)
def test_addresses_are_read_back(people):
    line = address_field("To", people)
    assert [(address.name, address.spec) for address in mailboxes(fields(line)[0].value)] == people
    assert max(map(len, line.split(b"\r\n"))) <= 78


def test_a_date_is_that_of_rfc_5322():
    assert date_text(880127706000) == b"Fri, 21 Nov 1997 15:55:06 +0000"
    found = sent_date(date_text(880127706000))
    assert found is not None
    assert found.ms == 880127706000


@given(printable)
def test_parameters_are_read_back(value):
    assert parameters(b"a/b; " + parameter("name", value)).get("name", "") in (value, decoded(value.encode()))


def test_parameter_forms():
    assert parameter("name", "a.pdf") == b"name=a.pdf"
    assert parameter("name", 'a "b".pdf') == b'name="a \\"b\\".pdf"'
    assert parameter("name", "é.pdf") == b"name*=utf-8''%C3%A9.pdf"


def test_a_whole_message_is_read_by_the_standard_library():
    kind, body = multipart(
        "mixed",
        [
            text_part("Bonjour,\nvoilà l'été. " + "x" * 1000),
            attachment_part(b"\0\1\2" * 100, "application/pdf", "é.pdf"),
        ],
    )
    message = header_field("Subject", "Été") + b"MIME-Version: 1.0\r\n" + kind + b"\r\n" + body
    read = email.message_from_bytes(message, policy=email.policy.default)
    text, attached = read.iter_parts()
    assert text.get_content().splitlines()[0] == "Bonjour,"
    assert "voilà l'été" in text.get_content()
    assert attached.get_content() == b"\0\1\2" * 100
    assert attached.get_filename() == "é.pdf"
    assert [part.content_type for part in parse(message).children] == ["text/plain", "application/pdf"]
    assert max(map(len, message.split(b"\r\n"))) <= 998


def test_ascii_text_goes_as_it_is():
    assert text_part("a\nb").endswith(b"7bit\r\n\r\na\r\nb\r\n")


def test_boundaries_and_message_ids_are_new_each_time():
    assert new_boundary() != new_boundary()
    assert new_message_id("x.fr").endswith("@x.fr>")
