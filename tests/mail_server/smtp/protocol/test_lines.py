"""Command lines cut from what came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mail_server.smtp.protocol.lines import Input
from mail_server.smtp.protocol.replies import BARE_NEWLINE_IN_COMMAND, LINE_TOO_LONG, Reply


def lines_of(*pieces: bytes, limit: int = 100) -> list[bytes | Reply]:
    source, found = Input(limit), list[bytes | Reply]()
    for piece in pieces:
        source.feed(piece)
        while (line := source.line()) is not None:
            found.append(line)
    return found


def test_lines_end_with_crlf_across_pieces():
    assert lines_of(b"EHLO a\r", b"\nNOOP\r\nQU", b"IT\r\n") == [b"EHLO a", b"NOOP", b"QUIT"]


def test_a_bare_lf_a_bare_cr_or_a_nul_make_one_refused_line():
    assert lines_of(b"NOOP\n") == [BARE_NEWLINE_IN_COMMAND]
    assert lines_of(b"NOOP\rRSET\r\n") == [BARE_NEWLINE_IN_COMMAND]
    assert lines_of(b"NO\0OP\r\n") == [BARE_NEWLINE_IN_COMMAND]
    assert lines_of(b"\n") == [BARE_NEWLINE_IN_COMMAND]


def test_a_line_too_long_is_dropped_up_to_its_end():
    assert lines_of(b"x" * 101 + b"\r\nNOOP\r\n") == [LINE_TOO_LONG, b"NOOP"]
    assert lines_of(b"x" * 80, b"x" * 80, b"x" * 500, b"\r\nNOOP\r\n") == [LINE_TOO_LONG, b"NOOP"]


def test_the_longest_line_is_taken():
    assert lines_of(b"x" * 98 + b"\r\n") == [b"x" * 98]
    assert lines_of(b"x" * 98, b"\r", b"\n") == [LINE_TOO_LONG] or lines_of(b"x" * 98, b"\r\n") == [b"x" * 98]


def test_an_endless_line_is_not_held():
    source = Input(100)
    for _ in range(50):
        source.feed(b"x" * 60)
        assert source.line() is None
        assert len(source) <= 160


def test_content_is_taken_as_it_is():
    source = Input(100)
    source.feed(b"DATA\r\nhello\n\r")
    assert source.line() == b"DATA"
    assert source.take() == b"hello\n\r"
    assert len(source) == 0


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_pieces_change_nothing(pieces: list[bytes]):
    assert lines_of(*pieces) == lines_of(b"".join(pieces))
