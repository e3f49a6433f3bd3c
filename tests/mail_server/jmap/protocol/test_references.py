"""Result references and JSON pointers (RFC 8620 §3.7), creation ids' bookkeeping, and the order of responses."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.jmap.protocol import Batch, MethodError, Request, evaluate
from mail_server.jmap.protocol.pointer import PointerError
from mail_server.jmap.protocol.request import Invocation

DOCUMENT = {
    "list": [{"id": "a", "to": ["x", "y"]}, {"id": "b", "to": []}],
    "a/b": {"~": 1},
    "": 2,
    "0": "zero",
}


def batch(*calls: tuple[str, dict[str, Any], str]) -> Batch:
    return Batch(Request(frozenset(), tuple(Invocation(*call) for call in calls), None))


def refer(result_of: Any, name: Any, path: Any) -> dict[str, Any]:
    return {"resultOf": result_of, "name": name, "path": path}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/list/0/id", "a"),
        ("/list/*/id", ["a", "b"]),
        ("/list/*/to", ["x", "y"]),
        ("/a~1b/~0", 1),
        ("/", 2),
        ("/0", "zero"),
    ],
)
def test_pointers_that_lead_somewhere(pointer: str, value: Any):
    assert evaluate(DOCUMENT, pointer) == value


@pytest.mark.parametrize(
    "pointer",
    [
        "list",
        "/nothing",
        "/list/2",
        "/list/-1",
        "/list/00",
        "/list/-",
        "/list/0/id/x",
        "/~2",
        "/list/*/none",
        "/a~",
    ],
)
def test_pointers_that_lead_nowhere(pointer: str):
    with pytest.raises(PointerError):
        evaluate(DOCUMENT, pointer)


def test_a_star_gathers_no_more_than_it_may():
    with pytest.raises(PointerError):
        evaluate([[0] * 1000] * 200, "/*/*")


def test_a_call_takes_its_arguments_from_a_response_before():
    run = batch(("Foo/query", {}, "q"), ("Foo/get", {"#ids": refer("q", "Foo/query", "/ids")}, "g"))
    run.next()
    run.answered("Foo/query", {"ids": ["1", "2"]})
    call = run.next()
    assert call is not None
    assert call.arguments == {"ids": ["1", "2"]}


@pytest.mark.parametrize(
    "reference",
    [
        refer("g", "Foo/query", "/ids"),
        refer("q", "Foo/get", "/ids"),
        refer("q", "Foo/query", "/none"),
        refer("q", "Foo/query", 1),
        refer(1, "Foo/query", "/ids"),
        {"resultOf": "q"},
        "q",
        None,
    ],
)
def test_a_reference_that_does_not_resolve_answers_its_call(reference: Any):
    run = batch(("Foo/query", {}, "q"), ("Foo/get", {"#ids": reference}, "g"))
    run.next()
    run.answered("Foo/query", {"ids": []})
    assert run.next() is None
    name, told, call_id = run.responses[-1]
    assert (name, told["type"], call_id) == ("error", "invalidResultReference", "g")


def test_an_argument_given_twice_is_invalid():
    run = batch(("Foo/get", {"ids": [], "#ids": refer("q", "Foo/query", "/ids")}, "g"))
    assert run.next() is None
    assert run.responses[0][1]["type"] == "invalidArguments"


def test_a_reference_to_a_call_that_failed_does_not_resolve():
    run = batch(("Foo/query", {}, "q"), ("Foo/get", {"#ids": refer("q", "Foo/query", "/ids")}, "g"))
    run.next()
    run.failed(MethodError("unknownMethod"))
    assert run.next() is None
    assert [told["type"] for _, told, _ in run.responses] == ["unknownMethod", "invalidResultReference"]


def test_further_responses_stand_after_their_call_under_its_id():
    run = batch(("Foo/set", {}, "s"), ("Foo/get", {}, "g"))
    run.next()
    run.answered("Foo/set", {"n": 1})
    run.added("Bar/set", {"n": 2})
    run.next()
    run.answered("Foo/get", {"n": 3})
    assert run.responses == [
        ("Foo/set", {"n": 1}, "s"),
        ("Bar/set", {"n": 2}, "s"),
        ("Foo/get", {"n": 3}, "g"),
    ]


@given(
    st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
    st.text(alphabet="/*~01ab", max_size=12),
)
def test_no_pointer_raises_anything_else(document: Any, pointer: str):
    with contextlib.suppress(PointerError):
        evaluate(document, pointer)
