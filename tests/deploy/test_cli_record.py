"""`vaguemestre report check`: verdicts for a person, for a program, and by the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from deploy.node.cli import app

CDA = Path(__file__).parents[1] / "webmail" / "vectors" / "cda"


def check(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["report", "check", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def test_documents_that_are_sound_are_said_valid(tmp_path: Path) -> None:
    told = check(CDA / "sortie.xml", CDA / "fhir-ordonnance.json", "--home", tmp_path)
    assert "sortie.xml: valid (cda; reading)" in told
    assert "fhir-ordonnance.json: valid (fhir; reading, fhir)" in told


def test_one_document_that_is_refused_ends_with_its_reason_and_code_2(tmp_path: Path) -> None:
    told = check(CDA / "sortie.xml", CDA / "refuse-doctype.xml", "--home", tmp_path, code=2)
    assert "refuse-doctype.xml: not valid" in told
    assert "DOCTYPE" in told


def test_json_tells_each_finding(tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads(
        check(CDA / "refuse-deux-patients.xml", "--home", tmp_path, "--json", code=2)
    )
    [verdict] = told.values()
    assert verdict["valid"] is False
    assert verdict["findings"][0]["place"] == "cda-two-patients"


def test_rules_that_cannot_be_used_end_with_one_sentence(tmp_path: Path) -> None:
    told = check(CDA / "sortie.xml", "--home", tmp_path, "--xsd", tmp_path / "none.xsd", code=1)
    assert "none.xsd cannot be used" in told
