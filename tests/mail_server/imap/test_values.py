"""Small values of the protocol: sets, names, strings, patterns, dates."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mail_server.imap.names import Pattern
from mail_server.imap.protocol.responses import astring, internal_date, mailbox, string
from mail_server.imap.protocol.sequence import compact, parse_set
from mail_server.imap.protocol.utf7 import decode, encode

UIDS = st.lists(st.integers(1, 500), unique=True, max_size=60).map(sorted)
BOUND = st.one_of(st.just("*"), st.integers(1, 600).map(str))
SETS = st.lists(st.tuples(BOUND, BOUND | st.none()), min_size=1, max_size=8)


def expanded(pieces, numbers):
    """The definition, word for word."""
    if not numbers:
        return set()
    top = max(numbers)
    found = set()
    for first, last in pieces:
        low = top if first == "*" else int(first)
        high = low if last is None else top if last == "*" else int(last)
        found |= {n for n in numbers if min(low, high) <= n <= max(low, high)}
    return found


@given(SETS, UIDS)
def test_a_set_of_uids_means_what_the_rfc_says(pieces, uids):
    text = ",".join(a if b is None else f"{a}:{b}" for a, b in pieces)
    ranges = parse_set(text.encode()).among_uids(uids)
    indexes = [i for one in ranges for i in one]
    assert indexes == sorted(set(indexes))
    assert {uids[i] for i in indexes} == expanded(pieces, uids)


def test_sets_that_are_none():
    for text in (b"", b"0", b"1:0", b"1,", b",1", b"1::2", b"a", b"4294967296", b"-1", b"1:2:3"):
        assert parse_set(text) is None, text


@given(st.lists(st.integers(1, 10_000), max_size=50))
def test_a_compact_list_keeps_order_and_numbers(numbers):
    text = compact(numbers).decode()
    back = []
    for piece in filter(None, text.split(",")):
        low, _, high = piece.partition(":")
        back += range(int(low), int(high or low) + 1)
    assert back == numbers


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_names_survive_mutf7(name):
    assert decode(encode(name)) == name
    assert encode(name).isascii()


@given(st.binary())
def test_any_bytes_make_a_name(raw):
    decode(raw).encode("utf-8")


@given(st.binary(max_size=1200))
def test_a_string_is_quoted_or_a_literal(value):
    text = string(value)
    if text.startswith(b"{"):
        assert text == b"{%d}\r\n%b" % (len(value), value)
    else:
        assert b"\r" not in text
        assert b"\n" not in text
        assert re.sub(rb"\\(.)", rb"\1", text[1:-1]) == value


def test_nil_is_never_written_as_an_atom():
    assert astring(b"nil") == b'"nil"'
    assert astring(b"abc") == b"abc"
    assert mailbox("NIL", utf8=False) == b'"NIL"'


@given(st.text("ab/%*", max_size=12), st.text("ab/", max_size=12))
def test_patterns_match_as_the_regular_expression_they_stand_for(pattern, name):
    meant = "".join({"*": ".*", "%": "[^/]*"}.get(letter, re.escape(letter)) for letter in pattern)
    assert Pattern(pattern).matches(name) == bool(re.fullmatch(meant, name))


def test_dates_are_padded_with_a_space():
    assert internal_date(0) == b'" 1-Jan-1970 00:00:00 +0000"'
