"""What an account asks of letters that leave, and a patient's opposition, from the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.node.administrators import POWER_OF, this_user
from deploy.node.cli import app
from deploy.node.composition import Node, opened
from deploy.node.config import load
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from deploy.node.home import Home
from mail_server.accounts.interface import Kind
from mail_server.accounts.patients import PatientIdentity
from policies.audit.query import Filter, find
from policies.questions import Power
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
NUMBER = "285051305500121"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_home(tmp_path, DOMAIN)


@pytest.fixture
async def node(home: Path) -> AsyncIterator[Node]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as found:
        yield found


async def ask(node: Node, command: str, **arguments: Any) -> Any:
    return await Console(node, this_user()).handle(command, arguments)


async def test_a_notice_in_a_language_that_has_no_words_is_refused(node: Node) -> None:
    gp = await node.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    with pytest.raises(CommandFailed, match="fr, en"):
        await ask(node, "account_notice_address", address=gp.address, notice="gp@exemple.fr", language="de")


async def test_an_administrator_sets_sealed_only_and_results_and_the_trace_knows_who(node: Node) -> None:
    gp = await node.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    robot = await node.accounts.add(f"robot@{DOMAIN}", Kind.APP)
    told = await ask(node, "account_outbound", address=gp.address)
    assert told == {"address": gp.address, "sealed_only": False, "results": "readable"}
    assert (await ask(node, "account_outbound", address=robot.address))["results"] == "asked"
    told = await ask(node, "account_outbound", address=gp.address, sealed_only="on", results="always")
    assert told == {"address": gp.address, "sealed_only": True, "results": "always"}
    assert (await ask(node, "account_outbound", address=gp.address, sealed_only="off"))[
        "sealed_only"
    ] is False
    events = await node.store.read(lambda reader: find(reader.sql, Filter(action="outbound-set")))
    assert [(event.subject, event.actor.startswith("console:")) for event in events] == [(gp.id, True)] * 2
    for wrong in ({"sealed_only": "maybe"}, {"results": "sometimes"}):
        with pytest.raises(CommandFailed):
            await ask(node, "account_outbound", address=gp.address, **wrong)
    with pytest.raises(CommandFailed):
        await ask(node, "account_outbound", address=f"personne@{DOMAIN}")


async def test_an_opposition_is_noted_by_number_and_ends(node: Node) -> None:
    who = PatientIdentity(NUMBER, "Vasarely", ("Apolline",), "1985-05-17", "F", "13055")
    patient = await node.accounts.patient_add(who)
    told = await ask(node, "space_oppose", patient=NUMBER)
    assert told == {"address": patient.address, "opposed": True}
    found = node.accounts.by_id(patient.id)
    assert found is not None
    assert found.opposed
    assert not (await ask(node, "space_oppose", patient=patient.address, end=True))["opposed"]
    events = await node.store.read(lambda reader: find(reader.sql, Filter(action="space-oppose")))
    assert len(events) == 2
    assert NUMBER not in repr(events)
    await node.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    with pytest.raises(CommandFailed):
        await ask(node, "space_oppose", patient=f"gp@{DOMAIN}")


def test_each_command_needs_a_power() -> None:
    assert (POWER_OF["account_outbound"], POWER_OF["space_oppose"]) == (Power.ACCOUNTS, Power.SPACES)


def test_both_commands_are_there_for_people(home: Path) -> None:
    for words in (["account", "outbound", "--help"], ["space", "oppose", "--help"]):
        shown = CliRunner().invoke(app, words)
        assert shown.exit_code == 0
        assert "--json" in shown.output
    failed = CliRunner().invoke(
        app, ["account", "outbound", "x@y.test", "--home", str(home), "--sealed-only", "on"]
    )
    assert failed.exit_code != 0
