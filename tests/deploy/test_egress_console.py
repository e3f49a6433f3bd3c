"""The egress gate from the console and from `doctor`, on a node as it is put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.node.cli import app
from deploy.node.config import load
from deploy.node.doctor_egress import gate_finding, keystore_finding
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
DAY = 86_400_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_home(tmp_path, DOMAIN)


def run(home: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_node_that_never_sent_anything_has_no_egress_key(home: Path) -> None:
    assert "No key yet" in run(home, "egress", "show")
    assert not (home / "egress.keystore").exists()


def test_a_rotation_makes_a_key_keeps_the_one_before_and_is_traced(home: Path) -> None:
    first = json.loads(run(home, "egress", "rotate", "--json"))
    assert first["kept"] == []
    second = json.loads(run(home, "egress", "rotate", "--json"))
    assert second["kept"] == [first["fingerprint"]]
    found = json.loads(run(home, "egress", "show", "--json"))
    assert [one["state"] for one in found["keys"]] == ["replaced", "in use"]
    assert found["keys"][-1]["fingerprint"] == second["fingerprint"]
    entries = json.loads(run(home, "audit", "show", "--json"))
    made = [one for one in entries if one["action"] == "egress-key"]
    assert len(made) == 2
    assert second["fingerprint"] in json.dumps(made)


def test_the_gates_keystore_is_copied_apart_with_the_other_and_in_no_backup(
    home: Path, tmp_path: Path
) -> None:
    run(home, "egress", "rotate")
    apart = tmp_path / "apart" / "keystore.json"
    run(home, "backup", "--to", str(tmp_path / "backup"), "--keystore-to", str(apart))
    kept = (home / "egress.keystore").read_bytes()
    assert all(
        b"egress/" not in path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()
    )
    copy = apart.with_name("keystore.json.egress")
    assert json.loads(copy.read_bytes()) == json.loads(kept)
    back = tmp_path / "back"
    result = CliRunner().invoke(
        app, ["restore", "--from", str(tmp_path / "backup"), "--keystore", str(apart), "--home", str(back)]
    )
    assert result.exit_code == 0, result.output
    assert (
        json.loads(run(back, "egress", "show", "--json"))["keys"]
        == json.loads(run(home, "egress", "show", "--json"))["keys"]
    )


def test_nobody_is_asked_about_an_address_outside_the_trust_list(home: Path) -> None:
    result = CliRunner().invoke(app, ["key", "peer", "a@elsewhere.example", "--home", str(home)])
    assert result.exit_code == 1


def test_doctor_fails_when_others_may_read_the_keystore_or_a_copy_lies_about(home: Path) -> None:
    settings = load(home / "vaguemestre.toml")
    assert keystore_finding(settings, home).verdict == "good"
    keystore = home / "egress.keystore"
    keystore.write_bytes(b"{}")
    keystore.chmod(0o600)
    assert keystore_finding(settings, home).verdict == "good"
    (home / "old").mkdir()
    (home / "old" / "egress.keystore.bak").write_bytes(b"{}")
    assert "would live on there" in keystore_finding(settings, home).sentence
    keystore.chmod(0o640)
    assert "chmod 600" in keystore_finding(settings, home).sentence


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, "good", "Runs; key of 3 day(s), 2 letter(s)"),
        ({"alive": False}, "failed", "does not run"),
        ({"needed": False, "alive": False}, "good", "nothing leaves"),
        ({"now": 400 * DAY}, "warning", "egress rotate"),
    ],
)
def test_doctor_says_how_the_gate_is(changes: dict[str, Any], verdict: str, words: str) -> None:
    found: dict[str, Any] = {
        "needed": True,
        "alive": True,
        "now": 3 * DAY,
        "keys": [{"made": 0, "letters": 2}],
    }
    finding = gate_finding(found | changes)
    assert (finding.verdict, words in finding.sentence) == (verdict, True), finding.sentence
