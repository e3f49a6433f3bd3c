"""`verify-page`: a page served as published is found the same; each kind of change is found and named."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from click.testing import Result
from fastapi import FastAPI
from typer.testing import CliRunner

from deploy.node.cli import app
from webmail.built_page import Manifest
from webmail.help import HelpInfo
from webmail.page import page_routes
from webmail.verify_page import (
    Fault,
    Fetched,
    NotVerifiable,
    Verdict,
    compare,
    published_manifest,
    verify_page,
)

Ask = Callable[..., Awaitable[httpx.Response]]
Change = Callable[[str, Fetched], Fetched]


@pytest.fixture
def published(built: Path) -> Manifest:
    return published_manifest(built / "manifest.sha256.json")


@pytest.fixture
def verdict(ask: Ask, published: Manifest) -> Callable[..., Verdict]:
    """The comparison with what is served, once a change was made to each answer."""

    def served(path: str) -> Fetched:
        answer = asyncio.run(ask(path))
        headers = {name.lower(): tuple(answer.headers.get_list(name)) for name in answer.headers}
        return Fetched(answer.status_code, headers, answer.content)

    def run(change: Change = lambda _, answer: answer) -> Verdict:
        return compare("https://page.example", published, lambda path: change(path, served(path)))

    return run


def faults(verdict: Verdict, path: str) -> set[Fault]:
    return {difference.fault for difference in verdict.differences if difference.path == path}


def test_the_published_page_is_found_the_same(verdict: Callable[..., Verdict]) -> None:
    found = verdict()
    assert found.same
    assert found.files == 7
    assert found.sources == "5" * 64


def test_a_byte_changed_in_a_script_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(path: str, answer: Fetched) -> Fetched:
        spoiled = answer.body + b";" if path == "/assets/screen-d4.js" else answer.body
        return Fetched(answer.status, answer.headers, spoiled)

    found = verdict(change)
    assert not found.same
    assert [str(difference.sentence) for difference in found.differences] == [
        "/assets/screen-d4.js is not the published file"
    ]


def test_a_script_slipped_into_the_page_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(path: str, answer: Fetched) -> Fetched:
        slipped = answer.body.replace(b"</head>", b'<script src="/assets/evil.js"></script></head>')
        return Fetched(answer.status, answer.headers, slipped)

    found = verdict(change)
    assert faults(found, "/messages") >= {Fault.OTHER_CONTENT, Fault.INTEGRITY}
    assert "/assets/evil.js" in {difference.detail for difference in found.differences}


def test_another_page_at_one_address_alone_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(path: str, answer: Fetched) -> Fetched:
        return Fetched(200, answer.headers, b"<h1>log in</h1>") if path == "/connexion" else answer

    found = verdict(change)
    assert {difference.path for difference in found.differences} == {"/connexion"}
    assert Fault.INTEGRITY in faults(found, "/connexion")


@pytest.mark.parametrize("header", ["content-security-policy", "integrity-policy", "x-frame-options"])
def test_a_header_left_out_is_found(verdict: Callable[..., Verdict], header: str) -> None:
    def change(_: str, answer: Fetched) -> Fetched:
        left = {name: value for name, value in answer.headers.items() if name != header}
        return Fetched(answer.status, left, answer.body)

    found = verdict(change)
    assert faults(found, "/") == {Fault.HEADER}
    assert header in {difference.detail for difference in found.differences}


def test_a_policy_loosened_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(_: str, answer: Fetched) -> Fetched:
        policy = answer.headers["content-security-policy"][0].replace("connect-src", "connect-src https:")
        return Fetched(answer.status, {**answer.headers, "content-security-policy": (policy,)}, answer.body)

    assert Fault.HEADER in faults(verdict(change), "/")


def test_a_policy_added_by_a_server_in_front_does_no_harm(verdict: Callable[..., Verdict]) -> None:
    def change(_: str, answer: Fetched) -> Fetched:
        policies = (*answer.headers["content-security-policy"], "upgrade-insecure-requests")
        return Fetched(answer.status, {**answer.headers, "content-security-policy": policies}, answer.body)

    assert verdict(change).same


def test_a_file_that_is_gone_or_refused_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(path: str, answer: Fetched) -> Fetched:
        if path == "/assets/frame-b2.js":
            raise ConnectionResetError
        return Fetched(404, {}, b"") if path == "/assets/style-c3.css" else answer

    found = verdict(change)
    assert (
        faults(found, "/assets/frame-b2.js") == faults(found, "/assets/style-c3.css") == {Fault.UNREACHABLE}
    )


def test_a_script_that_comes_as_something_else_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(_: str, answer: Fetched) -> Fetched:
        return Fetched(answer.status, {**answer.headers, "content-type": ("text/plain",)}, answer.body)

    assert faults(verdict(change), "/assets/index-a1.js") == {Fault.TYPE}


def test_a_manifest_that_lists_more_than_was_published_is_found(verdict: Callable[..., Verdict]) -> None:
    def change(path: str, answer: Fetched) -> Fetched:
        more = b'"files": {"/assets/more.js": "' + b"0" * 64 + b'",'
        body = answer.body.replace(b'"files": {', more) if path == "/manifest.sha256.json" else answer.body
        return Fetched(answer.status, answer.headers, body)

    assert faults(verdict(change), "/assets/more.js") == {Fault.UNKNOWN_FILE}


@pytest.mark.parametrize(
    "url",
    [
        "http://page.example",
        "ftp://page.example",
        "https://",
        "https://[::",
        "javascript:alert(1)",
        "https://a b",
    ],
)
def test_an_address_that_cannot_be_compared_is_refused_in_words(url: str, published: Manifest) -> None:
    with pytest.raises(NotVerifiable, match=r"\.$"):
        verify_page(url, published)


def test_a_manifest_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotVerifiable, match=r"cannot be read"):
        published_manifest(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(NotVerifiable, match=r"cannot be read"):
        published_manifest(tmp_path / "bad.json")


# ------------------------------------------------------------------------------------------ over a socket


@pytest.fixture
def origin(built: Path) -> Iterator[str]:
    serving = FastAPI(openapi_url=None)
    serving.include_router(page_routes(HelpInfo("GRADES", "h.example"), built))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(serving, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_over_a_socket_and_packed_the_page_is_found_the_same(
    origin: str, published: Manifest, built: Path
) -> None:
    found = verify_page(f"{origin}/messages?x", published)
    assert found.differences == ()
    assert (built / "assets" / "index-a1.js.gz").exists()


def test_a_server_that_is_not_there_differs_in_every_file(published: Manifest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = verify_page(f"http://127.0.0.1:{port}", published)
    assert {difference.fault for difference in found.differences} == {Fault.UNREACHABLE}


# ------------------------------------------------------------------------------------- on the command line


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify-page", *arguments])


def test_the_command_says_in_a_line_that_nothing_differs(origin: str, built: Path) -> None:
    told = run(origin, "--manifest", str(built / "manifest.sha256.json"))
    assert told.exit_code == 0
    assert "serves the published page: 7 files are the same." in told.output


def test_the_command_ends_with_1_and_names_what_differs(origin: str, built: Path, tmp_path: Path) -> None:
    other = json.loads((built / "manifest.sha256.json").read_text())
    other["files"]["/assets/screen-d4.js"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(other))
    told = run(origin, "--manifest", str(tmp_path / "other.json"), "--json")
    assert told.exit_code == 1
    verdict = json.loads(told.output)
    assert verdict["same"] is False
    assert {"path": "/assets/screen-d4.js", "fault": "other_content", "detail": ""} in verdict["differences"]


def test_the_command_refuses_in_a_sentence(built: Path) -> None:
    told = run("http://page.example", "--manifest", str(built / "manifest.sha256.json"))
    assert told.exit_code == 1
    assert "Traceback" not in told.output
