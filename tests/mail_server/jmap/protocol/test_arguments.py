"""Arguments have their types, and whatever has not is `invalidArguments` (RFC 8620 §1, §3.6.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.jmap.protocol.arguments import Given, utc_ms, utc_text, whole
from mail_server.jmap.protocol.errors import MethodError

READERS: list[Callable[[Given], Any]] = [
    lambda given: given.text("x"),
    lambda given: given.flag("x"),
    lambda given: given.number("x"),
    lambda given: given.ids("x"),
    lambda given: given.id("x"),
    lambda given: given.texts("x"),
    lambda given: given.objects("x"),
    lambda given: given.object("x"),
    lambda given: given.array("x"),
    lambda given: given.properties(("id",), "x"),
]


def test_an_unknown_argument_is_invalid():
    with pytest.raises(MethodError):
        Given({"accountId": "a", "y": 1}, "x")


@pytest.mark.parametrize("read", READERS)
def test_null_is_as_if_it_were_not_there(read: Callable[[Given], Any]):
    assert not read(Given({"x": None}, "x"))
    assert not read(Given({}, "x"))


@pytest.mark.parametrize("value", [True, -1, 1.5, 2**53, "1", float("nan"), float("inf"), []])
def test_what_is_no_unsigned_integer(value: Any):
    assert whole(value) is None


def test_a_float_without_fraction_is_whole():
    assert whole(3.0) == 3


def test_ids_are_told_once_each():
    assert Given({"x": ["a", "b", "a", "#k"]}, "x").ids("x") == ["a", "b", "#k"]


@pytest.mark.parametrize("value", [["a b"], [""], ["é"], [1], "a", [None], ["a" * 256], ["a/b"]])
def test_what_is_no_list_of_ids(value: Any):
    with pytest.raises(MethodError):
        Given({"x": value}, "x").ids("x")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("2026-11-22T00:00:00.5Z", 1795305600500),
        ("2026-11-22T00:00:00.123456Z", 1795305600123),
    ],
)
def test_utc_dates(text: str, ms: int):
    assert utc_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    ["2026-11-22", "2026-11-22T00:00:00+01:00", "2026-13-01T00:00:00Z", 5, None, "2026-11-22t00:00:00z"],
)
def test_what_is_no_utc_date(text: Any):
    assert utc_ms(text) is None


@given(st.integers(0, 4_000_000_000))
def test_dates_come_back(seconds: int):
    assert utc_ms(utc_text(seconds * 1000)) == seconds * 1000


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANYTHING)
def test_no_argument_raises_anything_else(value: Any):
    assert {outcome(read, value) for read in READERS} <= {None, "invalidArguments"}


def outcome(read: Callable[[Given], Any], value: Any) -> str | None:
    try:
        read(Given({"x": value}, "x"))
    except MethodError as error:
        return error.type
    return None
