"""`vaguemestre report`: exit codes for machines, settings that explain themselves, and what doctor says of mornings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.demo import letters, pki
from deploy.node.cli import app
from deploy.node.doctor_reports import standing_finding
from mail_server.reports.settings import HospitalSettings, SettingsRefused, load
from tests.nights import invented, order

_HOUR = 3_600_000


@pytest.fixture
def hospital(tmp_path: Path):
    """A hospital whose node is not there."""
    authority = pki.TestAuthority.create()
    here = pki.Organisation.with_finess("CH ESSAI", 1, "Rhône (69)")
    authority.issue_client("DPI", here).write(tmp_path, "client")
    (tmp_path / "cr.pdf").write_bytes(letters.pdf("Compte rendu", 2000))
    (tmp_path / "patient.json").write_text(json.dumps(invented(5)))

    def run(*arguments: str, given: str = ""):
        options = [] if arguments[0] == "init" else ["--settings", str(tmp_path / "reports.toml")]
        return CliRunner().invoke(app, ["report", *arguments, *options], input=given)

    made = run(
        "init", "--host", "localhost", "--port", "1", "--address", "dpi@ch.essai.test",
        "--certificate", str(tmp_path / "client.pem"), "--key", str(tmp_path / "client.key"),
        "--establishment", "CH Essai", "--identifier", "1690000005", "--spool", str(tmp_path / "spool"),
        "--spool-key", str(tmp_path / "key" / "spool.key"), "--settings", str(tmp_path / "reports.toml"),
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    run.folder = tmp_path  # type: ignore[attr-defined]
    return run


def sent(hospital, *more: str):
    folder = hospital.folder
    return hospital(
        "send", "--pdf", str(folder / "cr.pdf"), "--patient", str(folder / "patient.json"),
        "--type", "34112-3", "--title", "Compte rendu", "--json", *more,
    )  # fmt: skip


def test_a_mistyped_identifier_of_the_establishment_is_refused_before_anything_is_made(tmp_path) -> None:
    options = {
        "--host": "localhost", "--address": "dpi@ch.essai.test", "--certificate": "c.pem", "--key": "c.key",
        "--establishment": "CH Essai", "--identifier": "1690000001", "--spool": str(tmp_path / "spool"),
        "--spool-key": str(tmp_path / "spool.key"), "--settings": str(tmp_path / "reports.toml"),
    }  # fmt: skip
    made = CliRunner().invoke(app, ["report", "init", *(word for pair in options.items() for word in pair)])
    assert made.exit_code == 1
    assert "--identifier: The last digit of the FINESS number does not match the others" in made.output
    assert list(tmp_path.iterdir()) == []


def test_the_settings_file_tells_every_key_and_is_read_back(hospital) -> None:
    file = hospital.folder / "reports.toml"
    text = file.read_text()
    for section in HospitalSettings.model_fields.values():
        for key, field in section.annotation.model_fields.items():
            assert f"{key} =" in text
            assert field.description
            assert f"# {field.description}" in text
    assert load(file).account.followed == "suivi@ch.essai.test"
    file.write_text(text + "\n[spoool]\nx = 1\n")
    with pytest.raises(SettingsRefused, match="spoool: unknown key"):
        load(file)
    assert file.stat().st_mode & 0o077 == 0


def test_kept_is_3_refused_is_2_held_is_0_and_status_says_the_same(hospital) -> None:
    kept = sent(hospital)
    assert kept.exit_code == 3
    told = json.loads(kept.output)
    assert told["state"] == "waiting"
    assert hospital("status", told["reference"]).exit_code == 3
    refused = sent(hospital, "--type", "00000-0")
    assert refused.exit_code == 2
    assert json.loads(refused.output)["cause"] == "type-unknown"
    held = sent(hospital, "--hold")
    assert (held.exit_code, json.loads(held.output)["state"]) == (0, "held")
    assert hospital("status", "personne").exit_code == 1
    counts = json.loads(hospital("queue", "--json").output)["counts"]
    assert counts == {"waiting": 1, "held": 1, "sent": 0, "refused": 0}


def test_an_order_may_come_from_the_input_and_waits_for_whoever_sends(hospital) -> None:
    told = json.dumps(order(invented(6), "Titre"))
    done = hospital(
        "send", "--pdf", str(hospital.folder / "cr.pdf"), "--patient", "-", "--no-wait", "--json", given=told
    )
    assert done.exit_code == 0
    assert json.loads(done.output)["state"] == "waiting"


def test_a_held_report_may_be_announced_or_taken_back_before_it_leaves(hospital) -> None:
    first, second = (json.loads(sent(hospital, "--hold").output)["reference"] for _ in range(2))
    assert hospital("announce", first, "--no-wait").exit_code == 0
    assert hospital("withdraw", second, "--no-wait").exit_code == 2, "it is refused from now on"
    assert hospital("announce", second).exit_code == 2


def test_nothing_of_a_patient_is_printed(hospital) -> None:
    one = sent(hospital)
    everything = one.output + hospital("queue").output + hospital("queue", "--json").output
    person = invented(5)
    assert not any(person[name] in everything for name in ("ins", "family_name", "given_name", "birth_date"))


def test_doctor_finds_a_ledger_that_is_told_to_nobody() -> None:
    due = 1_000 * _HOUR
    told = {"untold": 0, "oldest": None, "due": due, "now": due + 9 * _HOUR}
    assert (
        standing_finding(told).mark
        == standing_finding(told | {"untold": 3, "oldest": due - 1, "now": due + 1}).mark
    )
    late = standing_finding(told | {"untold": 3, "oldest": due - 30 * _HOUR})
    assert late.failed
    assert "told to nobody" in late.sentence
