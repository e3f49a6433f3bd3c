"""A program of a newer version asks a node that was not restarted since: it is told so, and no trace is shown."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.node import cli
from deploy.node.config import Config
from deploy.node.control import ControlServer, Report
from deploy.node.doctor import running_findings
from deploy.node.finding import Finding
from deploy.node.home import Home

CLOSED = {"operator_port": None, "submission_port": None, "submissions_port": None}
STANDING: Mapping[str, Any] = {
    "mailboxes": {},
    "cards": 3,
    "imports": [],
    "held_back_here": [],
    "kept": 0,
    "held_here": [],
    "struck_off_here": [],
}
AS_EVER: Mapping[str, Any] = {
    "status": {"accounts": 2, "writable": True},
    "software_access": [],
    "directory_publications": {"mailboxes": [], "key_refused": None, "elsewhere": []},
    "reports_standing": {"oldest": None, "untold": 0},
    "queue_standing": {"waiting": 0, "leased": 0, "held": 0, "oldest": None, "now": 0},
    "egress_show": {"needed": False},
    "directory_standing": STANDING,
}


@pytest.fixture
def settings() -> Config:
    return Config.model_validate(
        {
            "accounts": {"domains": ["mss.a.test"]},
            "smtp": CLOSED,
            "imap": {"port": None, "tls_port": None},
            "ldap": {"port": None, "tls_port": None},
            "web": {"port": None},
        }
    )


@contextmanager
def node_that_answers(home: Path, answers: Mapping[str, Any]) -> Generator[None]:
    """At the socket of this home, in a thread of its own: a command asks with a loop of its own."""
    up, down = threading.Event(), threading.Event()

    async def answer(command: str, arguments: Mapping[str, Any], report: Report) -> Any:
        return answers[command]

    async def serve() -> None:
        server = ControlServer(Home(home).control_socket, lambda uid: answer)
        await server.start()
        up.set()
        await asyncio.to_thread(down.wait)
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert up.wait(60)
        yield
    finally:
        down.set()
        thread.join()


def found(home: Path, settings: Config, answers: Mapping[str, Any]) -> list[Finding]:
    async def look() -> list[Finding]:
        return [one async for one in running_findings(settings, home)]

    with node_that_answers(home, answers):
        return asyncio.run(look())


def test_a_node_of_this_version_is_told_to_be_no_other(tmp_path: Path, settings: Config) -> None:
    told = found(tmp_path, settings, AS_EVER)
    assert not [one for one in told if "older" in one.sentence]
    assert "Running, 2 accounts." in [one.sentence for one in told]
    assert "directory" in [one.subject for one in told]


def test_what_an_older_node_does_not_tell_yet_is_named_and_the_rest_looked_at(
    tmp_path: Path, settings: Config
) -> None:
    publications = {
        name: value for name, value in AS_EVER["directory_publications"].items() if name != "elsewhere"
    }
    standing = {name: value for name, value in STANDING.items() if name != "kept"}
    told = found(
        tmp_path,
        settings,
        {**AS_EVER, "directory_publications": publications, "directory_standing": standing},
    )
    (older,) = [one for one in told if "older" in one.sentence]
    assert (older.subject, older.verdict) == ("node", "warning")
    assert older.sentence.startswith("What it answers of publication, the directory is not")
    assert older.sentence.endswith("Restart it, then ask again.")
    assert "Nothing waits to leave." in [one.sentence for one in told]


@pytest.mark.parametrize("answer", [None, 7, "words", [], [1], {}, {"mailboxes": 3}])
def test_no_answer_of_another_shape_ends_the_examination(
    tmp_path: Path, settings: Config, answer: Any
) -> None:
    told = found(tmp_path, settings, dict.fromkeys(AS_EVER, answer))
    assert any("it runs an older one" in one.sentence for one in told)


def test_a_node_that_refuses_to_say_how_it_is_is_a_finding(tmp_path: Path, settings: Config) -> None:
    (told,) = found(tmp_path, settings, {})
    assert (told.subject, told.verdict) == ("node", "failed")
    assert told.sentence == "The request was not understood."


def test_a_command_says_in_one_sentence_that_the_node_answers_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["vaguemestre", "directory", "publications", "--home", str(tmp_path)])
    with (
        node_that_answers(tmp_path, {"directory_publications": {"mailboxes": []}}),
        pytest.raises(SystemExit) as end,
    ):
        cli.main()
    assert end.value.code == 1
    assert "it runs an older one, most likely. Restart it" in capsys.readouterr().err


def test_a_machine_still_reads_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["vaguemestre", "directory", "publications", "--json", "--home", str(tmp_path)]
    )
    with (
        node_that_answers(tmp_path, {"directory_publications": {"mailboxes": []}}),
        pytest.raises(SystemExit) as end,
    ):
        cli.main()
    assert (end.value.code, json.loads(capsys.readouterr().out)) == (0, {"mailboxes": []})
