"""A request is read strictly, or refused by one of four names (RFC 8620 §3.6.1)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.jmap.protocol import Caps, NotJson, RequestError, decode, parse_request

KNOWN = {"urn:ietf:params:jmap:core"}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


CAPS = Caps()


def error_of(body: bytes | dict[str, Any], caps: Caps = CAPS) -> str:
    with pytest.raises(RequestError) as raised:
        parse_request(body if isinstance(body, bytes) else json.dumps(body).encode(), caps, KNOWN)
    return raised.value.type


def request(**changes: Any) -> dict[str, Any]:
    return {"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {}, "0"]]} | changes


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'["\\uffff"]',
        b'["\\ufdd0"]',
        b'["\xed\xa0\x80"]',
        b'["\xff"]',
        b"[NaN]",
        b"[Infinity]",
        b'\xef\xbb\xbf{"a": 1}',
        b"[" * 100_000,
        b"[" * 100 + b"]" * 100,
        b"1" * 5000,
    ],
)
def test_what_is_not_i_json_is_not_json(octets: bytes):
    with pytest.raises(NotJson):
        decode(octets)
    assert error_of(octets) == "notJSON"


def test_a_pair_of_surrogate_escapes_is_one_character():
    assert decode(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        {"methodCalls": []},
        {"using": []},
        request(using="urn:ietf:params:jmap:core"),
        request(using=[1]),
        request(methodCalls={}),
        request(methodCalls=["Core/echo"]),
        request(methodCalls=[["Core/echo", {}]]),
        request(methodCalls=[["Core/echo", [], "0"]]),
        request(methodCalls=[["Core/echo", {}, 0]]),
        request(methodCalls=[[None, {}, "0"]]),
        request(createdIds=[]),
        request(createdIds={"k": 1}),
        request(createdIds={"a b": "c"}),
    ],
)
def test_json_that_is_no_request_is_not_request(body: Any):
    assert error_of(body) == "notRequest"


def test_an_unknown_capability_refuses_the_whole_request():
    assert error_of(request(using=["urn:ietf:params:jmap:calendars"])) == "unknownCapability"


def test_too_many_calls_name_the_limit():
    with pytest.raises(RequestError) as raised:
        parse_request(
            json.dumps(request(methodCalls=[["a", {}, "0"]] * 3)).encode(), Caps(calls_in_request=2), KNOWN
        )
    assert raised.value.as_json()["limit"] == "maxCallsInRequest"
    assert raised.value.as_json()["type"] == "urn:ietf:params:jmap:error:limit"


def test_a_request_too_large_is_not_even_parsed():
    assert error_of(b"[" * 5000, Caps(size_request=1000)) == "limit"


def test_an_unknown_member_of_a_request_is_passed_over():
    assert parse_request(json.dumps(request(more=1)).encode(), Caps(), KNOWN).calls[0].name == "Core/echo"


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_else(octets: bytes):
    with contextlib.suppress(NotJson):
        decode(octets)


@given(JSON)
def test_no_json_raises_anything_else(value: Any):
    body = json.dumps({"using": value, "methodCalls": value, "createdIds": value}).encode()
    for octets in (body, json.dumps(value).encode()):
        found = outcome(octets)
        assert found in {None, "notJSON", "notRequest", "unknownCapability", "limit"}


def outcome(octets: bytes) -> str | None:
    try:
        parse_request(octets, CAPS, KNOWN)
    except RequestError as error:
        return error.type
    return None
