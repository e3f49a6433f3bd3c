"""`vaguemestre directory import`: what it says, what it leaves in the trace, how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.demo.directory_files import ACTIVITY_HEADER, write_activity, write_mailboxes
from deploy.node import console_directory_import
from deploy.node.cli import app
from deploy.node.control import CommandFailed
from deploy.node.initialise import Wishes, initialise
from tests.directory.imports.conftest import RPPS, activity_line


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=("mss.essai.test",),
        kek=folder / "kek",
        hostname="localhost",
        sections={"sealing": {"workers": 1}, "store": {"readers": 1}},
    )
    asyncio.run(initialise(wishes))
    return folder / "node"


def run(home: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["directory", "import", *words, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.output


def test_both_files_are_imported_and_told_and_a_cut_one_is_refused(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vaguemestre.directory")
    boxes, activity, cut = tmp_path / "boxes.txt", tmp_path / "activity.zip", tmp_path / "cut.txt"
    write_mailboxes(boxes, 120, wrong=0.0)
    write_activity(activity, 120, wrong=0.0)
    write_mailboxes(cut, 30, wrong=0.0)
    first, second = json.loads(run(home, str(boxes), str(activity), "--json"))
    assert (first["source"], second["source"]) == ("mssante", "activity")
    assert first["added"] >= 120
    assert first["peak_megabytes"] < 500
    assert Path(first["changes_report"]).parent == home / "imports"
    said = run(home, str(cut), code=1)
    assert "would be taken away" in said
    assert "--force" in said
    assert "imported: added 120" in caplog.text
    assert "not imported: " in caplog.text
    said = run(home, str(boxes))
    assert "0 added, 0 changed, 0 removed" in said
    trace = CliRunner().invoke(
        app, ["audit", "show", "--action", "directory-import", "--json", "--home", str(home)]
    )
    entries: list[dict[str, Any]] = json.loads(trace.stdout)
    assert sorted(one["outcome"] for one in entries) == ["done", "done", "done", "refused"]
    refused = next(one for one in entries if one["outcome"] == "refused")
    assert refused["detail"] == {"reason": "fall"}
    assert "mssante.fr" not in trace.stdout


def test_a_professional_of_ours_whose_line_became_wrong_keeps_access_and_is_told(
    home: Path, tmp_path: Path
) -> None:
    def account(*words: str) -> str:
        result = CliRunner().invoke(app, ["account", *words, "--home", str(home)])
        assert result.exit_code == 0, result.output
        return result.output

    account("add", "zoe@mss.essai.test")
    account("national-id", "zoe@mss.essai.test", RPPS[0])
    lines = [activity_line(one, nom_d=f"NOM{one}") for one in RPPS]
    path = tmp_path / "people.txt"

    def imported(*lines: str) -> str:
        path.write_text("\n".join((ACTIVITY_HEADER, *lines)) + "\n", encoding="utf-8")
        return run(home, str(path), "--force")

    imported(*lines)
    said = imported(activity_line("899700000015", nom_d=f"NOM{RPPS[0]}"), *lines[1:])
    why = "The last digit of the RPPS number does not match the others: one of them was mistyped"
    assert f"kept as before, since a wrong line may be theirs: {RPPS[0]} (line 2: {why})." in said
    assert "Accounts of ours among these: zoe@mss.essai.test." in said
    assert "struck off" not in said
    assert "Out here" not in said
    assert "Out here, gone from the national directory: zoe@mss.essai.test." in imported(*lines[1:])


def test_a_file_that_is_not_there_is_one_sentence(home: Path, tmp_path: Path) -> None:
    assert "No such file" in run(home, str(tmp_path / "absent.txt"), code=1)


def _asked(path: Path, folder: Path) -> dict[str, Any]:
    return {
        "database": str(folder / "listings.db"),
        "path": str(path),
        "reports": str(folder),
        "source": "",
        "largest_fall": 0.05,
        "dry_run": True,
        "force": False,
    }


async def test_a_process_that_is_killed_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boxes.txt"
    os.mkfifo(path)  # nobody writes into it: it would wait for ever
    made: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*words: Any, **wishes: Any) -> asyncio.subprocess.Process:
        made.append(await start(*words, **wishes))
        return made[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    work = asyncio.create_task(console_directory_import._worked(_asked(path, tmp_path), lambda *_: None))  # pyright: ignore
    while not made:
        await asyncio.sleep(0.01)
    made[0].send_signal(signal.SIGKILL)
    with pytest.raises(CommandFailed, match="it goes on"):
        await work


async def test_a_command_that_is_broken_off_ends_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boxes.txt"
    os.mkfifo(path)
    made: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*words: Any, **wishes: Any) -> asyncio.subprocess.Process:
        made.append(await start(*words, **wishes))
        return made[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    work = asyncio.create_task(console_directory_import._worked(_asked(path, tmp_path), lambda *_: None))  # pyright: ignore
    while not made:
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert made[0].returncode == -signal.SIGKILL


def test_who_interrupts_the_command_is_told_what_becomes_of_the_import(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deploy.node.asking.command", interrupted)
    said = run(home, str(tmp_path / "boxes.txt"), code=130)
    assert "A node that serves goes on with this file." in said
    assert "started again, it goes on" in said
