"""Where a message ends, and what may be in it."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.smtp.protocol.end_of_data import EndOfData, Fault
from tests.effort import least_cpu, steps

LIMIT = 1 << 20


def read(stream: bytes, cuts: list[int] | None = None, limit: int = LIMIT) -> tuple[EndOfData, bytes | None]:
    """Feed `stream` cut at `cuts` up to the end of the message; the reader and what followed."""
    reader = EndOfData(limit)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    for begin, end in itertools.pairwise(places):
        rest = reader.feed(stream[begin:end])
        if rest is not None:
            return reader, rest + stream[end:]
    return reader, None


def test_the_message_ends_at_a_dot_alone_on_its_line():
    reader, rest = read(b"Subject: x\r\n\r\nhello\r\n.\r\n")
    assert (b"".join(reader.parts), rest, reader.fault) == (b"Subject: x\r\n\r\nhello\r\n", b"", None)


def test_a_message_may_be_empty():
    reader, rest = read(b".\r\n")
    assert (reader.parts, reader.size, rest) == ([], 0, b"")


def test_commands_that_came_along_are_handed_back():
    assert read(b"a\r\n.\r\nQUIT\r\n")[1] == b"QUIT\r\n"


def test_stuffed_dots_lose_one_dot_wherever_the_line_stands():
    reader, _ = read(b"..first\r\n...\r\n.x\r\na..b\r\n..\r\n.\r\n")
    assert b"".join(reader.parts) == b".first\r\n..\r\nx\r\na..b\r\n.\r\n"


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r.\n",
        b"\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n.\r\0\n",
        b"\r\r\n.\r\r\n",
        b"\0\n.\n",
    ],
)
def test_nothing_but_crlf_dot_crlf_ends_a_message_and_look_alikes_refuse_it(ending: bytes):
    stream = b"body" + ending + b"MAIL FROM:<evil@example.org>\r\n"
    reader, rest = read(stream)
    assert rest is None
    reader.feed(b"\r\n.\r\n")
    assert reader.fault is Fault.BARE_NEWLINE_OR_NUL
    assert reader.parts == []


def test_a_message_too_big_is_refused_while_it_is_read_and_not_held():
    reader = EndOfData(100)
    assert reader.feed(b"x" * 101) is None
    assert (reader.fault, reader.parts) == (Fault.TOO_BIG, [])
    assert reader.feed(b"y" * 1000) is None
    assert reader.drained == 1000
    assert reader.feed(b"\r\n.\r\nRSET\r\n") == b"RSET\r\n"


def test_the_size_is_that_of_the_unstuffed_message():
    reader, _ = read(b"..\r\n" * 25 + b".\r\n", limit=75)
    assert (reader.size, reader.fault) == (75, None)


def test_the_first_fault_is_kept():
    reader = EndOfData(LIMIT)
    reader.feed(b"a\nb")
    reader.refuse(Fault.MEMORY_FULL)
    assert reader.fault is Fault.BARE_NEWLINE_OR_NUL


pieces = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"\r\n.", b"\r\n..", b"\r\n.\r\n", b"xy"]),
    max_size=40,
).map(b"".join)


@given(pieces, st.lists(st.integers(0, 200), max_size=20))
def test_chunk_borders_change_nothing(stream: bytes, cuts: list[int]):
    whole, rest_of_whole = read(stream)
    cut, rest_of_cut = read(stream, cuts)
    assert (rest_of_cut, cut.fault) == (rest_of_whole, whole.fault)
    if rest_of_whole is not None:
        assert b"".join(cut.parts) == b"".join(whole.parts)


@given(pieces)
def test_it_agrees_with_the_rule_written_line_by_line(stream: bytes):
    reader, rest = read(stream)
    text = b"\r\n" + stream
    end = text.find(b"\r\n.\r\n")
    if end < 0:
        assert rest is None
        return
    assert rest == text[end + 5 :]
    body = text[2 : end + 2]
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", body):
        assert reader.fault is Fault.BARE_NEWLINE_OR_NUL
    else:
        lines = body.split(b"\r\n")
        assert b"".join(reader.parts) == b"\r\n".join(line.removeprefix(b".") for line in lines)


@pytest.mark.parametrize("size", [4096, 1 << 16, 1 << 20, 1 << 22])
def test_reading_is_cheap(size: int):
    line = b"TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3RldHVyIGFkaXBpc2NpbmcgZWxpdCwg\r\n"
    stream = line * (size // len(line)) + b".\r\n"
    chunks = [stream[at : at + 65536] for at in range(0, len(stream), 65536)]

    def once() -> None:
        reader = EndOfData(2 * size)
        for chunk in chunks:
            reader.feed(chunk)
        b"".join(reader.parts)

    assert steps(once) < 80 * len(chunks), "as much for each chunk, however many lines it holds"
    assert least_cpu(once, 1) < 1
