"""`vaguemestre dkim` and `account forward`, what doctor says of zones, and where the keys are copied."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.demo.federation_dns import DnsServer
from deploy.node.cli import app
from deploy.node.config import Config, load
from deploy.node.doctor_signatures import signature_findings
from deploy.node.initialise import Wishes, initialise
from mail_server.outbound.settings import OutboundSettings

DOMAIN = "mss.essai.test"
NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signatures")
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=(DOMAIN,),
        kek=folder / "kek",
        hostname="localhost",
        sections={"sealing": {"workers": 1}, "store": {"readers": 1}},
    )
    asyncio.run(initialise(wishes))
    return folder / "node"


def run(home: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.output


def shown(home: Path) -> list[dict[str, Any]]:
    return json.loads(run(home, "dkim", "show", "--json"))


def test_show_prints_the_zone_lines_of_every_domain_and_no_secret(home: Path) -> None:
    rows = shown(home)
    assert {row["domain"] for row in rows} == {DOMAIN, f"patient.{DOMAIN}"}
    assert [row["standing"] for row in rows] == ["used"] * 4
    words = run(home, "dkim", "show")
    for row in rows:
        assert row["line"] in words
        assert row["line"].startswith(f"{row['name']}. 3600 IN TXT (")
    assert "PRIVATE" not in words
    assert shown(home) == rows


def test_rotate_announces_keys_that_do_not_sign_yet_and_is_in_the_trace(home: Path) -> None:
    before = {row["selector"] for row in shown(home)}
    made = json.loads(run(home, "dkim", "rotate", DOMAIN, "--json"))
    assert {row["standing"] for row in made} == {"announced"}
    assert {row["selector"] for row in shown(home)} == before | {row["selector"] for row in made}
    entries = json.loads(run(home, "audit", "show", "--json"))
    assert [one["outcome"] for one in entries if one["action"] == "dkim-rotate"] == ["announced"]


def test_another_domain_is_refused(home: Path) -> None:
    result = CliRunner().invoke(app, ["dkim", "show", "autre.test", "--home", str(home)])
    assert result.exit_code == 1


def test_a_rule_is_set_shown_and_taken_away(home: Path) -> None:
    run(home, "account", "add", f"accueil@{DOMAIN}", "--kind", "ORG")
    run(home, "account", "add", f"logiciel@{DOMAIN}", "--kind", "APP")
    asked = ("account", "forward", f"accueil@{DOMAIN}")
    assert "sends nothing on" in run(home, *asked)
    assert f"on to logiciel@{DOMAIN}" in run(home, *asked, f"logiciel@{DOMAIN}")
    assert json.loads(run(home, *asked, "--json"))["forward"] == f"logiciel@{DOMAIN}"
    assert "sends nothing on" in run(home, *asked, "--none")


@pytest.mark.parametrize("target", ["x@gmail.test", f"personne@{DOMAIN}", "nonsense"])
def test_a_target_that_may_not_be_is_refused_in_words(home: Path, target: str) -> None:
    result = CliRunner().invoke(app, ["account", "forward", f"accueil@{DOMAIN}", target, "--home", str(home)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_the_keys_are_copied_apart_and_lie_in_no_backup(home: Path, tmp_path: Path) -> None:
    kept = shown(home)
    apart = tmp_path / "apart" / "keystore.json"
    run(home, "backup", "--to", str(tmp_path / "backup"), "--keystore-to", str(apart))
    copy = json.loads(apart.with_name("keystore.json.signatures").read_bytes())
    assert copy == json.loads((home / "signatures.keystore").read_bytes())
    selector = kept[0]["selector"].encode()
    assert all(
        selector not in path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()
    )


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    server = DnsServer()
    await server.start()
    yield server
    await server.stop()


def asking(home: Path, dns: DnsServer) -> Config:
    settings = load(home / "vaguemestre.toml")
    return settings.model_copy(update={"outbound": OutboundSettings(resolver=dns.address)})


async def test_doctor_finds_zones_that_do_not_say_the_key_in_use(home: Path, dns: DnsServer) -> None:
    rows = await asyncio.to_thread(shown, home)
    settings = asking(home, dns)
    now = max(row["used_from"] for row in rows) - 1
    used = [row for row in rows if row["standing"] == "used"]
    failed = [one for one in await signature_findings(settings, home, now) if one.verdict == "failed"]
    assert len(failed) == len(used)
    dns.texts({row["name"]: row["record"] for row in rows})
    verdicts = [one.verdict for one in await signature_findings(settings, home, now)]
    assert verdicts == ["good"]
    dns.text(used[0]["name"], "v=DKIM1; k=rsa; p=AAAA")
    [found] = [one for one in await signature_findings(settings, home, now) if one.verdict == "failed"]
    assert "says another key" in found.sentence


async def test_doctor_asks_nobody_where_no_resolver_is_named(home: Path, dns: DnsServer) -> None:
    await signature_findings(load(home / "vaguemestre.toml"), home, NOW)
    assert dns.asked == []


async def test_doctor_makes_no_key(tmp_path: Path, home: Path) -> None:
    settings = load(home / "vaguemestre.toml")
    settings = settings.model_copy(
        update={"accounts": settings.accounts.model_copy(update={"domains": ("neuf.test",)})}
    )
    [found, *_] = await signature_findings(settings, home, NOW)
    assert found.verdict == "warning"
    assert "neuf.test" in found.sentence
