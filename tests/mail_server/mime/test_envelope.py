"""ENVELOPE, as RFC 9051 §7.5.2 orders it: date subject from sender reply-to to cc bcc in-reply-to message-id."""

from mail_server.mime import render
from mail_server.mime.addresses import MAX_ADDRESSES

USER = [[None, None, b"user", b"domain"]]


def test_all_fields(imap, crlf):
    message = crlf(
        "Message-ID: <msg@id>\nIn-Reply-To: <reply@to.id>\nDate: Sat, 01 Feb 2007 01:02:03 +0200\n"
        "Subject: subject header\nFrom: From Real <from@a.org>\nTo: To Real <to@b.org>\nCc: Cc <cc@c.org>\n"
        "Bcc: Bcc <bcc@d.org>\nSender: Sender <s@e.org>\nReply-To: Reply <r@f.org>\n\nbody\n"
    )
    assert imap(render(message).envelope) == [
        b"Sat, 01 Feb 2007 01:02:03 +0200",
        b"subject header",
        [[b"From Real", None, b"from", b"a.org"]],
        [[b"Sender", None, b"s", b"e.org"]],
        [[b"Reply", None, b"r", b"f.org"]],
        [[b"To Real", None, b"to", b"b.org"]],
        [[b"Cc", None, b"cc", b"c.org"]],
        [[b"Bcc", None, b"bcc", b"d.org"]],
        b"<reply@to.id>",
        b"<msg@id>",
    ]


def test_sender_and_reply_to_absent_or_empty_are_from(imap, crlf):
    for extra in ("", "Sender: \nReply-To: \n", "Sender: ,\n"):
        shown = imap(render(crlf(f"From: user@domain\n{extra}\nx")).envelope)
        assert shown[2:5] == [USER, USER, USER]


def test_absent_fields_are_nil_and_empty_text_is_a_string(imap):
    assert imap(render(b"\r\nx").envelope) == [None] * 10
    assert imap(render(b"Subject:\r\n\r\n").envelope)[1] == b""


def test_groups_open_with_their_name_and_close_with_nil(imap, crlf):
    message = crlf("To: group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;\n\n")
    assert imap(render(message).envelope)[5] == [
        [None, None, b"group", None],
        [None, None, b"g1", b"d1.org"],
        [None, None, b"g2", b"d2.org"],
        [None, None, None, None],
        [None, None, b"group2", None],
        [None, None, b"g3", b"d3.org"],
        [None, None, None, None],
    ]


def test_an_address_without_a_domain_does_not_look_like_a_group(imap):
    assert imap(render(b"To: root\r\n\r\n").envelope)[5] == [[None, None, b"root", b""]]


def test_a_source_route_stands_second(imap):
    assert imap(render(b"From: <@route:user@domain>\r\n\r\n").envelope)[2] == [
        [None, b"@route", b"user", b"domain"]
    ]


def test_a_sender_with_two_addresses_shows_both(imap):
    assert len(imap(render(b"From: a@b\r\nSender: c@d, e@f\r\n\r\n").envelope)[3]) == 2


def test_quotes_are_escaped_and_eight_bits_make_a_literal(imap):
    rendered = render('Subject: a "b" \\c\r\nFrom: Jérôme <j@x>\r\n\r\n'.encode())
    assert b'"a \\"b\\" \\\\c"' in rendered.envelope
    assert "{8}\r\nJérôme".encode() in rendered.envelope
    assert imap(rendered.envelope)[1] == b'a "b" \\c'


def test_nul_and_bare_cr_do_not_break_the_line(imap):
    assert imap(render(b"Subject: a\0b\rc\r\n\r\n").envelope)[1] == b"a?b\rc"


def test_folded_values_are_unfolded_and_encoded_words_left(imap):
    message = b"Subject: =?utf-8?q?=C3=A9?=\r\n =?utf-8?q?t?=\r\n\r\n"
    assert imap(render(message).envelope)[1] == b"=?utf-8?q?=C3=A9?= =?utf-8?q?t?="


def test_a_broken_message_id_is_shown_as_it_is(imap):
    assert imap(render(b"Message-ID: <[broken\r\n\r\n").envelope)[9] == b"<[broken"


def test_addresses_are_capped_over_the_whole_message(imap):
    header = b"From: " + b"a@b, " * 4000 + b"\r\nTo: " + b"a@b, " * 4000 + b"\r\n\r\n"
    shown = imap(render(header).envelope)
    assert len(shown[2]) == 4000
    assert len(shown[5]) == MAX_ADDRESSES - 4000
