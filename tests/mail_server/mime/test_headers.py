"""Fields, folding, encoded words, parameters, message-ids."""

import pytest

from mail_server.mime import decode_text, decoded, fields, first, message_ids, parameters, select, unfold
from mail_server.mime.headers import split_parameters

BLOCK = (
    b"Received: from a\r\n\tby b\r\nSubject : hello\r\n world\r\nno colon here: really\r\n"
    b"FROM:x@y\r\nEmpty:\r\n\r\n"
)


def test_fields_come_in_order_with_their_bytes():
    found = fields(BLOCK + b"Body: no field\r\n")
    assert [field.name for field in found] == ["received", "subject", "from", "empty"]
    assert found[1].raw == b"Subject : hello\r\n world\r\n"
    assert found[1].value == b"hello world"
    assert found[3].value == b""


def test_a_line_without_a_colon_hides_no_field_and_is_none():
    assert [field.name for field in fields(b"From mbox Fri\r\nTo: x\r\n\r\n")] == ["to"]


def test_first_is_the_first_of_its_name_in_any_case():
    assert first(b"A: 1\r\na: 2\r\n\r\n", "A") == b"1"
    assert first(b"A: 1\r\n\r\nB: 2", "b") is None


def test_unfolding_keeps_the_white_space_after_the_line_end():
    assert unfold(b" a\r\n\tb\r\n  c \r\n") == b"a\tb  c"


def test_selected_fields_keep_their_bytes_and_the_blank_line():
    assert select(BLOCK, ["subject", b"FROM"]) == b"Subject : hello\r\n world\r\nFROM:x@y\r\n\r\n"
    assert select(BLOCK, ["absent"]) == b"\r\n"


def test_all_but_selected_fields():
    chosen = select(BLOCK, ["received", "empty"], exclude=True)
    assert chosen == b"Subject : hello\r\n world\r\nno colon here: really\r\nFROM:x@y\r\n\r\n"


def test_a_block_without_a_blank_line_gets_none():
    assert select(b"A: 1\r\nB: 2\r\n", ["b"]) == b"B: 2\r\n"  # RFC 9051 §6.4.5.1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 §8
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (
            b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        (b"=?utf-8*fr?q?=C3=A9t=C3=A9?=", "été"),  # RFC 2231 §5
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),  # a character cut between two words, as programs do
        ("déjà en UTF-8".encode(), "déjà en UTF-8"),
        ("latin un : été".encode("latin-1"), "latin un : été"),
        (b"=?x-unknown?q?=C3=A9?=", "é"),
        (b"=?utf-8?b?w6k?=", "é"),  # padding forgotten
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),  # no line end comes out of a word
        (b"=?utf-8?x?a?= =?broken", "=?utf-8?x?a?= =?broken"),
        (b"", ""),
    ],
)
def test_decoded_text_of_a_field(value, text):
    assert decoded(value) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 2231 §3 and §4
        (
            b'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore"',
            {"access-type": "URL", "url": "ftp://cs.utk.edu/pub/moore"},
        ),
        (
            b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            {"title": "This is ***fun***"},
        ),
        (
            (
                b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
                b'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
            ),
            {"title": "This is even more ***fun*** isn't it!"},
        ),
        (b'a/b; name="x\\"y.pdf"', {"name": 'x"y.pdf'}),
        (b"a/b; name=my file.pdf; charset=utf-8 format=flowed", {"name": "my file.pdf", "charset": "utf-8"}),
        (b'a/b; name="=?utf-8?q?=C3=A9.pdf?="', {"name": "é.pdf"}),
        (b"a/b (comment; c=d); e=f (g)", {"e": "f"}),
        (b'a/b; name="(not a comment)"', {"name": "(not a comment)"}),
        (b'a/b;; ;x=;y="unclosed', {"x": "", "y": "unclosed"}),
        (b"a/b; t*1=second; t*0=first", {"t": "firstsecond"}),
        (b"a/b; t*1=lost", {}),
        (b"a/b", {}),
    ],
)
def test_parameters(value, expected):
    assert parameters(value) == expected


def test_parameters_as_written_keep_rfc_2231_names():
    assert split_parameters(b"a/b; Title*0*=x; B=c") == (b"a/b", ((b"title*0*", b"x"), (b"b", b"c")))


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("UTF-8", "é".encode(), "é"),
        ("iso-8859-1", b"\x80", "€"),  # Windows wrote it
        ("ISO_8859-15", b"\xa4", "€"),
        ("ks_c_5601-1987", "한".encode("cp949"), "한"),
        ("us-ascii", "é".encode(), "é"),
        ("unicode_escape", b"\\u0041", "\\u0041"),  # not a charset of mail
        ("punycode", b"abc-", "abc-"),
        ("x" * 1000, b"abc", "abc"),
        (None, b"\xe9", "é"),
    ],
)
def test_charset_labels(label, data, text):
    assert decode_text(data, label) == text


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b"<a@b>", [b"<a@b>"]),
        (b"<a@b> <c@d>\r\n\t<e@f>", [b"<a@b>", b"<c@d>", b"<e@f>"]),
        (b'Your message of "Mon" <x@y>', [b"<x@y>"]),
        (b"bare@id", [b"<bare@id>"]),
        (b"<[broken", []),
        (b"<a\r\n b@c>", [b"<ab@c>"]),
        (b"<<a@b>>", [b"<a@b>"]),
        (b"", []),
    ],
)
def test_message_ids(value, ids):
    assert message_ids(value) == ids


def test_the_repr_of_a_field_hides_its_value():
    assert "secret" not in repr(fields(b"Subject: secret\r\n\r\n"))
