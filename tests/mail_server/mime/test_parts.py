"""Where the parts of a message lie, whatever the message."""

from mail_server.mime import parse
from mail_server.mime.parts import MAX_DEPTH, MAX_PARTS


def shape(part):
    return (
        (part.content_type, [shape(child) for child in part.children]) if part.children else part.content_type
    )


def bodies(message, part):
    return [child.body(message) for child in part.children]


def test_a_plain_message_is_one_part_of_text_in_ascii():
    message = b"Subject: x\r\n\r\nhello\r\n"
    tree = parse(message)
    assert tree.content_type == "text/plain"
    assert tree.params == ((b"charset", b"us-ascii"),)
    assert tree.encoding == "7bit"
    assert (tree.header_start, tree.header_end, tree.body_start, tree.body_end) == (0, 14, 14, 21)
    assert tree.lines == 1


def test_parts_prologue_and_epilogue_of_a_multipart(crlf):
    message = crlf(
        'Content-Type: multipart/mixed; boundary="b"\n\nprologue\n--b\n\none\n--b \t\n'
        "Content-Type: text/html\n\ntwo\n\n--b--\nepilogue\n"
    )
    tree = parse(message)
    assert bodies(message, tree) == [b"one", b"two\r\n"]
    assert tree.children[1].content_type == "text/html"
    assert tree.body(message).startswith(b"prologue\r\n")
    assert tree.body(message).endswith(b"epilogue\r\n")


def test_a_folded_boundary_is_unfolded(crlf):
    message = crlf('Content-Type: multipart/mixed; boundary="foo\n bar"\n\n--foo bar\n\nhello\n--foo bar--\n')
    assert bodies(message, parse(message)) == [b"hello"]


def test_a_boundary_may_come_in_rfc_2231_pieces(crlf):
    message = crlf(
        "Content-Type: multipart/mixed;\n boundary*0=ab;\n boundary*1=cd\n\n--abcd\n\nx\n--abcd--\n"
    )
    assert bodies(message, parse(message)) == [b"x"]


def test_a_boundary_that_begins_another_one_does_not_cut_it(crlf):
    message = crlf(
        "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n"
        "--ab\n\ninner\n--ab--\n--a\n\nouter\n--a--\n"
    )
    tree = parse(message)
    assert shape(tree) == ("multipart/mixed", [("multipart/mixed", ["text/plain"]), "text/plain"])


def test_an_outer_delimiter_closes_an_inner_multipart_that_was_left_open(crlf):
    message = crlf(
        "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=i\n\n"
        "--i\n\ninner\n--a\n\nouter\n--a--\n"
    )
    tree = parse(message)
    assert bodies(message, tree.children[0]) == [b"inner"]
    assert tree.children[1].body(message) == b"outer"


def test_the_last_part_runs_to_the_end_when_nothing_closes_it(crlf):
    message = crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\n\nfirst\n--a\n\nlast\n")
    assert bodies(message, parse(message)) == [b"first", b"last\r\n"]


def test_parts_may_be_empty(crlf):
    message = crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n\n--a\nX: y\n\n--a\nX: y\n--a--\n")
    assert [(p.header(message), p.body(message)) for p in parse(message).children] == [
        (b"", b""),
        (b"\r\n", b""),
        (b"X: y\r\n\r\n", b""),
        (b"X: y", b""),
    ]


def test_bare_line_feeds_are_line_ends_too():
    message = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\n\none\n--a--\n"
    tree = parse(message)
    assert bodies(message, tree) == [b"one"]
    assert tree.children[0].content_type == "text/html"


def test_a_multipart_that_cannot_be_cut_is_shown_as_text(crlf):
    for header in ("Content-Type: multipart/mixed", "Content-Type: multipart/mixed; boundary=zz"):
        tree = parse(crlf(header + "\n\nhello\nyou\n"))
        assert (tree.content_type, tree.children, tree.lines) == ("text/plain", [], 2)


def test_a_content_type_that_cannot_be_read_is_plain_text(crlf):
    for value in ("text", "", ";;;", "/plain", '"text"/plain', "text/;charset=utf-8"):
        tree = parse(crlf(f"Content-Type: {value}\n\nx"))
        assert (tree.content_type, tree.params) == ("text/plain", ((b"charset", b"us-ascii"),)), value


def test_parts_of_a_digest_are_messages(crlf):
    message = crlf(
        "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nbody\n"
        "--d\nContent-Type: text/plain\n\nnote\n--d--\n"
    )
    tree = parse(message)
    assert shape(tree) == ("multipart/digest", [("message/rfc822", ["text/plain"]), "text/plain"])
    assert tree.children[0].children[0].fields[b"subject"] == b"one"


def test_what_the_content_fields_say(crlf):
    part = parse(
        crlf(
            'Content-Type: application/PDF (report); name="a b.pdf"\n'
            "Content-Transfer-Encoding: BASE64 (yes)\n"
            "Content-Disposition: Attachment;\n filename*=utf-8''r%C3%A9sultat.pdf\n"
            "Content-ID: <x@y>\nContent-Description: compte rendu\nContent-Language: fr, en\n"
            "Content-Location: http://example.org/a\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n\n"
        )
    )
    assert (part.type, part.subtype, part.encoding) == ("application", "pdf", "base64")
    assert part.disposition == "attachment"
    assert part.filename == "résultat.pdf"
    assert (part.id, part.description) == (b"<x@y>", b"compte rendu")
    assert part.languages == (b"fr", b"en")
    assert part.location == b"http://example.org/a"
    assert part.md5 == b"Q2hlY2sgSW50ZWdyaXR5IQ=="


def test_lines_of_a_message_inside_are_those_of_its_header_and_body(crlf):
    inner = crlf(
        "Subject: x\nContent-Type: multipart/mixed; boundary=i\n\npro\n--i\n\na\nb\n--i\n\nc\n--i--\nepi\n"
    )
    tree = parse(b"Content-Type: message/rfc822\r\n\r\n" + inner)
    assert tree.lines == inner.count(b"\n")


def test_nesting_stops_at_the_cap_and_loses_no_byte():
    message = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1000)
    )
    part, depth = parse(message), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == MAX_DEPTH
    assert part.content_type == "application/octet-stream"
    assert part.body_end == len(message)


def test_messages_nested_beyond_the_cap_are_a_leaf():
    part, depth = parse(b"Content-Type: message/rfc822\r\n\r\n" * 1000), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert (depth, part.content_type) == (MAX_DEPTH, "application/octet-stream")


def test_three_hundred_multiparts_inside_each_other_and_closed():
    message = b"text"
    for n in range(300):
        message = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%b\r\n--b%d--\r\n" % (
            n,
            n,
            message,
            n,
        )
    assert parse(message).children[0].children


def test_parts_beyond_the_cap_stay_in_the_last_one(crlf):
    message = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 5000 + "--b--\n")
    tree = parse(message)
    assert len(tree.children) == MAX_PARTS - 1
    assert tree.children[-1].body(message).count(b"--b\r\n") == 5000 - (MAX_PARTS - 1)


def test_a_header_beyond_the_cap_is_not_interpreted():
    message = b"X: y\r\n" * 300_000 + b"Content-Type: text/html\r\n\r\nbody"
    tree = parse(message)
    assert tree.content_type == "application/octet-stream"
    assert tree.body(message) == b"body"


def test_the_repr_of_a_part_tells_nothing_of_its_content():
    assert "secret" not in repr(parse(b"Subject: secret\r\n\r\nsecret"))
