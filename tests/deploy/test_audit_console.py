"""The trace from the console, on a node as it is put together: verified from outside, exported, purged."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3

import pytest
from typer.testing import CliRunner

from deploy.node import audit_verification, console_audit
from deploy.node.cli import app
from deploy.node.composition import opened
from deploy.node.config import load
from deploy.node.control import CommandFailed
from deploy.node.doctor_audit import audit_findings
from deploy.node.home import Home
from mail_server.accounts.interface import Kind
from policies.interface import Event
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
DAY = 86_400_000
NOW = 1_795_320_000_000


@pytest.fixture
def home(tmp_path):
    return new_home(tmp_path, DOMAIN)


def fill(home, *events):
    async def work():
        async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
            found = node.accounts.by_address(f"martin@{DOMAIN}")
            account = found or await node.accounts.add(f"martin@{DOMAIN}", Kind.PER)
            made = [
                Event(action, at, account.id, account.id, network="203.0.113.77") for action, at in events
            ]
            await node.store.write(lambda tx: node.trail.append(tx.sql, made))

    asyncio.run(work())


def run(home, *words, code=0):
    result = CliRunner().invoke(app, ["audit", *words, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.stdout


def tamper(home, statement):
    with sqlite3.connect(home / "mail.db") as connection:
        connection.execute(statement)
    connection.close()


def test_a_whole_trace_agrees_with_the_heads_noted_beside_the_key_encryption_key(home):
    fill(home, ("read", NOW))
    told = json.loads(run(home, "verify", "--json"))
    assert (told["broken"], told["entries"], told["heads"]) == (None, 2, 1)
    assert told["file"] == str(home.parent / "kek" / "kek-audit-heads.jsonl")


def test_a_cut_at_the_end_shows_against_the_file_and_names_the_place(home):
    fill(home, ("read", NOW), ("read", NOW + 1))
    tamper(home, "DELETE FROM audit_entry WHERE seq = 3")
    tamper(home, "DELETE FROM audit_party WHERE seq = 3")
    tamper(home, "UPDATE audit_head SET seq = 2, functional = (SELECT link FROM audit_entry WHERE seq = 2)")
    told = run(home, "verify", code=1)
    assert "Chain node, entry 3" in told
    assert "the end was cut off" in told


def test_heads_must_be_signed_with_the_key_that_was_noted(home):
    fill(home, ("read", NOW))
    key = run(home, "heads", "--key").strip()
    assert len(key) == 64
    assert "The trace is whole" in run(home, "verify", "--key", key)
    assert "not signed by this node's key" in run(home, "verify", "--key", "00" * 32, code=1)


def test_a_backup_is_verified_without_any_secret(home, tmp_path):
    fill(home, ("read", NOW))
    (tmp_path / "kek" / "kek").unlink()
    assert "The trace is whole" in run(home, "verify")


def test_a_long_trace_is_walked_by_several_processes(home, monkeypatch):
    fill(home, *(("read", NOW + number) for number in range(50)))
    monkeypatch.setattr(audit_verification, "PART", 10)
    assert json.loads(run(home, "verify", "--json"))["entries"] == 51
    tamper(home, "UPDATE audit_entry SET outcome = 'x' WHERE seq = 33")
    (finding,) = json.loads(run(home, "verify", "--json", code=1))["findings"]
    assert finding.startswith("Chain node, entry 33, ")


def test_a_clock_put_back_is_told_without_breaking_the_chain(home):
    fill(home, ("read", NOW + DAY), ("read", NOW - DAY))
    told = run(home, "verify")
    assert "the clock went back" in told
    assert "The trace is whole" in told


def test_an_export_tells_all_that_concerns_a_person_in_a_period_and_is_told_itself(home, tmp_path):
    fill(home, ("read", NOW), ("login", NOW + DAY), ("read", NOW + 40 * DAY))
    period = ("--person", f"martin@{DOMAIN}", "--since", "2026-11-22", "--until", "2026-11-24")
    first = run(home, "export", *period)
    again = run(home, "export", *period, "--to", str(tmp_path / "x.csv"))
    assert again.startswith("Written to")
    rows = list(csv.DictReader(first.splitlines()))
    assert {"read", "login"} <= {row["action"] for row in rows}
    assert [row["on"] for row in rows if row["action"] == "login"] == [f"martin@{DOMAIN}"]
    assert sum(row["action"] == "read" for row in rows) == 1, "the period ends"
    assert (tmp_path / "x.csv").stat().st_mode & 0o077 == 0
    assert "audit-export" in run(home, "show")
    assert run(home, "export", "--person", "nobody@example.org", code=1) == ""


def test_an_export_comes_in_pages_as_json_and_as_a_tagged_document(home, tmp_path, monkeypatch):
    monkeypatch.setattr(console_audit, "_PAGE", 3)
    fill(home, *(("read", NOW + number) for number in range(10)))
    told = json.loads(
        run(home, "export", "--person", f"martin@{DOMAIN}", "--format", "json", "--until", "2026-12-31")
    )
    assert sum(entry["action"] == "read" for entry in told) == 10
    assert len({(entry["chain"], entry["seq"]) for entry in told}) == len(told)
    run(home, "export", "--person", f"martin@{DOMAIN}", "--format", "pdf", "--to", str(tmp_path / "x.pdf"))
    assert b"<pdfuaid:part>1</pdfuaid:part>" in (tmp_path / "x.pdf").read_bytes()


@pytest.mark.parametrize("after", [[0, "", 0], [0, "", 0, "00"], [1, 2], "x", [None, "", 0, ""]])
def test_no_export_begins_in_the_middle_where_the_trace_would_not_tell_of_it(home, monkeypatch, after):
    monkeypatch.setattr(console_audit, "_PAGE", 1)
    fill(home, ("read", NOW), ("read", NOW + 1))

    async def work():
        async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
            commands = console_audit.AuditCommands(node, "console:auditor")
            persons = [f"martin@{DOMAIN}"]
            with pytest.raises(CommandFailed):
                await commands.audit_export(persons, 0, NOW + DAY, after)
            first = await commands.audit_export(persons, 0, NOW + DAY, None)
            for other in (
                commands.audit_export(persons, 1, NOW + DAY, first["next"]),
                console_audit.AuditCommands(node, "console:other").audit_export(
                    persons, 0, NOW + DAY, first["next"]
                ),
            ):
                with pytest.raises(CommandFailed):
                    await other
            assert (await commands.audit_export(persons, 0, NOW + DAY, first["next"]))["entries"]

    asyncio.run(work())


def test_a_purge_empties_what_is_due_and_leaves_nothing_of_it_in_the_files(home):
    old = NOW - 800 * DAY
    fill(home, *(("login", old + number) for number in range(700)), ("read", old + 1000))
    dry = json.loads(run(home, "purge", "--dry-run", "--json"))
    assert [(each["class"], each["due"], each["emptied"]) for each in dry["classes"]] == [
        ("technical", 700, 0),
        ("functional", 0, 0),
    ]
    done = json.loads(run(home, "purge", "--json"))
    assert done["classes"][0]["emptied"] == 700
    told = json.loads(run(home, "verify", "--json"))
    assert (told["broken"], told["purged"]) == (None, 700)
    rows = json.loads(run(home, "show", "--json", "--action", "audit-purge"))
    assert rows[0]["detail"]["count"] == "700"
    assert json.loads(run(home, "show", "--json", "--action", "login")) == []
    files = b"".join(path.read_bytes() for path in home.glob("mail.db*"))
    assert files.count(b"203.0.113.77") == 1, "of the entry that is kept"


@pytest.mark.parametrize("when", ["before the walk", "after the walk"])
def test_a_purge_at_the_same_moment_is_no_break(home, monkeypatch, when):
    fill(home, *(("login", NOW - 800 * DAY + number) for number in range(60)), ("read", NOW))
    walks = []

    async def purge():
        async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
            await console_audit.purge(node, "console:test", False, lambda *_: None)

    def walked(*given):
        walks.append(given)
        if len(walks) == 1 and when == "before the walk":
            asyncio.run(purge())
        found = walk(*given)
        if len(walks) == 1 and when == "after the walk":
            asyncio.run(purge())
        return found

    walk = audit_verification._part
    monkeypatch.setattr(audit_verification, "_part", walked)
    monkeypatch.setattr(audit_verification, "_STILL", 0.01)
    told = json.loads(run(home, "verify", "--json"))
    assert (told["broken"], told["purged"], len(walks)) == (None, 60, 2)


def test_a_trace_that_does_not_hold_is_walked_once_when_nothing_is_purged(home, monkeypatch):
    fill(home, ("read", NOW))
    tamper(home, "DELETE FROM audit_party WHERE seq = 2")
    walks = []
    monkeypatch.setattr(
        audit_verification,
        "_part",
        lambda *given, walk=audit_verification._part: walks.append(1) or walk(*given),
    )
    assert "the index of persons does not agree" in run(home, "verify", code=1)
    assert len(walks) == 1


def test_a_torn_last_line_of_the_heads_is_told_and_breaks_nothing(home):
    fill(home, ("read", NOW))
    path = load(home / "vaguemestre.toml").policies.audit_heads
    fill(home, ("read", NOW + 1))
    path.write_bytes(path.read_bytes()[:-60])
    for _ in range(2):
        told = json.loads(run(home, "verify", "--json"))
        assert told["broken"] is None
        assert sum("begun and not ended" in each for each in told["notices"]) == 1
        (finding,) = audit_findings(load(home / "vaguemestre.toml"), home)
        assert "does not hold" not in finding.sentence
        fill(home, ("read", NOW + 2))  # the node goes on below the torn line


@pytest.mark.parametrize(
    ("where", "verdict"), [("", "failed"), ("node/heads", "failed"), ("elsewhere", "warning")]
)
def test_doctor_wants_the_heads_outside_the_home(home, where, verdict):
    settings = load(home / "vaguemestre.toml")
    path = home.parent / where if where else None
    changed = settings.model_copy(
        update={"policies": settings.policies.model_copy(update={"audit_heads": path})}
    )
    (finding,) = audit_findings(changed, home)
    assert finding.verdict == verdict
