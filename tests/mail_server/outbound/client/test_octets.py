"""Replies read, content written, transactions kept, whatever bytes and answers come: without a socket."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.outbound.client import content, offers
from mail_server.outbound.client.commands import notify_words, speakable
from mail_server.outbound.client.offers import Offers
from mail_server.outbound.client.replies import LONGEST_LINE, LONGEST_REPLY, MOST_LINES, Reply, ReplyReader
from mail_server.outbound.client.transaction import Step, Transaction
from mail_server.outbound.interface import Notify, Verdict
from tests.effort import least_cpu, steps
from tests.mail_server.outbound.client.scripted import DOMAIN, letter

# --- replies


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_are_read_without_harm(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    for piece in pieces:
        for reply in reader.feed(piece):
            assert 200 <= reply.code < 600
            assert reply.said.isascii()
            assert len(reply.said) <= 200
        assert reader.bad in ("", "garbage", "endless-reply")


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_replies_are_the_same_however_their_bytes_are_cut(pieces: int, lot: random.Random) -> None:
    whole = b"250-mx.example\r\n250-SIZE 1\r\n250 DSN\r\n354 Go\r\n550 5.1.1 No\r\n221\r\n"
    cuts = sorted(lot.randrange(len(whole) + 1) for _ in range(pieces))
    reader, found = ReplyReader(), list[Reply]()
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += reader.feed(whole[begin:end])
    assert [(reply.code, reply.text) for reply in found] == [
        (250, b"mx.example\nSIZE 1\nDSN"),
        (354, b"Go"),
        (550, b"5.1.1 No"),
        (221, b""),
    ]
    assert not reader.pending


@pytest.mark.parametrize(
    "endless",
    [
        b"250 " + b"x" * (LONGEST_LINE + 1),
        b"250-a\r\n" * (MOST_LINES + 1),
        (b"250-" + b"a" * 2000 + b"\r\n") * (LONGEST_REPLY // 2000 + 1),
    ],
)
def test_what_does_not_end_is_not_held(endless: bytes) -> None:
    reader = ReplyReader()
    assert reader.feed(endless) == []
    assert reader.bad == "endless-reply"
    assert reader.feed(b"250 ok\r\n") == []


def test_a_flood_of_replies_is_not_read_further_than_was_asked() -> None:
    flood = b"250 ok\r\n" * 100_000
    assert len(ReplyReader().feed(flood, 3)) == 4
    assert steps(lambda: ReplyReader().feed(flood, 3)) < 500, "four replies take 132"


def test_replies_in_front_of_garbage_are_given() -> None:
    reader = ReplyReader()
    assert [reply.code for reply in reader.feed(b"250 ok\r\n354 go\r\nnonsense\r\n250 ok\r\n")] == [250, 354]
    assert reader.bad == "garbage"


# --- what is offered, what is said


@given(st.dictionaries(st.sampled_from(["size", "limits", "dsn"]), st.text(max_size=60)))
def test_any_offer_is_read_without_harm(extensions: dict[str, str]) -> None:
    found = offers.read(extensions)
    assert found.largest >= 0
    assert 1 <= found.recipients <= 100


def test_limits_of_the_server_are_read() -> None:
    found = offers.read({"limits": "RCPTMAX=20 mailmax=7 RCPTDOMAINMAX=x", "size": "1000"})
    assert (found.recipients, found.letters, found.largest, found.size) == (20, 7, 1000, True)


@given(st.text(max_size=400))
def test_no_address_adds_a_command_or_a_parameter(address: str) -> None:
    if speakable(address):
        assert not set("\r\n<>\0") & set(address)
        assert "@" in address


@pytest.mark.parametrize(
    ("notify", "words"),
    [
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, "SUCCESS,FAILURE,DELAY"),
        (Notify.NEVER | Notify.FAILURE, "NEVER"),
        (Notify.FAILURE, "FAILURE"),
    ],
)
def test_notify_is_said_as_rfc_3461_has_it(notify: Notify, words: str) -> None:
    assert notify_words(notify) == words


# --- content


def undone(wire: bytes) -> bytes:
    """As a receiver reads it (RFC 5321 §4.5.2)."""
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""]
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end])


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"..", b"x", b"\r\n.", b"\r\n.\r\n"]), max_size=40),
    st.integers(1, 20),
)
def test_content_arrives_as_it_was_however_it_is_sliced(parts: list[bytes], size: int) -> None:
    whole = b"".join(parts)
    wire = b"".join(content.stuffed(whole, *piece) for piece in content.slices(len(whole), size))
    if not whole:
        wire = content.stuffed(whole, 0, 0)
    ended = whole if whole.endswith(b"\r\n") or not whole else whole + b"\r\n"
    assert undone(wire) == ended


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\0", b".", b"x"]), max_size=30), st.integers(1, 7))
def test_bare_line_ends_are_found_however_content_is_sliced(parts: list[bytes], size: int) -> None:
    whole = b"".join(parts)
    rest = whole.replace(b"\r\n", b"")
    bare = any(octet in rest for octet in (b"\r", b"\n", b"\0"))
    assert bare == any(content.has_bare_line_end(whole, *piece) for piece in content.slices(len(whole), size))


@pytest.mark.parametrize("line", [b"\r\n", b".\r\n", b"x" * 76 + b"\r\n", b"x"])
def test_no_slice_takes_longer_than_the_loop_may_be_held(line: bytes) -> None:
    whole = line * (25_000_000 // len(line))
    for begin, stop in list(content.slices(len(whole)))[::16]:
        assert stop - begin <= 64 * 1024
        assert steps(partial(prepared, whole, begin, stop)) < 50  # a tenth of a millisecond
    assert least_cpu(lambda: prepared(whole, *next(content.slices(len(whole)))), 0.05) < 0.05


def prepared(whole: bytes, begin: int, stop: int) -> None:
    content.fault(whole, begin, stop, eight_bit=False)
    content.stuffed(whole, begin, stop)


# --- transactions

ANSWERS = [200, 220, 250, 251, 354, 334, 421, 450, 452, 503, 550, 552, 554]


@given(
    st.integers(1, 6),
    st.booleans(),
    st.lists(st.sampled_from(ANSWERS), min_size=60, max_size=60),
    st.integers(0, 60),
)
def test_any_answers_give_each_recipient_one_outcome(
    recipients: int, pipelining: bool, codes: list[int], cut_at: int
) -> None:
    leaving = letter(*(f"r{number}@{DOMAIN}" for number in range(recipients)))
    waiting, found, opened = list(range(recipients)), dict[int, Verdict](), 0
    answers = iter(codes)
    for _ in range(recipients):
        one = Transaction(leaving, waiting, Offers(pipelining=pipelining), "mx")
        for turn in range(60):
            if turn == cut_at:
                one.lost("cut")
            if (step := one.step) is Step.DONE:
                break
            if step is Step.SEND:
                assert one.to_send.endswith(b"\r\n")
                one.sent()
            elif step is Step.CONTENT:
                opened += 1
                one.content_sent()
            else:
                one.take(Reply(next(answers, 250), b""))
        assert one.step is Step.DONE
        assert not one.outcomes.keys() & found.keys()
        assert one.outcomes.keys() | set(one.left_over) == set(waiting)
        found |= {place: outcome.verdict for place, outcome in one.outcomes.items()}
        for outcome in one.outcomes.values():
            assert outcome.verdict is not Verdict.DELIVERED or opened
            assert not outcome.unsure or one.content_ended
        waiting = one.left_over
        if one.closing or not waiting:
            break
    assert found.keys() | set(waiting) == set(range(recipients))
