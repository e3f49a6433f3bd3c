"""The text SEARCH looks through."""

import pytest

from mail_server.mime import contains, fold, parse, searchable_text
from mail_server.mime.sections import decoded_body

MESSAGE = (
    "Subject: =?utf-8?q?R=C3=A9sultat?=\nFrom: Jean <j@x>\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
    "Bonjour, h=E9mo=\nglobine bas=\nse\n--b\nContent-Type: text/html; charset=utf-8\n"
    "Content-Transfer-Encoding: base64\n\nPHA+bGUgZm9pZSZlYWN1dGU7PC9wPg==\n--b\n"
    'Content-Type: application/pdf; name="scanner.pdf"\n\nbinaire\n--b--\n'
)


def found(crlf, needle, **how):
    message = crlf(MESSAGE)
    return contains(message, parse(message), needle, **how)


def test_decoded_text_is_found_in_any_case_and_across_soft_breaks(crlf):
    assert found(crlf, "hémoglobine")
    assert found(crlf, "HÉMOGLOBINE BASSE")
    assert found(crlf, "moglob")  # a substring, not a word
    assert not found(crlf, "h=E9mo")


def test_entities_of_html_are_read(crlf):
    assert found(crlf, "foieé")


def test_a_letter_without_its_accent_finds_it(crlf):
    assert found(crlf, "hemo") is False  # RFC 5051 decomposes, it does not drop the accent
    assert fold("é") == "e\u0301"


def test_headers_count_for_text_and_not_for_body(crlf):
    assert found(crlf, "résultat")
    assert not found(crlf, "résultat", headers=False)


def test_headers_of_parts_count_for_body_but_not_what_is_no_text(crlf):
    assert found(crlf, "scanner.pdf", headers=False)
    assert not found(crlf, "binaire")


def test_a_cap_bounds_what_is_decoded():
    message = b"Subject: x\r\n\r\n" + b"a" * 10_000
    assert sum(map(len, searchable_text(message, parse(message), cap=1000))) < 1000


def test_an_unknown_encoding_or_charset_is_searched_as_it_is():
    message = (
        b"Content-Transfer-Encoding: x-odd\r\nContent-Type: text/plain; charset=x-odd\r\n\r\nplain words"
    )
    assert contains(message, parse(message), "PLAIN", headers=False)


@pytest.mark.parametrize("at", [65_500, 65_520, 65_530, 65_536, 131_060])
@pytest.mark.parametrize("needle", ["h\u00e9moglobine basse", "x", "a\u0323\u0302 fin"])
def test_what_lies_across_two_slices_of_a_long_text_is_found(at, needle):
    body = "." * at + needle + "." * 70_000
    message = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body.encode()
    assert contains(message, parse(message), needle, headers=False)
    assert not contains(message, parse(message), needle + "!", headers=False)


def test_long_quoted_printable_is_decoded_as_if_in_one_piece():
    lines = "".join(f"ligne {n} =E9t=\r\n=E9 \t\r\n" for n in range(9_000))
    head = b"Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    message = head + lines.encode()
    assert decoded_body(message, parse(message)).decode("latin1") == "".join(
        f"ligne {n} \u00e9t\u00e9\r\n" for n in range(9_000)
    )
