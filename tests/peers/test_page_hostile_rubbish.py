# ruff: noqa: E501 - lists of rubbish
"""Rubbish at every address of the page: refused as such, never a fault, and nothing of it in the log."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.demo import world
from tests.peers import intruder
from tests.peers.intruder import EVERYTHING, Someone, as_page, ask
from tests.peers.test_page_hostile import CHANGING

pytestmark = pytest.mark.peers

MARK = "r0gnure-5512"  # in every body
ROUTES = [
    each
    for each in CHANGING
    if each[1].startswith("/api/") and each[1] != "/api/logout" and "sessions" not in each[1]
]
FIELDS = [
    "user", "login", "totp", "shared", "id", "credential", "current", "password", "salt", "params", "wrapped", "recovery",
    "key", "certificate", "wrappedSecret", "challenge", "nonce", "letters", "keyPackets", "summaryKeyPackets", "addresses",
    "code", "birthDate", "lastFive", "address", "label", "algorithm", "memory", "passes", "lanes", "rawId", "response",
]  # fmt: skip
METHODS = [
    "Core/echo", "Mailbox/get", "Mailbox/changes", "Thread/get", "Thread/changes", "Email/get", "Email/changes",
    "Email/query", "Email/queryChanges", "Email/set", "Email/import", "Identity/get", "Identity/changes",
    "EmailSubmission/get", "EmailSubmission/changes", "EmailSubmission/query", "EmailSubmission/set", "Quota/get",
    "Quota/changes", "Quota/query", "AccessLog/get",
]  # fmt: skip
ARGUMENTS = [
    "ids", "properties", "sinceState", "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal",
    "collapseThreads", "create", "update", "destroy", "emails", "ifInState", "maxChanges", "bodyProperties", "before",
    "fetchAllBodyValues", "maxBodyValueBytes", "onSuccessUpdateEmail", "onSuccessDestroyEmail", "sinceQueryState",
    "upToId", "#ids", "#filter",
]  # fmt: skip

odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40), st.sampled_from(["AA==", MARK, "2510369999999", "\ud800", "\0", "1950-13-99", "a@b", "=", "\u202e" * 9]),
)  # fmt: skip
nested = st.recursive(
    odd,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS + ARGUMENTS), inner, max_size=5)
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), nested, max_size=6).map(
        lambda body: json.dumps({**body, "x": MARK}).encode()
    ),
    st.dictionaries(st.sampled_from(FIELDS), nested, max_size=6).map(lambda body: json.dumps(body).encode()),
    nested.map(lambda body: json.dumps([body, MARK]).encode()),
    st.binary(max_size=200).map(lambda body: MARK.encode() + body),
    st.sampled_from(
        [b"[" * 50_000 + MARK.encode(), b'{"user":' * 5000, b"{" + b'"a":1,' * 2000 + b"}", b"\xff\xfe{", b""]
    ),
)
arguments = st.dictionaries(st.sampled_from(ARGUMENTS), nested, max_size=5)


@pytest.fixture(scope="module")
def made() -> Iterator[world.World]:
    with intruder.siege() as (built, _):
        yield built
        for each in (built.folder / "node.log", *(built.folder / "node").rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                told = each.read_bytes() if each.is_file() else b""
                assert MARK.encode() not in told, each.name
                assert MARK.encode("utf-16-le") not in told, each.name


@pytest.fixture(scope="module")
def alice(made: world.World) -> Someone:
    return intruder.activated(made, "Alix", "MIRECOURT", 1)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(route=st.sampled_from(ROUTES), body=bodies, logged_in=st.booleans())
def test_every_route_refuses_rubbish_in_its_own_words(
    made: world.World, alice: Someone, route: tuple[str, str], body: bytes, logged_in: bool
) -> None:
    method, path = route
    headers = as_page(made.ports["http"], alice.cookie if logged_in else "")
    answer = ask(made.ports["http"], method, path, body, headers)
    # Two routes need nothing of a body; all else is refused.
    assert answer.status == 200 or 400 <= answer.status < 500, (route, answer.status, body)
    if answer.status == 200:
        assert path in {"/api/login/parameters", "/api/login/passkey/start", "/api/passkeys/start", "/api/totp/start",
                        "/api/certificates", "/api/reseal/letters"}, (route, body)  # fmt: skip
    else:
        told = answer.json()
        assert {"error", "message", "reference"} <= told.keys()
        assert MARK not in answer.body.decode()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=st.lists(st.tuples(st.sampled_from(METHODS), arguments), max_size=4), right=st.booleans())
def test_every_jmap_method_answers_rubbish_with_an_error_of_the_standard(
    made: world.World, alice: Someone, calls: list[tuple[str, dict[str, Any]]], right: bool
) -> None:
    account = {"accountId": alice.account} if right else {}
    said = {
        "using": EVERYTHING,
        "methodCalls": [[name, {**given_, **account}, MARK] for name, given_ in calls],
    }
    answer = ask(
        made.ports["http"],
        "POST",
        "/jmap/api",
        json.dumps(said).encode(),
        as_page(made.ports["http"], alice.cookie),
    )
    if answer.status != 200:
        assert answer.status == 400
        assert str(answer.json()["type"]).startswith("urn:ietf:params:jmap:error:")
        return
    for name, told, _ in answer.json()["methodResponses"]:
        assert name != "error" or told["type"] != "serverFail", (calls, told)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bodies)
def test_what_is_no_jmap_request_is_a_problem_of_the_standard(
    made: world.World, alice: Someone, body: bytes
) -> None:
    port = made.ports["http"]
    answer = ask(port, "POST", "/jmap/api", body, as_page(port, alice.cookie))
    assert answer.status == 400
    assert str(answer.json()["type"]).startswith("urn:ietf:params:jmap:error:")
    assert MARK not in answer.body.decode()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=400))
def test_rubbish_instead_of_http_ends_the_connection_and_nothing_else(made: world.World, data: bytes) -> None:
    port = made.ports["http"]
    with socket.create_connection(("localhost", port), timeout=60) as connection:
        connection.sendall(b"POST /api/login HTTP/1.1\r\nHost: localhost\r\n" + data + MARK.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
    assert not answer.startswith(b"HTTP/1.1 5")
    assert MARK.encode() not in answer


def test_long_addresses_and_queries_are_refused(made: world.World, alice: Someone) -> None:
    port = made.ports["http"]
    for path in (
        "/jmap/download/a/b/" + "%2e%2e%2f" * 300,  "/api/reseal/letters?after=" + "9" * 400,
        "/api/reseal/letters?after=-1&limit=x", "/api/reseal/letters?after=\u0661".encode().decode("latin-1"),
        "/jmap/events?ping=" + "9" * 300, "/jmap/events?closeafter=%00", "//api/session", "/api/../jmap/session", "/api/session/",
    ):  # fmt: skip
        answer = ask(
            port,
            "GET",
            path.encode("latin-1").decode("latin-1").replace("\xd9\xa1", "%D9%A1"),
            None,
            as_page(port, alice.cookie),
        )
        assert 400 <= answer.status < 500, path[:60]
