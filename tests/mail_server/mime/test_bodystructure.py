"""BODY and BODYSTRUCTURE."""

from mail_server.mime import parse, render


def test_plain_text(imap):
    rendered = render(b"\r\nhello\r\nyou\r\n")
    basic = [b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7bit", 12, 2]
    assert imap(rendered.body) == basic
    assert imap(rendered.bodystructure) == [*basic, None, None, None, None]


def test_all_a_leaf_can_say(imap, crlf):
    message = crlf(
        "Content-Type: image/png; name=x.png\nContent-ID: <i@d>\nContent-Description: a picture\n"
        "Content-Transfer-Encoding: base64\nContent-MD5: abc==\nContent-Disposition: inline; filename=x.png\n"
        "Content-Language: fr, en\nContent-Location: http://x/\n\nAAAA"
    )
    rendered = render(message)
    basic = [b"image", b"png", [b"name", b"x.png"], b"<i@d>", b"a picture", b"base64", 4]
    assert imap(rendered.body) == basic
    assert imap(rendered.bodystructure) == [
        *basic, b"abc==", [b"inline", [b"filename", b"x.png"]], [b"fr", b"en"], b"http://x/"
    ]  # fmt: skip


def test_multipart_and_its_extension(imap, crlf):
    message = crlf(
        'Content-Type: multipart/mixed; boundary="foo\n bar"\nContent-Language: fr\n\n--foo bar\n'
        "Content-Type: text/x-myown; charset=us-ascii\n\nhello\n\n--foo bar--\n"
    )
    rendered = render(message)
    leaf = [b"text", b"x-myown", [b"charset", b"us-ascii"], None, None, b"7bit", 7, 1]
    assert imap(rendered.body) == [leaf, b"mixed"]
    assert imap(rendered.bodystructure) == [
        [*leaf, None, None, None, None], b"mixed", [b"boundary", b"foo bar"], None, [b"fr"], None
    ]  # fmt: skip


def test_a_message_inside_has_envelope_structure_and_lines(imap, crlf):
    message = crlf("Content-Type: message/rfc822\n\nSubject: in\nFrom: a@b\n\nhello\n")
    shown = imap(render(message).body)
    assert shown[:2] == [b"message", b"rfc822"]
    assert shown[6] == len(crlf("Subject: in\nFrom: a@b\n\nhello\n"))
    assert shown[7][1] == b"in"
    assert shown[8][:2] == [b"text", b"plain"]
    assert shown[9] == 4


def test_text_without_charset_has_no_parameters_but_absent_type_has_ascii(imap):
    assert imap(render(b"Content-Type: text/html\r\n\r\n").body)[2] is None
    assert imap(render(b"\r\n").body)[2] == [b"charset", b"us-ascii"]


def test_an_unknown_transfer_encoding_is_said(imap):
    assert imap(render(b"Content-Transfer-Encoding: x-Weird stuff\r\n\r\n").body)[5] == b"x-weird"


def test_rfc_2231_parameters_are_shown_as_written(imap):
    shown = imap(render(b"Content-Type: a/b; name*0*=utf-8''%C3; name*1*=%A9\r\n\r\n").body)
    assert shown[2] == [b"name*0*", b"utf-8''%C3", b"name*1*", b"%A9"]


def test_eight_bit_parameters_are_literals(imap):
    message = 'Content-Type: a/b; name="é"\r\n\r\n'.encode()
    assert imap(render(message).bodystructure)[2] == [b"name", "é".encode()]


def test_every_multipart_shown_has_a_part(imap):
    assert imap(render(b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno part\r\n").body)[:2] == [
        b"text",
        b"plain",
    ]


def test_the_numbers_of_the_structure_are_those_of_the_sections(imap, crlf):
    message = crlf(
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a\nContent-Type: message/rfc822\n\n"
        "Content-Type: multipart/alternative; boundary=i\n\n--i\n\nx\n--i\n\nyy\n--i--\n\n--a--\n"
    )
    shown = imap(render(message, parse(message)).body)
    assert [shown[0][6], shown[1][8][0][6], shown[1][8][1][6]] == [3, 1, 2]
