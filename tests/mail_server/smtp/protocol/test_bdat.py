"""Counted chunks (RFC 3030)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.smtp.protocol.bdat import Chunk, ChunkedMessage, chunk
from mail_server.smtp.protocol.end_of_data import Fault
from mail_server.smtp.protocol.replies import CommandRefused


def put_together(octets: bytes, sizes: list[int], cuts: int) -> ChunkedMessage:
    message = ChunkedMessage(1 << 20)
    at = 0
    for place, size in enumerate(sizes):
        message.begin(Chunk(size, place == len(sizes) - 1))
        end = at + size
        while at < end:
            step = min(cuts, len(octets) - at)
            rest = message.feed(octets[at : at + step])
            at += step
            if rest is not None:
                at -= len(rest)
    return message


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("0", Chunk(0, False)), ("86 LAST", Chunk(86, True)), ("7 last", Chunk(7, True))],
)
def test_a_chunk_has_a_size_and_may_be_the_last(argument: str, expected: Chunk):
    assert chunk(argument) == expected


@pytest.mark.parametrize("argument", ["", "LAST", "-1", "1.5", "10 FIRST", "10LAST", "1" * 21, "٣"])
def test_what_is_not_a_size_is_refused(argument: str):
    with pytest.raises(CommandRefused) as refused:
        chunk(argument)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (501, "5.5.4")


def test_dots_are_plain_dots():
    message = put_together(b"a\r\n.\r\n..b\r\n", [11], 5)
    assert b"".join(message.parts) == b"a\r\n.\r\n..b\r\n"


def test_what_follows_the_chunk_is_handed_back():
    message = ChunkedMessage(100)
    message.begin(Chunk(3, True))
    assert message.feed(b"abcQUIT\r\n") == b"QUIT\r\n"


def test_a_line_end_may_fall_between_two_chunks():
    message = put_together(b"a\r\nb\r\n", [2, 4], 100)
    assert (message.fault, b"".join(message.parts)) == (None, b"a\r\nb\r\n")


@pytest.mark.parametrize("octets", [b"a\nb", b"a\rb", b"a\0b", b"ab\r", b"a\r\r\n"])
def test_bare_newlines_and_nul_are_refused_as_in_data(octets: bytes):
    assert put_together(octets, [len(octets)], 100).fault is Fault.BARE_NEWLINE_OR_NUL


def test_a_message_too_big_is_refused_by_its_counts():
    message = ChunkedMessage(10)
    message.begin(Chunk(6, False))
    assert message.feed(b"abcdef") == b""
    message.begin(Chunk(5, True))
    assert message.fault is Fault.TOO_BIG
    assert message.feed(b"ghijkQUIT") == b"QUIT"
    assert message.parts == []


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"ab", b"\0"]), max_size=30).map(b"".join),
    st.lists(st.integers(0, 60), max_size=5),
    st.integers(1, 9),
)
def test_chunk_and_packet_borders_change_nothing(octets: bytes, places: list[int], cuts: int):
    marks = sorted(min(place, len(octets)) for place in places)
    sizes = [end - begin for begin, end in zip([0, *marks], [*marks, len(octets)], strict=True)]
    whole = put_together(octets, [len(octets)], 1000)
    if not octets:
        return
    cut = put_together(octets, sizes, cuts)
    assert cut.fault == whole.fault
    if whole.fault is None:
        assert b"".join(cut.parts) == octets
