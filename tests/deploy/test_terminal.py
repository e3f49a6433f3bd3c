"""What a command has by its terminal: options after its own, and answers for a person or for a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from deploy.node import terminal as module
from deploy.node.terminal import Terminal, at_terminal

app = typer.Typer(add_completion=False)


@app.command()
@at_terminal
def letters(
    terminal: Terminal,
    address: str,
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 2,
) -> None:
    """Letters of an account."""
    rows = terminal.ask("letters", address=address, most=most)
    terminal.table(rows, {"subject": "Subject"}, "No letter.")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the node was asked; it answers with as many rows as are wanted."""
    heard: list[tuple[Any, ...]] = []

    def ask_node(home: Path, config: Path | None, name: str, **arguments: Any) -> list[dict[str, Any]]:
        heard.append((home, config, name, arguments))
        return [{"subject": f"Bilan {number}", "size": number} for number in range(arguments["most"] - 1)]

    monkeypatch.setattr(module, "ask_node", ask_node)
    return heard


def test_a_command_is_given_its_own_parameters_and_its_terminal_its_options(asked: list[Any]) -> None:
    done = CliRunner().invoke(app, ["zoe@x.fr", "--most", "3", "--home", "here", "--config", "that.toml"])
    assert done.exit_code == 0, done.output
    told = {"address": "zoe@x.fr", "most": 3}
    assert asked == [(Path("here"), Path("that.toml"), "letters", told)]


def test_what_is_left_out_is_the_home_var_and_its_own_configuration(asked: list[Any]) -> None:
    CliRunner().invoke(app, ["zoe@x.fr"])
    assert asked[0][:2] == (Path("var"), None)


def test_a_person_reads_columns_and_a_machine_all_there_is(asked: list[Any]) -> None:
    assert "size" not in CliRunner().invoke(app, ["zoe@x.fr"]).output
    machine = CliRunner().invoke(app, ["zoe@x.fr", "--json"])
    assert json.loads(machine.output) == [{"subject": "Bilan 0", "size": 0}]
    none = CliRunner().invoke(app, ["zoe@x.fr", "--most", "1", "--json"])
    assert json.loads(none.output) == []


def test_its_own_options_come_before_the_terminals() -> None:
    read = typer.main.get_command(app)
    assert [one.name for one in read.params] == ["address", "most", "home", "config", "as_json"]
    assert read.help == "Letters of an account."


def test_a_wrong_value_is_refused_before_anybody_is_asked(asked: list[Any]) -> None:
    assert CliRunner().invoke(app, ["zoe@x.fr", "--most", "0"]).exit_code == 2
    assert asked == []
